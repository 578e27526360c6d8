/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU's registers by the manual's numbers (SDM vol. 4), for all tests. Not the
 * library's own header: a wrong number there is to be found.
 */
#ifndef TESTS_REGISTERS_H
#define TESTS_REGISTERS_H

enum {
	PMC0 = 0xc1,
	PERFEVTSEL0 = 0x186,
	MISC_ENABLE = 0x1a0,
	DEBUGCTL = 0x1d9,
	FIXED_CTR0 = 0x309,
	PERF_CAPABILITIES = 0x345,
	FIXED_CTR_CTRL = 0x38d,
	GLOBAL_STATUS = 0x38e,
	GLOBAL_CTRL = 0x38f,
	STATUS_RESET = 0x390,
	STATUS_SET = 0x391,
	GLOBAL_INUSE = 0x392,
	A_PMC0 = 0x4c1,
};

#endif
