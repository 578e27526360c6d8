/* SPDX-License-Identifier: BSD-2-Clause
 *
 * As much of Linux KVM's virtual PMU as its exit path touches: the registers that
 * the guest has written, per counter and as bitmaps in IA32_PERF_GLOBAL_CTRL's
 * layout. No perf events: what the exit path leaves for the next guest entry is
 * only noted here, as there.
 */
#ifndef VPMU_BENCH_EXIT_KVM_H
#define VPMU_BENCH_EXIT_KVM_H

#include "bench/lib/registers.h"
#include "host.h"

#include <stddef.h>

enum {
	KVM_GENERAL = 8,
	KVM_FIXED = 3,
	KVM_FIXED_BASE = VPMU_FIXED,
	KVM_REQUEST_PMU = 10,
};

/* What an event is told by. */
#define KVM_SELECT_EVENT (VPMU_EVTSEL_SELECT | VPMU_EVTSEL_UMASK | VPMU_EVTSEL_SELECT_2)

struct kvm_vcpu;

struct kvm_counter {
	bool is_fixed;
	uint8_t index;
	uint64_t eventsel; /* of a fixed counter: the event that it always counts */
	uint64_t emulated; /* counted here, and not yet by the perf event */
	struct kvm_vcpu *vcpu;
};

/* An event filter of the VM's; the benchmark sets none, as few hosts do. */
struct kvm_filter {
	bool allows;
	uint32_t fixed;
	size_t count;
	uint64_t events[];
};

struct kvm_vm {
	bool enable_pmu;
	const struct kvm_filter *filter;
};

struct kvm_pmu {
	uint8_t version;
	uint8_t general_count;
	uint8_t fixed_count;
	uint64_t fixed_ctrl;
	uint64_t global_ctrl;
	uint64_t all_valid;
	uint64_t reprogram;             /* set atomically, by overflow handlers too */
	uint64_t counting_instructions; /* only kept by the mask */
	struct kvm_counter general[KVM_GENERAL];
	struct kvm_counter fixed[KVM_FIXED];
};

struct kvm_vcpu {
	struct exit_vcpu vcpu;
	struct kvm_vm *vm;
	uint64_t requests;
	struct kvm_pmu pmu;
};

/* Instructions retired, as the host's perf encodes it. */
extern uint64_t kvm_instructions_event;

static inline struct kvm_vcpu *kvm_of(struct exit_vcpu *vcpu)
{
	return (struct kvm_vcpu *)vcpu;
}

static inline struct kvm_pmu *kvm_pmu_of(const struct kvm_counter *counter)
{
	return &counter->vcpu->pmu;
}

static inline bool kvm_has_global_ctrl(const struct kvm_pmu *pmu)
{
	return pmu->version > 1;
}

static inline uint64_t kvm_fixed_field(const struct kvm_counter *counter)
{
	return kvm_pmu_of(counter)->fixed_ctrl >> ((counter->index - KVM_FIXED_BASE) * FIXED_BITS) &
	       0xf;
}

static inline bool kvm_is_globally_enabled(const struct kvm_counter *counter)
{
	const struct kvm_pmu *pmu = kvm_pmu_of(counter);

	return !kvm_has_global_ctrl(pmu) || (pmu->global_ctrl >> counter->index & 1);
}

static inline bool kvm_is_locally_enabled(const struct kvm_counter *counter)
{
	if (counter->is_fixed)
		return kvm_fixed_field(counter) & FIXED_EN;
	return counter->eventsel & VPMU_EVTSEL_EN;
}

static inline bool kvm_is_event(const struct kvm_counter *counter, uint64_t event)
{
	return !((counter->eventsel ^ event) & KVM_SELECT_EVENT);
}

/* NULL: the PMU has no such counter. */
static inline struct kvm_counter *kvm_counter(struct kvm_pmu *pmu, unsigned int index)
{
	if (index >= KVM_FIXED_BASE) {
		index -= KVM_FIXED_BASE;
		return index < pmu->fixed_count ? &pmu->fixed[index] : NULL;
	}
	return index < pmu->general_count ? &pmu->general[index] : NULL;
}

/* The first counter of a bitmap from an index on; 64: there is none. */
static inline unsigned int kvm_next(const uint64_t *bitmap, unsigned int from)
{
	uint64_t rest;

	if (from >= 64)
		return 64;
	rest = *bitmap & (UINT64_MAX << from);
	return rest ? (unsigned int)__builtin_ctzll(rest) : 64;
}

static inline void kvm_set_bit(uint64_t *set, unsigned int bit)
{
	__atomic_fetch_or(set, UINT64_C(1) << bit, __ATOMIC_RELAXED);
}

/* The vendor's: a static call there, and so a direct one here. */
unsigned int kvm_level(const struct kvm_vcpu *vcpu);

/* The VM's event filter, once there is one. */
bool kvm_filter_allows(const struct kvm_filter *filter, const struct kvm_counter *counter);

static inline bool kvm_is_allowed(const struct kvm_counter *counter)
{
	const struct kvm_filter *filter;

	if (!kvm_is_globally_enabled(counter) || !kvm_is_locally_enabled(counter))
		return false;
	filter = counter->vcpu->vm->filter;
	return !filter || kvm_filter_allows(filter, counter);
}

/* Is the counter to count at the guest's present privilege level? */
static inline bool kvm_level_matches(const struct kvm_counter *counter)
{
	bool os;
	bool user;

	if (counter->is_fixed) {
		uint64_t field = kvm_fixed_field(counter);

		os = field & FIXED_OS;
		user = field & FIXED_USR;
	} else {
		os = counter->eventsel & VPMU_EVTSEL_OS;
		user = counter->eventsel & VPMU_EVTSEL_USR;
	}
	/* The level is only asked for where it matters. */
	if (os == user)
		return os;
	return kvm_level(counter->vcpu) == 0 ? os : user;
}

/* What the candidates are made of. */
struct exit_vcpu *kvm_create(const struct exit_guest *guest);
void kvm_destroy(struct exit_vcpu *vcpu);
void kvm_wrmsr(struct exit_vcpu *vcpu, uint32_t msr, uint64_t value);
uint64_t kvm_counted(struct exit_vcpu *vcpu);

/* The walk over all counters (walk.c), which the guard uses, too. */
void kvm_walk(struct kvm_vcpu *vcpu, uint64_t event);

#endif
