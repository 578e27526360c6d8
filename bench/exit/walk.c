/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The exit path of Linux KVM before the guard (6.9 to 6.17, and what the
 * 2026 patch describes): each emulated instruction asks every counter that is
 * globally enabled whether it counts instructions. A guest without a PMU has none,
 * and no global control either: the bitmap is copied and the walk is empty.
 */
#include "kvm.h"

int exit_emulate_walk(struct exit_vcpu *vcpu);

static void count(struct kvm_counter *counter)
{
	counter->emulated++;
	/* Both for the next entry: which counter, and that there is one. */
	kvm_set_bit(&kvm_pmu_of(counter)->reprogram, counter->index);
	kvm_set_bit(&counter->vcpu->requests, KVM_REQUEST_PMU);
}

__attribute__((noinline)) void kvm_walk(struct kvm_vcpu *vcpu, uint64_t event)
{
	struct kvm_pmu *pmu = &vcpu->pmu;
	uint64_t bitmap[1] = { pmu->all_valid };

	if (kvm_has_global_ctrl(pmu)) {
		*bitmap &= pmu->global_ctrl;
		if (!*bitmap)
			return;
	}
	for (unsigned int i = kvm_next(bitmap, 0); i < 64; i = kvm_next(bitmap, i + 1)) {
		struct kvm_counter *counter = kvm_counter(pmu, i);

		if (!counter || !kvm_is_event(counter, event))
			continue;
		if (kvm_is_allowed(counter) && kvm_level_matches(counter))
			count(counter);
	}
}

__attribute__((noinline)) int exit_emulate_walk(struct exit_vcpu *vcpu)
{
	uint64_t rflags = exit_rflags(vcpu);

	if (__builtin_expect(!exit_skip(vcpu), 0))
		return 0;
	kvm_walk(kvm_of(vcpu), kvm_instructions_event);
	return exit_finish(vcpu, rflags);
}

static void run(struct exit_vcpu *vcpu, unsigned long times)
{
	exit_loop(vcpu, times, exit_emulate_walk);
}

static void run_apart(struct exit_vcpu *vcpu, unsigned long times)
{
	exit_loop_apart(vcpu, times, exit_emulate_walk);
}

const struct exit_candidate exit_walk = {
	.name = "walk",
	.create = kvm_create,
	.destroy = kvm_destroy,
	.wrmsr = kvm_wrmsr,
	.run = run,
	.run_apart = run_apart,
	.counted = kvm_counted,
};
