/* SPDX-License-Identifier: BSD-2-Clause
 *
 * With the PMU off there is none: not in CPUID, not in its registers.
 */
#include "pmu.h"

#define CPUID_1_ECX_PDCM (1u << 15)
#define MISC_ENABLE_EMON (1u << 7)

void test_main(void)
{
	struct cpuid leaf = cpuid(0xa, 0);
	uint64_t value;

	ok(!leaf.eax && !leaf.ebx && !leaf.ecx && !leaf.edx, "CPUID.0AH is zero");
	ok(!(cpuid(1, 0).ecx & CPUID_1_ECX_PDCM), "CPUID.01H shows no PDCM");
	ok(!try_rdpmc(0, &value), "RDPMC faults");
	is(rdmsr(MSR_MISC_ENABLE) & MISC_ENABLE_EMON, 0,
	   "MISC_ENABLE shows no performance monitoring");
	ok(!pmu_find(), "there is no PMU of version 2 or later");
}
