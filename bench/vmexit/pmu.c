/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pmu.h. CPUID: SDM vol. 2, leaf 0AH; APM vol. 3, functions 8000_0001H and 8000_0022H.
 */
#include "pmu.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <vpmu/msr.h>

#define LEAF_PERFMON      0x0a
#define LEAF_AMD_FEATURES UINT32_C(0x80000001)
#define LEAF_AMD_PERFMON  UINT32_C(0x80000022)
#define AMD_PERF_CTR_CORE (UINT32_C(1) << 23) /* of ECX */
#define AMD_PERFMON_V2    UINT32_C(1)         /* of EAX */
#define K7_COUNTERS       4
#define AMD_CORE_COUNTERS 6

const char *const pmu_state_names[PMU_STATES] = { "off", "idle", "cycles", "instructions" };

static const struct kvm_cpuid_entry2 *leaf_of(const struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
	static const struct kvm_cpuid_entry2 none;

	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf && !cpuid->entries[i].index)
			return &cpuid->entries[i];
	return &none;
}

static bool is_amd(const struct kvm_cpuid2 *cpuid)
{
	const uint32_t ebx = leaf_of(cpuid, 0)->ebx;

	return !memcmp(&ebx, "Auth", sizeof(ebx)) || !memcmp(&ebx, "Hygo", sizeof(ebx));
}

static void set_name(struct pmu *pmu, const char *name, unsigned int counters)
{
	snprintf(pmu->name, sizeof(pmu->name), "%s, %u counters", name, counters);
}

static void read_amd(struct pmu *pmu, const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *perfmon = leaf_of(cpuid, LEAF_AMD_PERFMON);
	unsigned int counters = AMD_CORE_COUNTERS;

	pmu->select = VPMU_AMD_MSR_PERF_CTL0;
	pmu->counter = VPMU_AMD_MSR_PERF_CTR0;
	if (perfmon->eax & AMD_PERFMON_V2) {
		counters = perfmon->ebx & 0xf;
		pmu->control = VPMU_AMD_MSR_PERF_CNTR_GLOBAL_CTL;
		pmu->enabled = (UINT64_C(1) << counters) - 1;
		set_name(pmu, "AMD PerfMonV2", counters);
	} else if (leaf_of(cpuid, LEAF_AMD_FEATURES)->ecx & AMD_PERF_CTR_CORE) {
		set_name(pmu, "AMD core", counters);
	} else {
		pmu->select = VPMU_AMD_MSR_K7_EVNTSEL0;
		pmu->counter = VPMU_AMD_MSR_K7_PERFCTR0;
		set_name(pmu, "AMD K7", K7_COUNTERS);
	}
}

static void read_intel(struct pmu *pmu, const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *perfmon = leaf_of(cpuid, LEAF_PERFMON);
	const unsigned int version = perfmon->eax & 0xff;
	const unsigned int general = perfmon->eax >> 8 & 0xff;
	const unsigned int fixed = perfmon->edx & 0x1f;
	char name[32];

	pmu->select = VPMU_MSR_PERFEVTSEL0;
	pmu->counter = VPMU_MSR_PMC0;
	if (!version || !general) {
		pmu->none = "its CPUID has no PMU (leaf 0AH)";
		return;
	}
	if (version > 1) {
		pmu->control = VPMU_MSR_PERF_GLOBAL_CTRL;
		pmu->enabled = (UINT64_C(1) << general) - 1;
		pmu->enabled |= ((UINT64_C(1) << fixed) - 1) << VPMU_FIXED;
	}
	snprintf(name, sizeof(name), "Intel version %u", version);
	set_name(pmu, name, general + fixed);
}

struct pmu pmu_of(int kvm, const struct kvm_cpuid2 *cpuid)
{
	struct pmu pmu = { .vendor = is_amd(cpuid) ? VPMU_AMD : VPMU_INTEL };

	if (pmu.vendor == VPMU_AMD)
		read_amd(&pmu, cpuid);
	else
		read_intel(&pmu, cpuid);
	if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_PMU_CAPABILITY) <= 0)
		pmu.none = "KVM_CAP_PMU_CAPABILITY is 0";
	return pmu;
}

static uint64_t event_select(const struct pmu *pmu, enum vpmu_event_id event)
{
	uint16_t select = 0;
	uint8_t umask = 0;

	vpmu_event_encoding(pmu->vendor, event, &select, &umask);
	return select | (uint64_t)umask << 8 | VPMU_EVTSEL_OS | VPMU_EVTSEL_USR | VPMU_EVTSEL_EN;
}

static struct guest_write write_of(uint32_t msr, uint64_t value)
{
	return (struct guest_write){ msr, (uint32_t)value, (uint32_t)(value >> 32) };
}

/* Idle: all counters are globally enabled, as Linux leaves them, and none is enabled itself. */
void pmu_writes(const struct pmu *pmu, enum pmu_state state, struct guest_write writes[PMU_WRITES])
{
	unsigned int count = 0;

	if (state == PMU_CYCLES)
		writes[count++] = write_of(pmu->select, event_select(pmu, VPMU_EVENT_CYCLES));
	if (state == PMU_INSTRUCTIONS)
		writes[count++] = write_of(pmu->select, event_select(pmu, VPMU_EVENT_INSTRUCTIONS));
	if (state != PMU_OFF && pmu->control)
		writes[count++] = write_of(pmu->control, pmu->enabled);
	writes[count] = write_of(0, 0);
}
