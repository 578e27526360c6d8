/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU's registers by counter, and what CPUID says of them.
 */
#include "pmu.h"

struct pmu pmu;

static bool is_fixed(unsigned int counter)
{
	return counter >= 32;
}

static uint32_t value_msr(unsigned int counter)
{
	if (is_fixed(counter))
		return MSR_FIXED_CTR0 + counter - 32;
	return (pmu.full_width ? MSR_A_PMC0 : MSR_PMC0) + counter;
}

bool pmu_find(void)
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
	return pmu.version >= 2;
}

void pmu_need(void)
{
	if (pmu_find())
		return;
	ok(false, "CPUID shows a PMU of version 2 or later");
	finish();
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

void pmu_clear(void)
{
	wrmsr(MSR_GLOBAL_CTRL, 0);
	wrmsr(MSR_DEBUGCTL, 0);
	wrmsr(MSR_FIXED_CTR_CTRL, 0);
	for (unsigned int i = 0; i < pmu.general; i++) {
		wrmsr(MSR_PERFEVTSEL0 + i, 0);
		counter_write(i, 0);
	}
	for (unsigned int i = 0; i < pmu.fixed; i++)
		counter_write(32 + i, 0);
	wrmsr(MSR_GLOBAL_OVF_CTRL, pmu_all() | (pmu.version >= 4 ? STATUS_CTR_FRZ : 0));
}

uint64_t counter_read(unsigned int counter)
{
	return rdmsr(value_msr(counter));
}

void counter_write(unsigned int counter, uint64_t value)
{
	wrmsr(value_msr(counter), value & pmu_value_mask());
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
		wrmsr(MSR_PERFEVTSEL0 + counter, (uint64_t)event | flags);
		return;
	}
	control = rdmsr(MSR_FIXED_CTR_CTRL) & ~FIXED_FIELD(counter - 32, 0xf);
	if (flags & SEL_EN)
		control |= FIXED_FIELD(counter - 32, fixed_bits(flags));
	wrmsr(MSR_FIXED_CTR_CTRL, control);
}

void measure_all(void (*function)(void *), void *argument)
{
	const struct measure measure = {
		.enable = pmu_all(),
		.disable = 0,
		.function = function,
		.argument = argument,
		.msr = MSR_GLOBAL_CTRL,
	};

	measured_call(&measure);
}
