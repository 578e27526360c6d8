/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See kvm.h: what all the exit path's KVM candidates share, none of it on
 * the path while the PMU is off or idle but for kvm_level().
 */
#include "kvm.h"

#include <stdlib.h>

/* The fixed counter of reference cycles has no encoding; KVM's own for it. */
#define KVM_EVENT_REF_CYCLES UINT64_C(0x300)

uint64_t kvm_instructions_event;

unsigned int kvm_level(const struct kvm_vcpu *vcpu)
{
	return vcpu->vcpu.level;
}

static bool filter_names(const struct kvm_filter *filter, uint64_t eventsel)
{
	for (size_t i = 0; i < filter->count; i++)
		if (!((filter->events[i] ^ eventsel) & KVM_SELECT_EVENT))
			return true;
	return false;
}

bool kvm_filter_allows(const struct kvm_filter *filter, const struct kvm_counter *counter)
{
	if (counter->is_fixed)
		return (filter->fixed >> (counter->index - KVM_FIXED_BASE) & 1) == filter->allows;
	return filter_names(filter, counter->eventsel) == filter->allows;
}

static uint64_t eventsel_of(enum vpmu_vendor_id vendor, enum vpmu_event_id event)
{
	uint16_t select;
	uint8_t umask;

	if (!vpmu_event_encoding(vendor, event, &select, &umask))
		return KVM_EVENT_REF_CYCLES;
	return select | (uint64_t)umask << 8;
}

struct exit_vcpu *kvm_create(const struct exit_guest *guest)
{
	struct kvm_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	struct kvm_vm *vm = calloc(1, sizeof(*vm));
	struct kvm_pmu *pmu;

	if (!vcpu || !vm)
		abort();
	kvm_instructions_event = eventsel_of(guest->vendor, VPMU_EVENT_INSTRUCTIONS);
	vm->enable_pmu = guest->version > 0;
	vcpu->vm = vm;
	pmu = &vcpu->pmu;
	for (unsigned int i = 0; i < KVM_GENERAL; i++)
		pmu->general[i] = (struct kvm_counter){ .index = (uint8_t)i, .vcpu = vcpu };
	for (unsigned int i = 0; i < KVM_FIXED; i++)
		pmu->fixed[i] = (struct kvm_counter){
			.is_fixed = true,
			.index = (uint8_t)(KVM_FIXED_BASE + i),
			.eventsel = eventsel_of(guest->vendor, vpmu_fixed_event(i)),
			.vcpu = vcpu,
		};
	if (!guest->version)
		return &vcpu->vcpu;
	pmu->version = (uint8_t)guest->version;
	pmu->general_count = (uint8_t)guest->general;
	pmu->fixed_count = (uint8_t)guest->fixed;
	pmu->all_valid = counter_set(guest->general, guest->fixed);
	if (kvm_has_global_ctrl(pmu))
		pmu->global_ctrl = counter_set(guest->general, 0);
	return &vcpu->vcpu;
}

void kvm_destroy(struct exit_vcpu *vcpu)
{
	free(kvm_of(vcpu)->vm);
	free(vcpu);
}

void kvm_wrmsr(struct exit_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct kvm_pmu *pmu = &kvm_of(vcpu)->pmu;
	uint32_t intel = msr - VPMU_MSR_PERFEVTSEL0;
	uint32_t amd = msr - VPMU_AMD_MSR_K7_EVNTSEL0;

	if (msr == VPMU_MSR_PERF_GLOBAL_CTRL && kvm_has_global_ctrl(pmu))
		pmu->global_ctrl = value & pmu->all_valid;
	else if (msr == VPMU_MSR_FIXED_CTR_CTRL && pmu->fixed_count)
		pmu->fixed_ctrl = value;
	else if (intel < pmu->general_count)
		pmu->general[intel].eventsel = value;
	else if (amd < pmu->general_count)
		pmu->general[amd].eventsel = value;
}

uint64_t kvm_counted(struct exit_vcpu *vcpu)
{
	const struct kvm_pmu *pmu = &kvm_of(vcpu)->pmu;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < pmu->general_count; i++)
		sum += pmu->general[i].emulated;
	for (unsigned int i = 0; i < pmu->fixed_count; i++)
		sum += pmu->fixed[i].emulated;
	return sum;
}
