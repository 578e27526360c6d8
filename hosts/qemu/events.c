/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of events under TCG. Encodings: SDM vol. 3, "Architectural
 * Performance Monitoring", and Intel's event list of Skylake server.
 *
 * There is no micro-architecture under TCG. A cycle is one instruction (or
 * cpi= of them); what only a real pipeline has is not counted, and says so.
 * Caches and a branch predictor there are as models, if asked for.
 */
#include "events.h"

#define NO_PIPELINE "no pipeline is modelled"
#define NO_OUTCOME  "branch outcomes are not observed"
#define NO_SOURCE   "where an instruction's data came from is not followed"
#define NO_TLB      "no TLB is modelled: the size of the guest's pages cannot be seen"

/* The first row of an id is the one that stands for its fixed counter. */
const struct event_row event_rows[] = {
	{ 0x3c, 0x00, VPMU_EVENT_CYCLES, CLASS_INSTRUCTION, true, "cycles", NULL },
	{ 0xc0, 0x00, VPMU_EVENT_INSTRUCTIONS, CLASS_INSTRUCTION, false, "instructions", NULL },
	{ 0x3c, 0x01, VPMU_EVENT_REF_CYCLES, CLASS_INSTRUCTION, true, "bus-cycles", NULL },
	{ 0x00, 0x03, VPMU_EVENT_TSC_CYCLES, CLASS_INSTRUCTION, true, "ref-cycles", NULL },
	{ 0x2e, 0x4f, VPMU_EVENT_LLC_REFERENCES, CLASS_LLC_REFERENCE, false, "cache-references",
	  NULL },
	{ 0x2e, 0x41, VPMU_EVENT_LLC_MISSES, CLASS_LLC_MISS, false, "cache-misses", NULL },
	{ 0xc4, 0x00, VPMU_EVENT_BRANCHES, CLASS_BRANCH, false, "branches", NULL },
	{ 0xc5, 0x00, VPMU_EVENT_BRANCH_MISSES, CLASS_BRANCH_MISS, false, "branch-misses", NULL },
	{ 0xa4, 0x01, VPMU_EVENT_TOPDOWN_SLOTS, CLASS_NONE, false, "topdown-slots", NO_PIPELINE },
	{ 0xc0, 0x01, VPMU_EVENT_RAW, CLASS_INSTRUCTION, false, "inst_retired.prec_dist", NULL },
	{ 0xc4, 0x01, VPMU_EVENT_RAW, CLASS_CONDITIONAL, false, "br_inst_retired.conditional",
	  NULL },
	{ 0xc4, 0x02, VPMU_EVENT_RAW, CLASS_CALL, false, "br_inst_retired.near_call", NULL },
	{ 0xc4, 0x04, VPMU_EVENT_RAW, CLASS_BRANCH, false, "br_inst_retired.all_branches_pebs",
	  NULL },
	{ 0xc4, 0x08, VPMU_EVENT_RAW, CLASS_RETURN, false, "br_inst_retired.near_return", NULL },
	{ 0xc4, 0x10, VPMU_EVENT_RAW, CLASS_NONE, false, "br_inst_retired.not_taken", NO_OUTCOME },
	{ 0xc4, 0x20, VPMU_EVENT_RAW, CLASS_NONE, false, "br_inst_retired.near_taken", NO_OUTCOME },
	{ 0xc4, 0x40, VPMU_EVENT_RAW, CLASS_FAR_BRANCH, false, "br_inst_retired.far_branch", NULL },
	{ 0xc5, 0x04, VPMU_EVENT_RAW, CLASS_BRANCH_MISS, false, "br_misp_retired.all_branches_pebs",
	  NULL },
	{ 0xcb, 0x01, VPMU_EVENT_RAW, CLASS_INTERRUPT, false, "hw_interrupts.received", NULL },
	{ 0xd0, 0x81, VPMU_EVENT_RAW, CLASS_LOAD, false, "mem_inst_retired.all_loads", NULL },
	{ 0xd0, 0x82, VPMU_EVENT_RAW, CLASS_STORE, false, "mem_inst_retired.all_stores", NULL },
	{ 0xd1, 0x01, VPMU_EVENT_RAW, CLASS_NONE, false, "mem_load_retired.l1_hit", NO_SOURCE },
	{ 0xd1, 0x08, VPMU_EVENT_RAW, CLASS_NONE, false, "mem_load_retired.l1_miss", NO_SOURCE },
	{ 0x51, 0x01, VPMU_EVENT_RAW, CLASS_L1D_FILL, false, "l1d.replacement", NULL },
	{ 0x83, 0x02, VPMU_EVENT_RAW, CLASS_L1I_MISS, false, "icache_64b.iftag_miss", NULL },
	{ 0xb7, 0x01, VPMU_EVENT_RAW, CLASS_OFFCORE_0, false, "offcore_response (rsp_0)", NULL },
	{ 0xbb, 0x01, VPMU_EVENT_RAW, CLASS_OFFCORE_1, false, "offcore_response (rsp_1)", NULL },
	{ 0x08, 0x0e, VPMU_EVENT_RAW, CLASS_NONE, false, "dtlb_load_misses.walk_completed",
	  NO_TLB },
	{ 0x49, 0x0e, VPMU_EVENT_RAW, CLASS_NONE, false, "dtlb_store_misses.walk_completed",
	  NO_TLB },
	{ 0x85, 0x0e, VPMU_EVENT_RAW, CLASS_NONE, false, "itlb_misses.walk_completed", NO_TLB },
	{ 0x85, 0x20, VPMU_EVENT_RAW, CLASS_NONE, false, "itlb_misses.stlb_hit", NO_TLB },
	{ 0x9c, 0x01, VPMU_EVENT_RAW, CLASS_NONE, false, "idq_uops_not_delivered.core",
	  NO_PIPELINE },
	{ 0xc2, 0x02, VPMU_EVENT_RAW, CLASS_NONE, false, "uops_retired.retire_slots", NO_PIPELINE },
	{ 0x0e, 0x01, VPMU_EVENT_RAW, CLASS_NONE, false, "uops_issued.any", NO_PIPELINE },
	{ 0x0d, 0x01, VPMU_EVENT_RAW, CLASS_NONE, false, "int_misc.recovery_cycles", NO_PIPELINE },
};

const size_t event_rows_count = sizeof(event_rows) / sizeof(event_rows[0]);

const char *event_why_not(const struct event_row *row, bool models)
{
	if (event_is_modelled(row) && !models)
		return "only a model counts it, and none is asked for (--models on)";
	return row->why;
}

uint32_t events_architectural(bool models)
{
	uint32_t events = 0;

	for (size_t i = 0; i < event_rows_count; i++)
		if (event_rows[i].id != VPMU_EVENT_RAW && !event_why_not(&event_rows[i], models))
			events |= UINT32_C(1) << event_rows[i].id;
	return events;
}

const struct event_row *event_find(enum vpmu_event_id id, unsigned int select, unsigned int umask)
{
	for (size_t i = 0; i < event_rows_count; i++) {
		const struct event_row *row = &event_rows[i];

		if (row->id != id)
			continue;
		if (id != VPMU_EVENT_RAW || (row->select == select && row->umask == umask))
			return row;
	}
	return NULL;
}
