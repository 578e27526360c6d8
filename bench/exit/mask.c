/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The exit path of recent Linux KVM (6.18): which counters count instructions is
 * settled when the guest writes a register, and the walk is over those only. The
 * locking (SRCU) of the event filter, which the original does around that walk, is
 * left out.
 */
#include "kvm.h"

int exit_emulate_mask(struct exit_vcpu *vcpu);
void kvm_classify(struct kvm_pmu *pmu, const struct kvm_counter *counter);
void kvm_instruction_retired(struct kvm_vcpu *vcpu);

__attribute__((noinline)) void kvm_classify(struct kvm_pmu *pmu, const struct kvm_counter *counter)
{
	uint64_t bit = UINT64_C(1) << counter->index;

	pmu->counting_instructions &= ~bit;
	if (kvm_is_locally_enabled(counter) && kvm_is_event(counter, kvm_instructions_event))
		pmu->counting_instructions |= bit;
}

/* The original's request to reprogram a counter classifies it, whoever makes it. */
static void count(struct kvm_counter *counter)
{
	counter->emulated++;
	kvm_classify(kvm_pmu_of(counter), counter);
	kvm_set_bit(&kvm_pmu_of(counter)->reprogram, counter->index);
	kvm_set_bit(&counter->vcpu->requests, KVM_REQUEST_PMU);
}

/* By the filter alone: all counters of the bitmap are enabled, and are not asked again. */
static bool is_allowed(const struct kvm_counter *counter)
{
	const struct kvm_filter *filter = counter->vcpu->vm->filter;

	return !filter || kvm_filter_allows(filter, counter);
}

static void trigger(struct kvm_vcpu *vcpu, const uint64_t *counting)
{
	struct kvm_pmu *pmu = &vcpu->pmu;
	uint64_t bitmap[1] = { *counting };

	if (!*bitmap)
		return;
	if (kvm_has_global_ctrl(pmu)) {
		*bitmap &= pmu->global_ctrl;
		if (!*bitmap)
			return;
	}
	for (unsigned int i = kvm_next(bitmap, 0); i < 64; i = kvm_next(bitmap, i + 1)) {
		struct kvm_counter *counter = kvm_counter(pmu, i);

		if (counter && is_allowed(counter) && kvm_level_matches(counter))
			count(counter);
	}
}

__attribute__((noinline)) void kvm_instruction_retired(struct kvm_vcpu *vcpu)
{
	trigger(vcpu, &vcpu->pmu.counting_instructions);
}

__attribute__((noinline)) int exit_emulate_mask(struct exit_vcpu *vcpu)
{
	uint64_t rflags = exit_rflags(vcpu);

	if (__builtin_expect(!exit_skip(vcpu), 0))
		return 0;
	kvm_instruction_retired(kvm_of(vcpu));
	return exit_finish(vcpu, rflags);
}

static void run(struct exit_vcpu *vcpu, unsigned long times)
{
	exit_loop(vcpu, times, exit_emulate_mask);
}

static void run_apart(struct exit_vcpu *vcpu, unsigned long times)
{
	exit_loop_apart(vcpu, times, exit_emulate_mask);
}

static void wrmsr(struct exit_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct kvm_pmu *pmu = &kvm_of(vcpu)->pmu;

	kvm_wrmsr(vcpu, msr, value);
	for (unsigned int i = 0; i < pmu->general_count; i++)
		kvm_classify(pmu, &pmu->general[i]);
	for (unsigned int i = 0; i < pmu->fixed_count; i++)
		kvm_classify(pmu, &pmu->fixed[i]);
}

const struct exit_candidate exit_mask = {
	.name = "mask",
	.create = kvm_create,
	.destroy = kvm_destroy,
	.wrmsr = wrmsr,
	.run = run,
	.run_apart = run_apart,
	.counted = kvm_counted,
};
