/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * Which PMU: what this machine lets KVM offer, and what a guest's CPUID says that it has. The
 * guest's vendor decides, not the machine's.
 */
#include <linux/kvm_host.h>
#include <asm/cpufeature.h>
#include <asm/perf_event.h>
#include "cpuid.h"
#include "vcpu.h"
#include "x86.h"

/* Intel's newest version that there is. */
#define VERSION_MAX 5

/* PERF_CAPABILITIES: counters have a second row of registers. */
#define FULL_WIDTH_WRITES BIT_ULL(13)

struct x86_pmu_capability __read_mostly kvm_pmu_cap;
EXPORT_SYMBOL_GPL(kvm_pmu_cap);

enum vpmu_vendor_id vpmu_machine_vendor(void)
{
	return boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
			       boot_cpu_data.x86_vendor == X86_VENDOR_HYGON
		       ? VPMU_AMD
		       : VPMU_INTEL;
}

/* On processors with several kinds of cores a vCPU's counters would depend on where it runs. */
void kvm_pmu_start(void)
{
	if (cpu_feature_enabled(X86_FEATURE_HYBRID_CPU))
		enable_pmu = false;
	if (enable_pmu)
		perf_get_x86_pmu_capability(&kvm_pmu_cap);
	if (!kvm_pmu_cap.num_counters_gp)
		enable_pmu = false;
	if (!enable_pmu) {
		memset(&kvm_pmu_cap, 0, sizeof(kvm_pmu_cap));
		return;
	}
	kvm_pmu_cap.version = min(kvm_pmu_cap.version, VERSION_MAX);
	kvm_pmu_cap.num_counters_gp = min3(kvm_pmu_cap.num_counters_gp, VPMU_MAX_GENERAL,
					   (int)KVM_MAX_NR_GP_COUNTERS);
	kvm_pmu_cap.num_counters_fixed =
		min(kvm_pmu_cap.num_counters_fixed, (int)KVM_MAX_NR_FIXED_COUNTERS);
}

static unsigned int amd_counters(struct kvm_vcpu *vcpu)
{
	unsigned int most = kvm_pmu_cap.num_counters_gp;

	if (guest_cpuid_has(vcpu, X86_FEATURE_PERFMON_V2))
		return min(kvm_find_cpuid_entry_index(vcpu, 0x80000022, 0)->ebx & 0xf, most);
	if (guest_cpuid_has(vcpu, X86_FEATURE_PERFCTR_CORE) && most >= AMD64_NUM_COUNTERS_CORE)
		return AMD64_NUM_COUNTERS_CORE;
	return AMD64_NUM_COUNTERS;
}

static struct vpmu_config amd_config(struct kvm_vcpu *vcpu)
{
	unsigned int version = guest_cpuid_has(vcpu, X86_FEATURE_PERFMON_V2) ? 2 : 1;
	struct vpmu_config config = vpmu_config_amd(version, amd_counters(vcpu), ~0u);

	config.nested = guest_cpuid_has(vcpu, X86_FEATURE_SVM);
	return config;
}

/* The events that CPUID offers, and that of the third fixed counter, which it has no bit for. */
static u32 intel_events(union cpuid10_eax eax, u32 absent)
{
	unsigned int length = min_t(unsigned int, eax.split.mask_length, VPMU_EVENT_ARCHITECTURAL);

	return (~absent & ((1u << length) - 1)) | 1u << VPMU_EVENT_TSC_CYCLES;
}

static struct vpmu_config intel_config(struct kvm_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *entry = kvm_find_cpuid_entry(vcpu, 0xa);
	struct vpmu_config config = { .vendor = VPMU_INTEL };
	union cpuid10_eax eax;
	union cpuid10_edx edx;

	if (!entry)
		return config;
	eax.full = entry->eax;
	edx.full = entry->edx;
	config.version = min_t(u8, eax.split.version_id, VERSION_MAX);
	config.general = min_t(int, eax.split.num_counters, kvm_pmu_cap.num_counters_gp);
	config.general_width = min_t(int, eax.split.bit_width, kvm_pmu_cap.bit_width_gp);
	config.events = intel_events(eax, entry->ebx);
	if (config.version > 1) {
		config.fixed = min_t(u8, edx.split.num_counters_fixed, KVM_MAX_NR_FIXED_COUNTERS);
		config.fixed_width = min_t(u8, edx.split.bit_width_fixed, kvm_pmu_cap.bit_width_gp);
	}
	config.full_width_writes = guest_cpuid_has(vcpu, X86_FEATURE_PDCM) &&
				   vcpu->arch.perf_capabilities & FULL_WIDTH_WRITES;
	return config;
}

struct vpmu_config vpmu_guest_config(struct kvm_vcpu *vcpu)
{
	bool intel = guest_cpuid_is_intel_compatible(vcpu);

	if (!vcpu->kvm->arch.enable_pmu)
		return (struct vpmu_config){ .vendor = intel ? VPMU_INTEL : VPMU_AMD };
	return intel ? intel_config(vcpu) : amd_config(vcpu);
}
