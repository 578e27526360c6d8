/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * The numbers of the registers that vpmu_rdmsr() and vpmu_wrmsr() answer. A host
 * that intercepts registers one by one asks vpmu_msr_ranges() which ones.
 */
#ifndef VPMU_MSR_H
#define VPMU_MSR_H

#include <stdint.h>

/* Intel: SDM vol. 4. "and on" means: one each for the other counters. */
enum vpmu_msr {
	VPMU_MSR_PMC0 = 0xc1,         /* and on */
	VPMU_MSR_PERFEVTSEL0 = 0x186, /* and on */
	VPMU_MSR_MISC_ENABLE = 0x1a0,
	VPMU_MSR_OFFCORE_RSP0 = 0x1a6,
	VPMU_MSR_OFFCORE_RSP1 = 0x1a7,
	VPMU_MSR_DEBUGCTL = 0x1d9,
	VPMU_MSR_FIXED_CTR0 = 0x309, /* and on */
	VPMU_MSR_PERF_CAPABILITIES = 0x345,
	VPMU_MSR_FIXED_CTR_CTRL = 0x38d,
	VPMU_MSR_PERF_GLOBAL_STATUS = 0x38e,
	VPMU_MSR_PERF_GLOBAL_CTRL = 0x38f,
	VPMU_MSR_PERF_GLOBAL_STATUS_RESET = 0x390, /* before version 4: PERF_GLOBAL_OVF_CTRL */
	VPMU_MSR_PERF_GLOBAL_STATUS_SET = 0x391,
	VPMU_MSR_PERF_GLOBAL_INUSE = 0x392,
	VPMU_MSR_PEBS_LD_LAT = 0x3f6,
	VPMU_MSR_PEBS_FRONTEND = 0x3f7,
	VPMU_MSR_A_PMC0 = 0x4c1, /* and on */
};

/* AMD: APM vol. 2, appendix "MSR Cross-Reference", and the PPR. No enum of C holds them. */
#define VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS     UINT32_C(0xc0000300)
#define VPMU_AMD_MSR_PERF_CNTR_GLOBAL_CTL        UINT32_C(0xc0000301)
#define VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS_CLR UINT32_C(0xc0000302)
#define VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS_SET UINT32_C(0xc0000303)
#define VPMU_AMD_MSR_K7_EVNTSEL0                 UINT32_C(0xc0010000) /* and on, to 3 */
#define VPMU_AMD_MSR_K7_PERFCTR0                 UINT32_C(0xc0010004) /* and on, to 3 */
#define VPMU_AMD_MSR_PERF_CTL0                   UINT32_C(0xc0010200) /* and each second one */
#define VPMU_AMD_MSR_PERF_CTR0                   UINT32_C(0xc0010201) /* and each second one */

/*
 * Registers that say more of an event than its event select does. Which of them a
 * processor has depends on its model: struct vpmu_config's event_registers.
 */
enum vpmu_event_register {
	VPMU_EVENT_REGISTER_OFFCORE_RSP = 1, /* both */
	VPMU_EVENT_REGISTER_LD_LAT = 2,
	VPMU_EVENT_REGISTER_FRONTEND = 4,
	VPMU_EVENT_REGISTERS = 7, /* all that there are */
};

/* Where struct vpmu keeps them: for the library. */
enum {
	VPMU_AT_OFFCORE_RSP = 0, /* and 1 */
	VPMU_AT_LD_LAT = 2,
	VPMU_AT_FRONTEND = 3,
	VPMU_EVENT_REGISTER_COUNT = 4,
};

/*
 * The bits of an event select that both vendors have: IA32_PERFEVTSELx (SDM vol. 3,
 * "Architectural Performance Monitoring Version 1") and PerfEvtSeln (APM vol. 2).
 */
#define VPMU_EVTSEL_SELECT   UINT64_C(0xff) /* AMD: the low part */
#define VPMU_EVTSEL_UMASK    UINT64_C(0xff00)
#define VPMU_EVTSEL_USR      (UINT64_C(1) << 16)
#define VPMU_EVTSEL_OS       (UINT64_C(1) << 17)
#define VPMU_EVTSEL_EDGE     (UINT64_C(1) << 18)
#define VPMU_EVTSEL_INT      (UINT64_C(1) << 20)
#define VPMU_EVTSEL_EN       (UINT64_C(1) << 22)
#define VPMU_EVTSEL_INV      (UINT64_C(1) << 23)
#define VPMU_EVTSEL_CMASK    UINT64_C(0xff000000)
#define VPMU_EVTSEL_SELECT_2 (UINT64_C(0xf) << 32) /* AMD: bits 11 to 8 of the event */
#define VPMU_EVTSEL_GUEST    (UINT64_C(1) << 40)   /* AMD: GuestOnly */
#define VPMU_EVTSEL_HOST     (UINT64_C(1) << 41)   /* AMD: HostOnly */

/* Bits of both vendors' status registers: branch records, counters are frozen. */
#define VPMU_STATUS_LBR_FRZ (UINT64_C(1) << 58)
#define VPMU_STATUS_CTR_FRZ (UINT64_C(1) << 59)

/* Bits of both vendors' debug control registers: branch records run; a PMI freezes them, ... */
#define VPMU_DEBUG_LBR            (UINT64_C(1) << 0)
#define VPMU_DEBUG_FREEZE_LBRS    (UINT64_C(1) << 11)
#define VPMU_DEBUG_FREEZE_PERFMON (UINT64_C(1) << 12) /* ... and the counters */

#endif
