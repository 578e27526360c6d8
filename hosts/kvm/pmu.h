/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * Stands where KVM's arch/x86/kvm/pmu.h stands: what KVM asks of its PMU, answered by libvpmu.
 * Functions have the names and meanings that KVM's callers know; they return 0, or 1 for what
 * faults in the guest (and is an error for the host). All of them belong to the vCPU's thread,
 * or to one that holds vcpu->mutex, but for the filter's.
 */
#ifndef __KVM_X86_PMU_H
#define __KVM_X86_PMU_H

#include <linux/kvm_host.h>
#include <asm/perf_event.h>
#include <vpmu/vpmu.h>

#define vcpu_to_pmu(vcpu) (&(vcpu)->arch.pmu)

/* MISC_ENABLE's bits that tell of debug stores; there are none. */
#define MSR_IA32_MISC_ENABLE_PMU_RO_MASK \
	(MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL | MSR_IA32_MISC_ENABLE_BTS_UNAVAIL)

/*
 * struct kvm_vcpu is what other modules are built against, so that its layout stays. What KVM's
 * own PMU has for its counters is free: the vCPU's PMU is named there.
 */
struct vpmu_vcpu;

static __always_inline struct vpmu_vcpu *vcpu_to_vpmu_vcpu(struct kvm_vcpu *vcpu)
{
	BUILD_BUG_ON(sizeof(vcpu->arch.pmu.gp_counters) < sizeof(struct vpmu_vcpu *));
	return *(struct vpmu_vcpu **)vcpu->arch.pmu.gp_counters;
}

/* It is the first that is in it. */
static __always_inline struct vpmu *vcpu_to_vpmu(struct kvm_vcpu *vcpu)
{
	return (struct vpmu *)vcpu_to_vpmu_vcpu(vcpu);
}

/* What this machine's PMU lets KVM offer; 0 counters: no PMU. */
extern struct x86_pmu_capability kvm_pmu_cap;

int kvm_pmu_init(struct kvm_vcpu *vcpu); /* or -ENOMEM */
void kvm_pmu_destroy(struct kvm_vcpu *vcpu);
void kvm_pmu_refresh(struct kvm_vcpu *vcpu);
void kvm_pmu_start(void);

bool kvm_pmu_is_valid_msr(struct kvm_vcpu *vcpu, u32 msr);
int kvm_pmu_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
int kvm_pmu_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
/* The debug control register's bits that are the PMU's: put into a value, taken out of one. */
void kvm_pmu_get_debugctl(struct kvm_vcpu *vcpu, struct msr_data *msr_info);
int kvm_pmu_set_debugctl(struct kvm_vcpu *vcpu, bool host_initiated, u64 *data);

/* CPUID.80000022H:EAX: a PMI freezes counters (APM vol. 3, "LbrAndPmcFreeze"). */
#define KVM_PMU_CPUID_FREEZE BIT(2)

int kvm_pmu_rdpmc(struct kvm_vcpu *vcpu, unsigned int index, u64 *data);
int kvm_pmu_check_rdpmc_early(struct kvm_vcpu *vcpu, unsigned int index);
bool is_vmware_backdoor_pmc(u32 index);

/*
 * The same with interrupts off, in the innermost loop around the guest: what needs more than
 * totals and alarms is left for KVM_REQ_PMU. EXIT_FASTPATH_NONE: not served; as if it had not
 * been called.
 */
fastpath_t kvm_pmu_fast_msr(struct kvm_vcpu *vcpu, bool write);
fastpath_t kvm_pmu_fast_rdpmc(struct kvm_vcpu *vcpu);

void kvm_pmu_handle_event(struct kvm_vcpu *vcpu);
void kvm_pmu_deliver_pmi(struct kvm_vcpu *vcpu);
/* The vCPU stops running for a while, or for good: what is due becomes the local APIC's. */
void kvm_pmu_settle(struct kvm_vcpu *vcpu);
/* The thread has come to a CPU. */
void kvm_pmu_sched_in(struct kvm_vcpu *vcpu);
/* The thread is about to run the vCPU; it may be another than before. */
void kvm_pmu_run(struct kvm_vcpu *vcpu);

/* AMD: EFER.SVME has changed; the vCPU has entered or left a guest of the guest's. */
void kvm_pmu_set_svme(struct kvm_vcpu *vcpu, bool svme);
void kvm_pmu_change_mode(struct kvm_vcpu *vcpu);

int kvm_vm_ioctl_set_pmu_event_filter(struct kvm *kvm, void __user *argp);
void kvm_pmu_create_debugfs(struct kvm_vcpu *vcpu, struct dentry *folder);

/*
 * Some counter counts instructions: does this one. Levels and modes are only looked for if some
 * counter does not count in all of them. True: KVM_REQ_PMU has to be made.
 */
bool kvm_pmu_count_retired(struct kvm_vcpu *vcpu, unsigned int kind);

/* KVM has emulated an instruction; kind: VPMU_RETIRED_BRANCH if it was a branch, else 0. */
static __always_inline void kvm_pmu_retired(struct kvm_vcpu *vcpu, unsigned int kind)
{
	if (vpmu_counts_retired(vcpu_to_vpmu(vcpu)) && kvm_pmu_count_retired(vcpu, kind))
		kvm_make_request(KVM_REQ_PMU, vcpu);
}

/* For nested VMX, which switches the register at entry and exit. */
static inline bool kvm_pmu_has_perf_global_ctrl(struct kvm_pmu *pmu)
{
	return pmu->version > 1;
}

static inline bool kvm_valid_perf_global_ctrl(struct kvm_pmu *pmu, u64 data)
{
	return !(pmu->global_ctrl_rsvd & data);
}

#endif
