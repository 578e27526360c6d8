/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is Intel's alone: see registers.c.
 */
#include "registers.h"

#define CPUID_1_ECX_DTES64  (1u << 2)
#define CPUID_1_ECX_PDCM    (1u << 15)
#define CPUID_1_EDX_DS      (1u << 21)
#define MISC_ENABLE_EMON    (1u << 7)
#define MISC_ENABLE_NO_BTS  (1u << 11)
#define MISC_ENABLE_NO_PEBS (1u << 12)
/* Cache references and misses, branch misses: nothing counts them under TCG. */
#define NOT_COUNTED         (1u << 3 | 1u << 4 | 1u << 6)
#define NOT_COUNTED_TOPDOWN (1u << 7)

static void test_cpuid(void)
{
	struct cpuid one = cpuid(1, 0), ten = cpuid(0xa, 0);
	unsigned int length = ten.eax >> 24;
	uint32_t missing = NOT_COUNTED | (length > 7 ? NOT_COUNTED_TOPDOWN : 0);

	is(pmu.version, option("version", pmu.version), "CPUID.0AH shows the version asked for");
	is(pmu.general, pmu.version >= 5 ? 8 : 4, "CPUID.0AH shows the general counters");
	is(pmu.general_width, 48, "general counters are 48 bits wide");
	is(pmu.fixed, 3, "CPUID.0AH shows three fixed counters");
	is(pmu.fixed_width, 48, "fixed counters are 48 bits wide");
	ok(length == 7 || (pmu.version >= 5 && length == 8),
	   "CPUID.0AH's vector of events has a length that fits the version");
	is(ten.ebx, missing, "CPUID.0AH advertises exactly the events that are counted");
	is(ten.ecx, pmu.version >= 5 ? 7 : 0,
	   "CPUID.0AH:ECX lists fixed counters from version 5 on");
	is(ten.edx & ~(0x1fffu | 1u << 15), 0, "CPUID.0AH:EDX has no other bit set");
	ok(one.ecx & CPUID_1_ECX_PDCM, "CPUID.01H shows PDCM");
	ok(!(one.ecx & CPUID_1_ECX_DTES64) && !(one.edx & CPUID_1_EDX_DS),
	   "CPUID.01H shows no debug store");
}

static void test_legacy_writes(void)
{
	bool extended = true, positive = true, same = true;

	for (unsigned int i = 0; i < pmu.general; i++) {
		wrmsr(MSR_PMC0 + i, 0x1234567880000001);
		extended = extended && rdmsr(MSR_PMC0 + i) == 0xffff80000001;
		same = same && rdmsr(MSR_A_PMC0 + i) == 0xffff80000001;
		wrmsr(MSR_PMC0 + i, 0xffffffff7ffffffe);
		positive = positive && rdmsr(MSR_PMC0 + i) == 0x7ffffffe;
		wrmsr(MSR_A_PMC0 + i, 0x123456789abc);
		same = same && rdmsr(MSR_PMC0 + i) == 0x123456789abc;
		wrmsr(MSR_PMC0 + i, 0);
	}
	ok(extended, "a write to PMC is sign-extended from bit 31 to the counter's width");
	ok(positive, "a positive write to PMC drops its upper half");
	ok(same, "PMC and A_PMC are the same counter");
}

static void test_inuse(void)
{
	bool each = true;

	if (pmu.version < 4)
		return;
	is(rdmsr(MSR_GLOBAL_INUSE), 0, "GLOBAL_INUSE is zero with nothing programmed");
	for (unsigned int i = 0; i < pmu.general; i++) {
		wrmsr(MSR_PERFEVTSEL0 + i, 0xc0);
		each = each && rdmsr(MSR_GLOBAL_INUSE) == 1ull << i;
		wrmsr(MSR_PERFEVTSEL0 + i, 0);
	}
	ok(each, "GLOBAL_INUSE shows a general counter whose event select is not zero");
	each = true;
	for (unsigned int i = 0; i < pmu.fixed; i++) {
		wrmsr(MSR_FIXED_CTR_CTRL, FIXED_FIELD(i, FIXED_USR));
		each = each && rdmsr(MSR_GLOBAL_INUSE) == FIXED_BIT(i);
	}
	ok(each, "GLOBAL_INUSE shows a fixed counter that is enabled at any level");
	wrmsr(MSR_FIXED_CTR_CTRL, FIXED_FIELD(0, FIXED_PMI));
	is(rdmsr(MSR_GLOBAL_INUSE), INUSE_PMI, "GLOBAL_INUSE shows a fixed counter's PMI");
	wrmsr(MSR_FIXED_CTR_CTRL, 0);
	wrmsr(MSR_PERFEVTSEL0, SEL_INT);
	is(rdmsr(MSR_GLOBAL_INUSE), INUSE_PMI, "GLOBAL_INUSE shows a general counter's PMI");
	wrmsr(MSR_PERFEVTSEL0, 0);
}

static void test_capabilities(void)
{
	uint64_t value = rdmsr(MSR_PERF_CAPABILITIES);

	ok(value & CAPABILITIES_FW_WRITE, "PERF_CAPABILITIES shows full-width writes");
	is(value & ~CAPABILITIES_FW_WRITE, 0, "PERF_CAPABILITIES shows neither LBR nor PEBS");
	value = rdmsr(MSR_MISC_ENABLE);
	ok(value & MISC_ENABLE_EMON, "MISC_ENABLE shows performance monitoring");
	ok((value & MISC_ENABLE_NO_BTS) && (value & MISC_ENABLE_NO_PEBS),
	   "MISC_ENABLE shows BTS and PEBS as unavailable");
	ok(value & 1, "MISC_ENABLE keeps the bits of others");
}

void test_intel(void)
{
	test_cpuid();
	test_legacy_writes();
	test_inuse();
	test_capabilities();
}
