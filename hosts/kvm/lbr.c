/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * Guests have no branch records of this PMU: what KVM's VMX part asks about them, and about
 * precise events, which there are none of, either. None of it is ever called for a guest.
 */
#include <linux/kvm_host.h>
#include "vmx/vmx.h"

int intel_pmu_create_guest_lbr_event(struct kvm_vcpu *vcpu)
{
	return -EOPNOTSUPP;
}

void vmx_passthrough_lbr_msrs(struct kvm_vcpu *vcpu)
{
}

void intel_pmu_cross_mapped_check(struct kvm_pmu *pmu)
{
}
