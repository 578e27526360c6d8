/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is AMD's alone: see registers.c. APM vol. 2, "Performance Monitoring Counters";
 * vol. 3, "CPUID Fn8000_0001", "CPUID Fn8000_0022".
 */
#include "registers.h"

#define FEATURES_CORE  (1u << 23)
#define FEATURES_OTHER (1u << 24 | 1u << 28) /* counters of the northbridge, of the caches */

#define LEAF_PERFMON_V2  0x80000022
#define V2_ALONE         (1u << 0)
#define V2_AND_FREEZE    (V2_ALONE | 1u << 2)
#define ALIASED_COUNTERS 4

static void test_cpuid(void)
{
	struct cpuid features = cpuid(0x80000001, 0), v2 = cpuid(LEAF_PERFMON_V2, 0);
	struct cpuid ten = cpuid(0xa, 0);

	is(pmu.general, option("counters", pmu.general),
	   "CPUID shows as many counters as it should");
	is(pmu.version, option("version", pmu.version), "CPUID shows PerfMonV2 where it is");
	is(features.ecx & FEATURES_CORE, pmu.general > ALIASED_COUNTERS ? FEATURES_CORE : 0,
	   "CPUID.80000001H shows the core extension where it is");
	is(features.ecx & FEATURES_OTHER, 0, "and no counters outside the core");
	ok(!(ten.eax | ten.ebx | ten.ecx | ten.edx), "CPUID.0AH shows no PMU of Intel's");
	if (pmu.version < 2) {
		ok(cpuid(0x80000000, 0).eax < LEAF_PERFMON_V2 || !(v2.eax & 1),
		   "CPUID.80000022H shows no PerfMonV2");
		return;
	}
	is(v2.eax, is_kvm_guest() ? V2_ALONE : V2_AND_FREEZE, "CPUID.80000022H shows PerfMonV2%s",
	   is_kvm_guest() ? "" : ", and that PMIs can freeze it");
	ok(v2.ebx == pmu.general && !v2.ecx && !v2.edx, "and the number of counters, and no more");
}

static void test_aliases(void)
{
	bool same = true;

	if (pmu.general <= ALIASED_COUNTERS)
		return;
	for (unsigned int i = 0; i < ALIASED_COUNTERS; i++) {
		wrmsr(MSR_K7_SELECT0 + i, 0x100 + i);
		wrmsr(MSR_K7_COUNTER0 + i, (0x800000000000ul | i));
		same = same && rdmsr(select_msr(i)) == 0x100 + i &&
		       counter_read(i) == (0x800000000000ul | i);
		wrmsr(select_msr(i), 0x200 + i);
		counter_write(i, (0x400000000000ul | i));
		same = same && rdmsr(MSR_K7_SELECT0 + i) == 0x200 + i &&
		       rdmsr(MSR_K7_COUNTER0 + i) == (0x400000000000ul | i);
	}
	ok(same, "the first four counters are the K7's, by other numbers");
	pmu_clear();
}

static void test_wide_writes(void)
{
	counter_write(0, 0);
	wrmsr(counter_msr(0), ~0ull);
	is(counter_read(0), pmu_value_mask(), "a write of all bits sets a counter's 48");
	wrmsr(counter_msr(0), 0xffff000080000000);
	is(counter_read(0), 0x80000000, "and one of 32 bits is extended by no sign");
	counter_write(0, 0);
}

static void test_ignored_status(void)
{
	if (!pmu.status)
		return;
	wrmsr(pmu.status_set, ~0ull);
	is(pmu_status(), pmu_all() | STATUS_LBR_FRZ | STATUS_CTR_FRZ,
	   "PerfCntrGlobalStatusSet sets the status bits that there are");
	wrmsr(pmu.status, 0);
	is(pmu_status(), pmu_all() | STATUS_LBR_FRZ | STATUS_CTR_FRZ,
	   "a write to PerfCntrGlobalStatus is ignored");
	pmu_clear_status(~0ull);
	is(pmu_status(), 0, "PerfCntrGlobalStatusClr clears all of them");
}

void test_amd(void)
{
	test_cpuid();
	test_aliases();
	test_wide_writes();
	test_ignored_status();
}
