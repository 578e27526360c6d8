/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * KVM's questions, and the library's answers.
 *
 * A vCPU that has something for vpmu_service() to do has KVM_REQ_PMU set: after each access that
 * leaves something, and when a period ends. So an entry with nothing to do costs nothing.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/kvm_host.h>
#include <linux/slab.h>
#include <vpmu/state.h>
#include "cpuid.h"
#include "lapic.h"
#include "vcpu.h"
#include "x86.h"

/* Counters that have not been used for so long lose their events. */
#define IDLE_TIME (4 * HZ)

static void request_service(struct kvm_vcpu *vcpu)
{
	if (vpmu_service_is_due(vcpu_to_vpmu(vcpu)))
		kvm_make_request(KVM_REQ_PMU, vcpu);
}

/* --- a vCPU's life ---------------------------------------------------------------- */

int kvm_pmu_init(struct kvm_vcpu *vcpu)
{
	struct vpmu_vcpu *own = kzalloc(sizeof(*own), GFP_KERNEL_ACCOUNT);

	BUILD_BUG_ON(offsetof(struct vpmu_vcpu, pmu));
	memset(vcpu_to_pmu(vcpu), 0, sizeof(struct kvm_pmu));
	*(struct vpmu_vcpu **)vcpu->arch.pmu.gp_counters = own;
	if (!own)
		return -ENOMEM;
	vpmu_source_init(&own->source, vcpu, &own->pmu);
	kvm_pmu_refresh(vcpu);
	return 0;
}

void kvm_pmu_destroy(struct kvm_vcpu *vcpu)
{
	struct vpmu_vcpu *own = vcpu_to_vpmu_vcpu(vcpu);

	if (!own)
		return;
	vpmu_reset(&own->pmu);
	*(struct vpmu_vcpu **)vcpu->arch.pmu.gp_counters = NULL;
	kfree(own);
}

/* What the rest of KVM knows of the PMU. */
static void tell_kvm(struct kvm_vcpu *vcpu, const struct vpmu_config *config)
{
	struct kvm_pmu *pmu = vcpu_to_pmu(vcpu);
	u64 counters = (BIT_ULL(config->general) - 1) | (BIT_ULL(config->fixed) - 1) << VPMU_FIXED;

	pmu->version = config->version;
	pmu->global_ctrl_rsvd = ~counters;
}

/* The guest's CPUID is what userspace says, and may be one of no processor. */
void kvm_pmu_refresh(struct kvm_vcpu *vcpu)
{
	struct vpmu_vcpu *own = vcpu_to_vpmu_vcpu(vcpu);
	struct vpmu_config config = vpmu_guest_config(vcpu);
	enum vpmu_error error;

	if (KVM_BUG_ON(kvm_vcpu_has_run(vcpu), vcpu->kvm))
		return;
	/* Zeros, as long as there has been none. */
	if (own->pmu.vendor)
		vpmu_reset(&own->pmu);
	own->source.foreign = config.vendor != vpmu_machine_vendor();
	error = vpmu_init(&own->pmu, &config, &vpmu_source_ops, &own->source);
	if (error != VPMU_OK) {
		pr_debug_ratelimited("vcpu %d has no PMU: %s\n", vcpu->vcpu_id,
				     vpmu_error_text(config.vendor, error));
		config.version = config.general = config.fixed = 0;
	}
	own->filter = 0;
	vpmu_set_svme(&own->pmu, vcpu->arch.efer & EFER_SVME);
	tell_kvm(vcpu, &config);
}

/* --- registers -------------------------------------------------------------------- */

/* With no PMU its registers are KVM's to answer. */
bool kvm_pmu_is_valid_msr(struct kvm_vcpu *vcpu, u32 msr)
{
	return vcpu_to_pmu(vcpu)->version && vpmu_msr_bits(vcpu_to_vpmu(vcpu), msr);
}

int kvm_pmu_get_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	struct vpmu *pmu = vcpu_to_vpmu(vcpu);
	enum vpmu_answer answer;

	if (msr_info->host_initiated)
		answer = vpmu_host_rdmsr(pmu, msr_info->index, &msr_info->data);
	else
		answer = vpmu_rdmsr(pmu, msr_info->index, &msr_info->data);
	request_service(vcpu);
	return answer != VPMU_DONE;
}

int kvm_pmu_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	struct vpmu *pmu = vcpu_to_vpmu(vcpu);
	enum vpmu_answer answer;

	if (msr_info->host_initiated)
		answer = vpmu_host_wrmsr(pmu, msr_info->index, msr_info->data);
	else
		answer = vpmu_wrmsr(pmu, msr_info->index, msr_info->data);
	request_service(vcpu);
	return answer != VPMU_DONE;
}

static bool has_debugctl(struct kvm_vcpu *vcpu)
{
	return kvm_pmu_is_valid_msr(vcpu, MSR_IA32_DEBUGCTLMSR);
}

void kvm_pmu_get_debugctl(struct kvm_vcpu *vcpu, struct msr_data *msr_info)
{
	if (has_debugctl(vcpu))
		kvm_pmu_get_msr(vcpu, msr_info);
}
EXPORT_SYMBOL_GPL(kvm_pmu_get_debugctl);

int kvm_pmu_set_debugctl(struct kvm_vcpu *vcpu, bool host_initiated, u64 *data)
{
	u64 bits = vpmu_msr_bits(vcpu_to_vpmu(vcpu), MSR_IA32_DEBUGCTLMSR);
	struct msr_data own = {
		.index = MSR_IA32_DEBUGCTLMSR,
		.data = *data & bits,
		.host_initiated = host_initiated,
	};

	if (!has_debugctl(vcpu))
		return 0;
	*data &= ~bits;
	return kvm_pmu_set_msr(vcpu, &own);
}
EXPORT_SYMBOL_GPL(kvm_pmu_set_debugctl);

/* --- RDPMC ------------------------------------------------------------------------ */

/* Counters of VMware's that KVM knows. */
enum {
	VMWARE_TSC = 0x10000,
	VMWARE_REAL_TIME = 0x10001,
	VMWARE_APPARENT_TIME = 0x10002,
};

bool is_vmware_backdoor_pmc(u32 index)
{
	return index >= VMWARE_TSC && index <= VMWARE_APPARENT_TIME;
}

static u64 vmware_counter(struct kvm_vcpu *vcpu, u32 index)
{
	if (index == VMWARE_TSC)
		return rdtsc();
	return ktime_get_boottime_ns() +
	       (index == VMWARE_APPARENT_TIME ? vcpu->kvm->arch.kvmclock_offset : 0);
}

static bool may_rdpmc(struct kvm_vcpu *vcpu)
{
	return kvm_is_cr4_bit_set(vcpu, X86_CR4_PCE) || !kvm_x86_call(get_cpl)(vcpu) ||
	       !kvm_is_cr0_bit_set(vcpu, X86_CR0_PE);
}

int kvm_pmu_rdpmc(struct kvm_vcpu *vcpu, unsigned int index, u64 *data)
{
	enum vpmu_answer answer;

	if (!vcpu_to_pmu(vcpu)->version)
		return 1;
	if (enable_vmware_backdoor && is_vmware_backdoor_pmc(index)) {
		*data = vmware_counter(vcpu, index);
		return 0;
	}
	answer = vpmu_rdpmc(vcpu_to_vpmu(vcpu), index, may_rdpmc(vcpu), data);
	request_service(vcpu);
	return answer != VPMU_DONE;
}

/* On AMD's all exceptions come before the intercept. */
int kvm_pmu_check_rdpmc_early(struct kvm_vcpu *vcpu, unsigned int index)
{
	const struct vpmu_config *config = &vcpu_to_vpmu(vcpu)->config;

	return config->vendor == VPMU_AMD && index >= config->general ? -EINVAL : 0;
}

/* --- instructions that KVM emulates ------------------------------------------------- */

static noinline bool count_by_kind(struct kvm_vcpu *vcpu, unsigned int kind)
{
	kind |= kvm_x86_call(get_cpl)(vcpu) ? 0 : VPMU_RETIRED_KERNEL;
	kind |= is_guest_mode(vcpu) ? VPMU_RETIRED_GUEST_MODE : 0;
	return vpmu_retired(vcpu_to_vpmu(vcpu), kind);
}

bool kvm_pmu_count_retired(struct kvm_vcpu *vcpu, unsigned int kind)
{
	struct vpmu *pmu = vcpu_to_vpmu(vcpu);

	if (likely(vpmu_counts_every_kind(pmu)))
		return vpmu_count_retired(pmu, kind);
	return count_by_kind(vcpu, kind);
}
EXPORT_SYMBOL_GPL(kvm_pmu_count_retired);

/* --- entries and exits -------------------------------------------------------------- */

static void release_idle(struct vpmu_vcpu *own)
{
	if (vpmu_active(&own->pmu))
		own->used_at = jiffies;
	else if (time_after(jiffies, own->used_at + IDLE_TIME))
		vpmu_release_idle(&own->pmu);
}

void vpmu_serve(struct kvm_vcpu *vcpu)
{
	if (vpmu_service(vcpu_to_vpmu(vcpu)) & VPMU_PMI)
		kvm_make_request(KVM_REQ_PMI, vcpu);
}

/* KVM_REQ_PMU; KVM looks for KVM_REQ_PMI next. */
void kvm_pmu_handle_event(struct kvm_vcpu *vcpu)
{
	struct vpmu_vcpu *own = vcpu_to_vpmu_vcpu(vcpu);

	own->services++;
	vpmu_adopt_filter(vcpu);
	vpmu_serve(vcpu);
	release_idle(own);
}

/* The local APIC masks LVTPC itself, for guests whose vendor does. */
void kvm_pmu_deliver_pmi(struct kvm_vcpu *vcpu)
{
	vcpu_to_vpmu_vcpu(vcpu)->pmis++;
	if (lapic_in_kernel(vcpu))
		kvm_apic_local_deliver(vcpu->arch.apic, APIC_LVTPC);
}

void kvm_pmu_settle(struct kvm_vcpu *vcpu)
{
	if (kvm_check_request(KVM_REQ_PMU, vcpu))
		kvm_pmu_handle_event(vcpu);
	if (kvm_check_request(KVM_REQ_PMI, vcpu))
		kvm_pmu_deliver_pmi(vcpu);
}

/* Is there an event that the guest may have no use for? */
static bool holds_events(const struct vpmu_source *source)
{
	return source->counts.created != source->counts.released;
}

void kvm_pmu_sched_in(struct kvm_vcpu *vcpu)
{
	struct vpmu_vcpu *own = vcpu_to_vpmu_vcpu(vcpu);

	if (!vcpu_to_pmu(vcpu)->version)
		return;
	if (vpmu_source_wants_again(&own->source))
		vpmu_ask_again(&own->pmu);
	else if (!holds_events(&own->source) || time_before(jiffies, own->used_at + IDLE_TIME))
		return;
	kvm_make_request(KVM_REQ_PMU, vcpu);
}

void kvm_pmu_run(struct kvm_vcpu *vcpu)
{
	struct vpmu_source *source = &vcpu_to_vpmu_vcpu(vcpu)->source;

	if (source->thread == current)
		return;
	source->thread = current;
	if (!holds_events(source))
		return;
	vpmu_ask_again(vcpu_to_vpmu(vcpu));
	kvm_make_request(KVM_REQ_PMU, vcpu);
}

/* --- guests of the guest's --------------------------------------------------------- */

void kvm_pmu_set_svme(struct kvm_vcpu *vcpu, bool svme)
{
	vpmu_set_svme(vcpu_to_vpmu(vcpu), svme);
	request_service(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_pmu_set_svme);

void kvm_pmu_change_mode(struct kvm_vcpu *vcpu)
{
	vpmu_source_set_mode(&vcpu_to_vpmu_vcpu(vcpu)->source, is_guest_mode(vcpu));
}
EXPORT_SYMBOL_GPL(kvm_pmu_change_mode);

/* --- debugfs ------------------------------------------------------------------------ */

void kvm_pmu_create_debugfs(struct kvm_vcpu *vcpu, struct dentry *folder)
{
	struct vpmu_vcpu *own = vcpu_to_vpmu_vcpu(vcpu);
	struct vpmu_source_counts *counts = &own->source.counts;

	folder = debugfs_create_dir("vpmu", folder);
	debugfs_create_u64("events_created", 0444, folder, &counts->created);
	debugfs_create_u64("events_released", 0444, folder, &counts->released);
	debugfs_create_u64("alarms", 0444, folder, &counts->alarms);
	debugfs_create_u64("totals", 0444, folder, &counts->totals);
	debugfs_create_u64("services", 0444, folder, &own->services);
	debugfs_create_u64("pmis", 0444, folder, &own->pmis);
}
