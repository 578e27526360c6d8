/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AMD's events, by families: the BKDGs and PPRs, "Performance Monitor Counters". Those of
 * Zen are named as AMD's event lists name them.
 */
#include "events.h"

#define K8   IN_FAMILY(FAMILY_K8)
#define ZEN1 IN_FAMILY(FAMILY_ZEN1)
#define ZEN2 IN_FAMILY(FAMILY_ZEN2)
#define ZEN3 IN_FAMILY(FAMILY_ZEN3)
#define ZEN4 IN_FAMILY(FAMILY_ZEN4)
#define ZEN5 IN_FAMILY(FAMILY_ZEN5)

#define ZEN (ZEN1 | ZEN2 | ZEN3 | ZEN4 | ZEN5)
#define ALL (IN_FAMILY(FAMILY_AMD) | K8 | ZEN)

static const struct event_row rows[] = {
	{ ALL, VPMU_EVENT_CYCLES, 0, 0, CLASS_INSTRUCTION, true, "ls_not_halted_cyc", NULL },
	{ ALL, VPMU_EVENT_INSTRUCTIONS, 0, 0, CLASS_INSTRUCTION, false, "ex_ret_instr", NULL },
	{ ALL, VPMU_EVENT_BRANCHES, 0, 0, CLASS_BRANCH, false, "ex_ret_brn", NULL },
	{ ALL, VPMU_EVENT_BRANCH_MISSES, 0, 0, CLASS_BRANCH_MISS, false, "ex_ret_brn_misp", NULL },

	REFUSED(ALL, 0xc4, 0x00, "ex_ret_brn_tkn", NO_OUTCOME),
	COUNTED(K8 | ZEN, 0xc6, 0x00, CLASS_FAR_BRANCH, "ex_ret_brn_far"),
	COUNTED(K8 | ZEN, 0xc8, 0x00, CLASS_RETURN, "ex_ret_near_ret"),
	COUNTED(ZEN, 0xd1, 0x00, CLASS_CONDITIONAL, "ex_ret_cond"),
	COUNTED(K8, 0xcf, 0x00, CLASS_INTERRUPT, "interrupts_taken"),
	COUNTED(ZEN2 | ZEN3 | ZEN4 | ZEN5, 0x2c, 0x00, CLASS_INTERRUPT, "ls_int_taken"),
	REFUSED(ZEN3 | ZEN4 | ZEN5, 0xcc, 0x00, "ex_ret_ind_brch_instr", NO_KIND),
	REFUSED(ZEN4 | ZEN5, 0x1c9, 0x00, "ex_ret_uncond_brnch_instr", NO_KIND),

	REFUSED(K8, 0xc1, 0x00, "retired_uops", NO_UOPS),
	REFUSED(K8, 0xd1, 0x00, "dispatch_stalls", NO_PIPELINE),
	REFUSED(ZEN1 | ZEN2, 0xc1, 0x00, "ex_ret_cops", NO_UOPS),
	REFUSED(ZEN3 | ZEN4 | ZEN5, 0xc1, 0x00, "ex_ret_ops", NO_UOPS),
	REFUSED(ZEN, 0x29, 0x01, "ls_dispatch.ld_dispatch", NO_UOPS),
	REFUSED(ZEN, 0x29, 0x02, "ls_dispatch.store_dispatch", NO_UOPS),
	REFUSED(K8, 0x40, 0x00, "data_cache_accesses", NO_CACHES),
	REFUSED(K8, 0x41, 0x00, "data_cache_misses", NO_CACHES),
	REFUSED(K8, 0x80, 0x00, "instruction_cache_fetches", NO_CACHES),
	REFUSED(K8, 0x81, 0x00, "instruction_cache_misses", NO_CACHES),
	REFUSED(K8, 0x7d, 0x07, "requests_to_l2", NO_CACHES),
	REFUSED(K8, 0x7e, 0x07, "l2_cache_misses", NO_CACHES),
	REFUSED(ZEN4, 0x60, 0xff, "l2_request_g1.all", NO_CACHES),
	REFUSED(ZEN & ~ZEN4, 0x60, 0xff, "l2_request_g1 (all)", NO_CACHES),
	REFUSED(ZEN, 0x64, 0x09, "l2_cache_req_stat.ic_dc_miss_in_l2", NO_CACHES),
};

const struct event_table events_amd = { rows, sizeof(rows) / sizeof(rows[0]) };
