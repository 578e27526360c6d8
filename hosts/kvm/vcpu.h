/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * What a vCPU has for its PMU. For the files of this folder.
 */
#ifndef VPMU_KVM_VCPU_H
#define VPMU_KVM_VCPU_H

#include <vpmu/filter.h>
#include "pmu.h"
#include "source.h"

struct vpmu_vcpu {
	struct vpmu pmu; /* first: pmu.h */
	struct vpmu_source source;
	u64 filter;            /* the number of the filter that it has; 0: none yet */
	unsigned long used_at; /* when a counter was last counting, in jiffies */
	u64 services;
	u64 pmis;
};

/* Whose processor this machine's is. */
enum vpmu_vendor_id vpmu_machine_vendor(void);

/* The PMU that the guest's CPUID says it has. */
struct vpmu_config vpmu_guest_config(struct kvm_vcpu *vcpu);

/* vpmu_service(), and KVM_REQ_PMI if it asks for a PMI. */
void vpmu_serve(struct kvm_vcpu *vcpu);

/*
 * The VM's filter is the vCPU's from now on; the vCPU's thread, within the SRCU section in which
 * the next service is.
 */
void vpmu_adopt_filter(struct kvm_vcpu *vcpu);

#endif
