/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU that KVM offers its guests, and what a guest writes to it.
 */
#ifndef VPMU_BENCH_VMEXIT_PMU_H
#define VPMU_BENCH_VMEXIT_PMU_H

#include "guest.h"

#include <linux/kvm.h>
#include <vpmu/vpmu.h>

/* A guest's PMU. */
enum pmu_state { PMU_OFF, PMU_IDLE, PMU_CYCLES, PMU_INSTRUCTIONS, PMU_STATES };
extern const char *const pmu_state_names[PMU_STATES];

struct pmu {
	char name[64];    /* for people */
	const char *none; /* NULL, or why guests have no PMU */
	enum vpmu_vendor_id vendor;
	uint32_t select, counter; /* registers of the first counter */
	uint32_t control;         /* the register of global control; 0: there is none */
	uint64_t enabled;         /* its bits of all counters */
};

#define PMU_WRITES 3

/* By what KVM says that it supports. */
struct pmu pmu_of(int kvm, const struct kvm_cpuid2 *cpuid);
/* What brings a guest into a state: until one of MSR 0. */
void pmu_writes(const struct pmu *pmu, enum pmu_state state, struct guest_write writes[PMU_WRITES]);

#endif
