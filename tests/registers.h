/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU's registers by the manuals' numbers (SDM vol. 4; APM vol. 2, "MSR
 * Cross-Reference"), for all tests. Not the library's own header: a wrong number there
 * is to be found.
 */
#ifndef TESTS_REGISTERS_H
#define TESTS_REGISTERS_H

#include <stdint.h>

enum {
	PMC0 = 0xc1,
	PERFEVTSEL0 = 0x186,
	MISC_ENABLE = 0x1a0,
	OFFCORE_RSP0 = 0x1a6,
	OFFCORE_RSP1 = 0x1a7,
	DEBUGCTL = 0x1d9,
	FIXED_CTR0 = 0x309,
	PERF_CAPABILITIES = 0x345,
	FIXED_CTR_CTRL = 0x38d,
	GLOBAL_STATUS = 0x38e,
	GLOBAL_CTRL = 0x38f,
	STATUS_RESET = 0x390,
	STATUS_SET = 0x391,
	GLOBAL_INUSE = 0x392,
	PEBS_LD_LAT = 0x3f6,
	PEBS_FRONTEND = 0x3f7,
	A_PMC0 = 0x4c1,
};

/* AMD's; each PERF_CTR is one above its PERF_CTL. */
#define AMD_GLOBAL_STATUS     UINT32_C(0xc0000300)
#define AMD_GLOBAL_CTL        UINT32_C(0xc0000301)
#define AMD_GLOBAL_STATUS_CLR UINT32_C(0xc0000302)
#define AMD_GLOBAL_STATUS_SET UINT32_C(0xc0000303)
#define K7_EVNTSEL0           UINT32_C(0xc0010000)
#define K7_PERFCTR0           UINT32_C(0xc0010004)
#define PERF_CTL0             UINT32_C(0xc0010200)
#define PERF_CTR0             UINT32_C(0xc0010201)

#endif
