/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU's registers by counter, and what CPUID says of them.
 */
#include "pmu.h"

#define CPUID_AMD         0x68747541 /* "Auth", EBX */
#define LEAF_EXTENDED     0x80000000
#define LEAF_FEATURES     0x80000001
#define LEAF_PERFMON_V2   0x80000022
#define FEATURES_CORE     (1u << 23)
#define PERFMON_V2        1u
#define K7_COUNTERS       4
#define CORE_COUNTERS     6
#define AMD_COUNTER_WIDTH 48

struct pmu pmu;

/* Event and unit mask, as in PERFEVTSEL's low 16 bits; 0: there is none. */
static const struct encoding {
	uint16_t intel, amd;
	bool v2; /* AMD's processors have it with PerfMonV2, not before */
} encodings[] = {
	[EVENT_CYCLES] = { 0x003c, 0x0076, false },
	[EVENT_INSTRUCTIONS] = { 0x00c0, 0x00c0, false },
	[EVENT_REF_CYCLES] = { 0x013c, 0, false },
	[EVENT_LLC_REFERENCES] = { 0x4f2e, 0, false },
	[EVENT_LLC_MISSES] = { 0x412e, 0, false },
	[EVENT_BRANCHES] = { 0x00c4, 0x00c2, false },
	[EVENT_BRANCH_MISSES] = { 0x00c5, 0x00c3, false },
	[EVENT_CONDITIONAL] = { 0x01c4, 0x00d1, false },
	[EVENT_CALLS] = { 0x02c4, 0, false },
	[EVENT_RETURNS] = { 0x08c4, 0x00c8, false },
	[EVENT_FAR_BRANCHES] = { 0x40c4, 0x00c6, false },
	[EVENT_LOADS] = { 0x81d0, 0, false },
	[EVENT_STORES] = { 0x82d0, 0, false },
	[EVENT_INTERRUPTS] = { 0x01cb, 0x002c, true },
	[EVENT_SKYLAKE_ALL_BRANCHES] = { 0x04c4, 0, false },
	[EVENT_SKYLAKE_BRANCH_MISSES] = { 0x04c5, 0, false },
	[EVENT_SKYLAKE_L1D_REPLACEMENT] = { 0x0151, 0, false },
	[EVENT_SKYLAKE_L1I_MISSES] = { 0x0283, 0, false },
	[EVENT_SKYLAKE_OFFCORE_0] = { 0x01b7, 0, false },
	[EVENT_SKYLAKE_OFFCORE_1] = { 0x01bb, 0, false },
	[EVENT_SKYLAKE_L1D_LOAD_MISSES] = { 0x08d1, 0, false },
	[EVENT_SKYLAKE_DTLB_MISSES] = { 0x0e08, 0, false },
};

static uint16_t encoding_of(enum event event)
{
	const struct encoding *encoding = &encodings[event];

	if (!pmu.amd)
		return encoding->intel;
	return encoding->v2 && pmu.version < 2 ? 0 : encoding->amd;
}

bool event_exists(enum event event)
{
	return encoding_of(event);
}

uint64_t event_select(enum event event, uint64_t flags)
{
	return event_exists(event) ? encoding_of(event) | flags : 0;
}

static bool is_fixed(unsigned int counter)
{
	return counter >= 32;
}

uint32_t counter_msr(unsigned int counter)
{
	if (is_fixed(counter))
		return MSR_FIXED_CTR0 + counter - 32;
	return pmu.value + counter * pmu.stride;
}

uint32_t select_msr(unsigned int counter)
{
	return pmu.select + counter * pmu.stride;
}

static void find_intel(void)
{
	struct cpuid leaf = cpuid(0xa, 0);
	unsigned int length = leaf.eax >> 24;
	uint64_t capabilities;

	pmu.version = leaf.eax & 0xff;
	pmu.general = leaf.eax >> 8 & 0xff;
	pmu.general_width = leaf.eax >> 16 & 0xff;
	pmu.fixed = leaf.edx & 0x1f;
	pmu.fixed_width = leaf.edx >> 5 & 0xff;
	pmu.unavailable = leaf.ebx | (length < 32 ? ~0u << length : 0);
	pmu.any_thread_gone = leaf.edx & 1 << 15;
	pmu.full_width = pmu.version && try_rdmsr(MSR_PERF_CAPABILITIES, &capabilities) &&
			 (capabilities & CAPABILITIES_FW_WRITE);
	pmu.leaf = 0xa;
	pmu.select = MSR_PERFEVTSEL0;
	pmu.value = pmu.full_width ? MSR_A_PMC0 : MSR_PMC0;
	pmu.stride = 1;
	pmu.global_ctrl = MSR_GLOBAL_CTRL;
	pmu.status = MSR_GLOBAL_STATUS;
	pmu.status_clear = MSR_GLOBAL_OVF_CTRL;
	pmu.status_set = pmu.version >= 4 ? MSR_GLOBAL_STATUS_SET : 0;
	pmu.frozen = pmu.version >= 4 ? STATUS_CTR_FRZ : 0;
	pmu.masked = LVT_MASKED;
}

bool is_kvm_guest(void)
{
	return option("kvm", 0);
}

static void find_v2(void)
{
	pmu.version = 2;
	pmu.general = cpuid(LEAF_PERFMON_V2, 0).ebx & 0xf;
	pmu.leaf = LEAF_PERFMON_V2;
	pmu.global_ctrl = MSR_AMD_GLOBAL_CTRL;
	pmu.status = MSR_AMD_GLOBAL_STATUS;
	pmu.status_clear = MSR_AMD_GLOBAL_STATUS_CLR;
	pmu.status_set = MSR_AMD_GLOBAL_STATUS_SET;
	pmu.frozen = STATUS_CTR_FRZ;
}

static void find_amd(void)
{
	bool core = cpuid(LEAF_FEATURES, 0).ecx & FEATURES_CORE;

	pmu = (struct pmu){
		.amd = true,
		.version = 1,
		.general = core ? CORE_COUNTERS : K7_COUNTERS,
		.general_width = AMD_COUNTER_WIDTH,
		.leaf = LEAF_FEATURES,
		.select = core ? MSR_PERF_CTL0 : MSR_K7_SELECT0,
		.value = core ? MSR_PERF_CTR0 : MSR_K7_COUNTER0,
		.stride = core ? 2 : 1,
	};
	if (cpuid(LEAF_EXTENDED, 0).eax >= LEAF_PERFMON_V2 &&
	    (cpuid(LEAF_PERFMON_V2, 0).eax & PERFMON_V2))
		find_v2();
}

bool pmu_find(void)
{
	if (cpuid(0, 0).ebx == CPUID_AMD)
		find_amd();
	else
		find_intel();
	return pmu.amd || pmu.version >= 2;
}

void pmu_need(void)
{
	if (pmu_find())
		return;
	ok(false, "CPUID shows a PMU of version 2 or later");
	finish();
}

/* Intel's fourth fixed counter; PerfMonV2's first register, and that has all that there are. */
uint32_t pmu_absent_msr(void)
{
	if (!pmu.amd)
		return MSR_FIXED_CTR0 + pmu.fixed;
	return pmu.global_ctrl ? 0 : MSR_AMD_GLOBAL_STATUS;
}

uint64_t pmu_general_mask(void)
{
	return (1ull << pmu.general) - 1;
}

uint64_t pmu_all(void)
{
	return pmu_general_mask() | ((1ull << pmu.fixed) - 1) << 32;
}

uint64_t pmu_value_mask(void)
{
	return (1ull << pmu.general_width) - 1;
}

uint64_t pmu_status(void)
{
	return pmu.status ? rdmsr(pmu.status) : 0;
}

void pmu_clear_status(uint64_t bits)
{
	if (pmu.status_clear)
		wrmsr(pmu.status_clear, bits);
}

void pmu_acknowledge(uint32_t lvtpc)
{
	pmu_clear_status(pmu_all() | pmu.frozen);
	apic_write(APIC_LVTPC, lvtpc);
}

void pmu_clear(void)
{
	counters_stop();
	if (pmu.global_ctrl)
		wrmsr(MSR_DEBUGCTL, 0);
	if (pmu.fixed)
		wrmsr(MSR_FIXED_CTR_CTRL, 0);
	for (unsigned int i = 0; i < pmu.general; i++) {
		wrmsr(select_msr(i), 0);
		counter_write(i, 0);
	}
	for (unsigned int i = 0; i < pmu.fixed; i++)
		counter_write(32 + i, 0);
	pmu_clear_status(pmu_all() | pmu.frozen);
}

uint64_t counter_read(unsigned int counter)
{
	return rdmsr(counter_msr(counter));
}

void counter_write(unsigned int counter, uint64_t value)
{
	wrmsr(counter_msr(counter), value & pmu_value_mask());
}

uint32_t counter_index(unsigned int counter)
{
	return is_fixed(counter) ? RDPMC_FIXED | (counter - 32) : counter;
}

static uint64_t fixed_bits(uint64_t flags)
{
	return (flags & SEL_OS ? FIXED_OS : 0) | (flags & SEL_USR ? FIXED_USR : 0) |
	       (flags & SEL_INT ? FIXED_PMI : 0);
}

void counter_program(unsigned int counter, enum event event, uint64_t flags)
{
	uint64_t control;

	if (!is_fixed(counter)) {
		if (!pmu.global_ctrl)
			flags &= ~(uint64_t)SEL_EN;
		wrmsr(select_msr(counter), event_select(event, flags));
		return;
	}
	control = rdmsr(MSR_FIXED_CTR_CTRL) & ~FIXED_FIELD(counter - 32, 0xf);
	if (flags & SEL_EN)
		control |= FIXED_FIELD(counter - 32, fixed_bits(flags));
	wrmsr(MSR_FIXED_CTR_CTRL, control);
}

/* What lets a programmed counter count where there is no global control. */
static uint64_t enabling_select(unsigned int counter)
{
	uint64_t select = rdmsr(select_msr(counter));

	return select ? select | SEL_EN : 0;
}

void counters_start(uint64_t counters)
{
	if (pmu.global_ctrl) {
		wrmsr(pmu.global_ctrl, counters);
		return;
	}
	for (unsigned int i = 0; i < pmu.general; i++)
		if (counters >> i & 1)
			wrmsr(select_msr(i), enabling_select(i));
}

void counters_stop(void)
{
	if (pmu.global_ctrl) {
		wrmsr(pmu.global_ctrl, 0);
		return;
	}
	for (unsigned int i = 0; i < pmu.general; i++)
		wrmsr(select_msr(i), rdmsr(select_msr(i)) & ~(uint64_t)SEL_EN);
}

bool counters_are_on(void)
{
	bool on = pmu.global_ctrl && rdmsr(pmu.global_ctrl);

	for (unsigned int i = 0; i < pmu.general && !pmu.global_ctrl; i++)
		on = on || (rdmsr(select_msr(i)) & SEL_EN);
	return on;
}

/* For measured_call_each(), in its order. Where there are fewer counters the last one fills up. */
struct each_select {
	uint64_t msr, enable, disable;
};
void measured_call_each(const struct each_select each[CORE_COUNTERS], void (*function)(void *),
			void *argument);
/* The moves and the WRMSR of one of them. */
#define EACH_INSTRUCTIONS 4

static void measure_each(void (*function)(void *), void *argument)
{
	struct each_select each[CORE_COUNTERS];

	for (unsigned int i = 0; i < CORE_COUNTERS; i++) {
		unsigned int counter = i < pmu.general ? i : pmu.general - 1;
		uint32_t msr = select_msr(counter);

		each[i] = (struct each_select){ msr, enabling_select(counter), rdmsr(msr) };
	}
	measured_call_each(each, function, argument);
}

void measure_all(void (*function)(void *), void *argument)
{
	const struct measure measure = {
		.enable = pmu_all(),
		.disable = 0,
		.function = function,
		.argument = argument,
		.msr = pmu.global_ctrl,
	};

	if (pmu.global_ctrl)
		measured_call(&measure);
	else
		measure_each(function, argument);
}

/* A counter that starts later stops as much later. */
unsigned int measure_instructions(void)
{
	return MEASURE_INSTRUCTIONS +
	       (pmu.global_ctrl ? 0 : (CORE_COUNTERS - 1) * EACH_INSTRUCTIONS);
}

unsigned int measure_instructions_before(unsigned int counter)
{
	return 1 + (pmu.global_ctrl ? 0 : (CORE_COUNTERS - 1 - counter) * EACH_INSTRUCTIONS);
}
