/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The registers that vpmu_rdmsr() and vpmu_wrmsr() answer, for hosts that have to
 * say beforehand which they intercept. Numbers: SDM vol. 4.
 */
#ifndef VPMU_MSR_H
#define VPMU_MSR_H

enum vpmu_msr {
	VPMU_MSR_PMC0 = 0xc1,         /* and one each for the other general counters */
	VPMU_MSR_PERFEVTSEL0 = 0x186, /* the same */
	VPMU_MSR_DEBUGCTL = 0x1d9,
	VPMU_MSR_FIXED_CTR0 = 0x309, /* and one each for the other fixed counters */
	VPMU_MSR_PERF_CAPABILITIES = 0x345,
	VPMU_MSR_FIXED_CTR_CTRL = 0x38d,
	VPMU_MSR_PERF_GLOBAL_STATUS = 0x38e,
	VPMU_MSR_PERF_GLOBAL_CTRL = 0x38f,
	VPMU_MSR_PERF_GLOBAL_STATUS_RESET = 0x390, /* before version 4: PERF_GLOBAL_OVF_CTRL */
	VPMU_MSR_PERF_GLOBAL_STATUS_SET = 0x391,
	VPMU_MSR_PERF_GLOBAL_INUSE = 0x392,
	VPMU_MSR_A_PMC0 = 0x4c1, /* and one each for the other general counters */
};

#endif
