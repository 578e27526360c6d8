/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Intel's events, by families. The library knows the encodings of those that have an id,
 * the architectural ones; the others are named as Intel's event lists name them.
 */
#include "events.h"

#define NHM IN_FAMILY(FAMILY_NEHALEM)
#define SNB IN_FAMILY(FAMILY_SANDY_BRIDGE)
#define SKL IN_FAMILY(FAMILY_SKYLAKE)
#define ICL IN_FAMILY(FAMILY_ICE_LAKE)
#define GLC IN_FAMILY(FAMILY_GOLDEN_COVE)
#define SLM IN_FAMILY(FAMILY_SILVERMONT)
#define GLM IN_FAMILY(FAMILY_GOLDMONT)
#define GRT IN_FAMILY(FAMILY_GRACEMONT)

#define CORE (NHM | SNB | SKL | ICL | GLC)
#define ATOM (SLM | GLM | GRT)
#define ALL  (IN_FAMILY(FAMILY_INTEL) | CORE | ATOM)

static const struct event_row rows[] = {
	{ ALL, VPMU_EVENT_CYCLES, 0, 0, CLASS_INSTRUCTION, true, "cycles", NULL },
	{ ALL, VPMU_EVENT_INSTRUCTIONS, 0, 0, CLASS_INSTRUCTION, false, "instructions", NULL },
	{ ALL, VPMU_EVENT_REF_CYCLES, 0, 0, CLASS_INSTRUCTION, true, "bus-cycles", NULL },
	{ ALL, VPMU_EVENT_LLC_REFERENCES, 0, 0, CLASS_LLC_REFERENCE, false, "cache-references",
	  NULL },
	{ ALL, VPMU_EVENT_LLC_MISSES, 0, 0, CLASS_LLC_MISS, false, "cache-misses", NULL },
	{ ALL, VPMU_EVENT_BRANCHES, 0, 0, CLASS_BRANCH, false, "branches", NULL },
	{ ALL, VPMU_EVENT_BRANCH_MISSES, 0, 0, CLASS_BRANCH_MISS, false, "branch-misses", NULL },
	/* They have no encoding: 00H/03H is how perf names the fixed counter. */
	{ ALL, VPMU_EVENT_TSC_CYCLES, 0x00, 0x03, CLASS_INSTRUCTION, true, "ref-cycles", NULL },
	{ ALL, VPMU_EVENT_TOPDOWN_SLOTS, 0, 0, CLASS_NONE, false, "topdown-slots", NO_PIPELINE },

	COUNTED(NHM, 0xc0, 0x01, CLASS_INSTRUCTION, "inst_retired.any_p"),
	COUNTED(SNB | SKL, 0xc0, 0x01, CLASS_INSTRUCTION, "inst_retired.prec_dist"),

	COUNTED(NHM | SNB | SKL, 0xc4, 0x01, CLASS_CONDITIONAL, "br_inst_retired.conditional"),
	COUNTED(ICL | GLC, 0xc4, 0x11, CLASS_CONDITIONAL, "br_inst_retired.cond"),
	COUNTED(CORE, 0xc4, 0x02, CLASS_CALL, "br_inst_retired.near_call"),
	COUNTED(CORE & ~NHM, 0xc4, 0x08, CLASS_RETURN, "br_inst_retired.near_return"),
	COUNTED(CORE & ~NHM, 0xc4, 0x40, CLASS_FAR_BRANCH, "br_inst_retired.far_branch"),
	COUNTED(NHM, 0xc4, 0x04, CLASS_BRANCH, "br_inst_retired.all_branches"),
	COUNTED(SNB | SKL, 0xc4, 0x04, CLASS_BRANCH, "br_inst_retired.all_branches_pebs"),
	REFUSED(ICL | GLC, 0xc4, 0x01, "br_inst_retired.cond_taken", NO_OUTCOME),
	REFUSED(SKL | ICL | GLC, 0xc4, 0x10, "br_inst_retired.cond_ntaken", NO_OUTCOME),
	REFUSED(SNB, 0xc4, 0x10, "br_inst_retired.not_taken", NO_OUTCOME),
	REFUSED(CORE & ~NHM, 0xc4, 0x20, "br_inst_retired.near_taken", NO_OUTCOME),
	REFUSED(ICL | GLC, 0xc4, 0x80, "br_inst_retired.indirect", NO_KIND),
	COUNTED(SLM | GLM, 0xc4, 0x7e, CLASS_CONDITIONAL, "br_inst_retired.jcc"),
	COUNTED(SLM | GLM, 0xc4, 0xf9, CLASS_CALL, "br_inst_retired.call"),
	COUNTED(SLM | GLM, 0xc4, 0xf7, CLASS_RETURN, "br_inst_retired.return"),
	REFUSED(SLM | GLM, 0xc4, 0xfe, "br_inst_retired.taken_jcc", NO_OUTCOME),
	REFUSED(SLM | GLM, 0xc4, 0xfd, "br_inst_retired.rel_call", NO_KIND),
	REFUSED(SLM | GLM, 0xc4, 0xfb, "br_inst_retired.ind_call", NO_KIND),
	REFUSED(SLM | GLM, 0xc4, 0xeb, "br_inst_retired.non_return_ind", NO_KIND),
	COUNTED(GRT, 0xc4, 0x7e, CLASS_CONDITIONAL, "br_inst_retired.cond"),
	COUNTED(GRT, 0xc4, 0xf9, CLASS_CALL, "br_inst_retired.near_call"),
	COUNTED(GRT, 0xc4, 0xf7, CLASS_RETURN, "br_inst_retired.near_return"),
	REFUSED(GRT, 0xc4, 0xfe, "br_inst_retired.cond_taken", NO_OUTCOME),
	REFUSED(GRT, 0xc4, 0xfb, "br_inst_retired.indirect_call", NO_KIND),
	REFUSED(GRT, 0xc4, 0xeb, "br_inst_retired.indirect", NO_KIND),
	COUNTED(ATOM, 0xc4, 0xbf, CLASS_FAR_BRANCH, "br_inst_retired.far_branch"),
	COUNTED(SNB | SKL, 0xc5, 0x04, CLASS_BRANCH_MISS, "br_misp_retired.all_branches_pebs"),

	COUNTED(SKL | GLM, 0xcb, 0x01, CLASS_INTERRUPT, "hw_interrupts.received"),

	COUNTED(NHM, 0x0b, 0x01, CLASS_LOAD, "mem_inst_retired.loads"),
	COUNTED(NHM, 0x0b, 0x02, CLASS_STORE, "mem_inst_retired.stores"),
	COUNTED(SKL | ICL | GLC, 0xd0, 0x81, CLASS_LOAD, "mem_inst_retired.all_loads"),
	COUNTED(SKL | ICL | GLC, 0xd0, 0x82, CLASS_STORE, "mem_inst_retired.all_stores"),
	REFUSED(SNB | GLM | GRT, 0xd0, 0x81, "mem_uops_retired.all_loads", NO_UOPS),
	REFUSED(SNB | GLM | GRT, 0xd0, 0x82, "mem_uops_retired.all_stores", NO_UOPS),
	REFUSED(SLM, 0x04, 0x40, "mem_uops_retired.all_loads", NO_UOPS),
	REFUSED(SLM, 0x04, 0x80, "mem_uops_retired.all_stores", NO_UOPS),
	REFUSED(SKL | ICL | GLC, 0xd1, 0x01, "mem_load_retired.l1_hit", NO_SOURCE),
	REFUSED(SKL | ICL | GLC, 0xd1, 0x08, "mem_load_retired.l1_miss", NO_SOURCE),
	REFUSED(SNB, 0xd1, 0x01, "mem_load_uops_retired.l1_hit", NO_UOPS),

	COUNTED(NHM, 0x51, 0x01, CLASS_L1D_FILL, "l1d.repl"),
	COUNTED(CORE & ~NHM, 0x51, 0x01, CLASS_L1D_FILL, "l1d.replacement"),
	COUNTED(NHM, 0x80, 0x02, CLASS_L1I_MISS, "l1i.misses"),
	COUNTED(SNB | ATOM, 0x80, 0x02, CLASS_L1I_MISS, "icache.misses"),
	COUNTED(SKL | ICL, 0x83, 0x02, CLASS_L1I_MISS, "icache_64b.iftag_miss"),
	COUNTED(SKL, 0xb7, 0x01, CLASS_OFFCORE_0, "offcore_response (rsp_0)"),
	COUNTED(SKL, 0xbb, 0x01, CLASS_OFFCORE_1, "offcore_response (rsp_1)"),
	REFUSED(NHM | SNB | ICL | ATOM, 0xb7, 0x01, "offcore_response (rsp_0)", NO_RESPONSES),
	REFUSED(SNB | ICL, 0xbb, 0x01, "offcore_response (rsp_1)", NO_RESPONSES),
	REFUSED(ATOM, 0xb7, 0x02, "offcore_response (rsp_1)", NO_RESPONSES),
	REFUSED(GLC, 0x2a, 0x01, "offcore_response (rsp_0)", NO_RESPONSES),
	REFUSED(GLC, 0x2b, 0x01, "offcore_response (rsp_1)", NO_RESPONSES),

	REFUSED(SKL | ICL, 0x08, 0x0e, "dtlb_load_misses.walk_completed", NO_TLB),
	REFUSED(SKL | ICL, 0x49, 0x0e, "dtlb_store_misses.walk_completed", NO_TLB),
	REFUSED(SKL | ICL, 0x85, 0x0e, "itlb_misses.walk_completed", NO_TLB),
	REFUSED(SKL | ICL, 0x85, 0x20, "itlb_misses.stlb_hit", NO_TLB),
	REFUSED(GLC, 0x12, 0x0e, "dtlb_load_misses.walk_completed", NO_TLB),
	REFUSED(GLC, 0x13, 0x0e, "dtlb_store_misses.walk_completed", NO_TLB),
	REFUSED(GLC, 0x11, 0x0e, "itlb_misses.walk_completed", NO_TLB),
	REFUSED(SNB | SKL | ICL | GLC, 0x9c, 0x01, "idq_uops_not_delivered.core", NO_PIPELINE),
	REFUSED(SNB | SKL, 0xc2, 0x02, "uops_retired.retire_slots", NO_PIPELINE),
	REFUSED(CORE & ~GLC, 0x0e, 0x01, "uops_issued.any", NO_PIPELINE),
	REFUSED(GLC, 0xae, 0x01, "uops_issued.any", NO_PIPELINE),
	REFUSED(SKL | ICL, 0x0d, 0x01, "int_misc.recovery_cycles", NO_PIPELINE),
};

const struct event_table events_intel = { rows, sizeof(rows) / sizeof(rows[0]) };
