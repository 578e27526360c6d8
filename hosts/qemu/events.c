/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of events under TCG. The library knows the encodings of those that have
 * an id; those of the others are from Intel's event list of Skylake server, and AMD's PPR.
 *
 * There is no micro-architecture under TCG. A cycle is one instruction (or
 * cpi= of them); what only a real pipeline has is not counted, and says so.
 * Caches and a branch predictor there are as models, if asked for.
 */
#include "events.h"

#define NO_PIPELINE "no pipeline is modelled"
#define NO_OUTCOME  "branch outcomes are not observed"
#define NO_SOURCE   "where an instruction's data came from is not followed"
#define NO_CACHES   "the caches of this processor are not modelled"
#define NO_TLB      "no TLB is modelled: the size of the guest's pages cannot be seen"

/* TSC cycles have no encoding: 00H/03H is how perf names the fixed counter. */
static const struct event_row intel[] = {
	{ VPMU_EVENT_CYCLES, 0, 0, CLASS_INSTRUCTION, true, "cycles", NULL },
	{ VPMU_EVENT_INSTRUCTIONS, 0, 0, CLASS_INSTRUCTION, false, "instructions", NULL },
	{ VPMU_EVENT_REF_CYCLES, 0, 0, CLASS_INSTRUCTION, true, "bus-cycles", NULL },
	{ VPMU_EVENT_TSC_CYCLES, 0x00, 0x03, CLASS_INSTRUCTION, true, "ref-cycles", NULL },
	{ VPMU_EVENT_LLC_REFERENCES, 0, 0, CLASS_LLC_REFERENCE, false, "cache-references", NULL },
	{ VPMU_EVENT_LLC_MISSES, 0, 0, CLASS_LLC_MISS, false, "cache-misses", NULL },
	{ VPMU_EVENT_BRANCHES, 0, 0, CLASS_BRANCH, false, "branches", NULL },
	{ VPMU_EVENT_BRANCH_MISSES, 0, 0, CLASS_BRANCH_MISS, false, "branch-misses", NULL },
	{ VPMU_EVENT_TOPDOWN_SLOTS, 0, 0, CLASS_NONE, false, "topdown-slots", NO_PIPELINE },
	{ VPMU_EVENT_RAW, 0xc0, 0x01, CLASS_INSTRUCTION, false, "inst_retired.prec_dist", NULL },
	{ VPMU_EVENT_RAW, 0xc4, 0x01, CLASS_CONDITIONAL, false, "br_inst_retired.conditional",
	  NULL },
	{ VPMU_EVENT_RAW, 0xc4, 0x02, CLASS_CALL, false, "br_inst_retired.near_call", NULL },
	{ VPMU_EVENT_RAW, 0xc4, 0x04, CLASS_BRANCH, false, "br_inst_retired.all_branches_pebs",
	  NULL },
	{ VPMU_EVENT_RAW, 0xc4, 0x08, CLASS_RETURN, false, "br_inst_retired.near_return", NULL },
	{ VPMU_EVENT_RAW, 0xc4, 0x10, CLASS_NONE, false, "br_inst_retired.not_taken", NO_OUTCOME },
	{ VPMU_EVENT_RAW, 0xc4, 0x20, CLASS_NONE, false, "br_inst_retired.near_taken", NO_OUTCOME },
	{ VPMU_EVENT_RAW, 0xc4, 0x40, CLASS_FAR_BRANCH, false, "br_inst_retired.far_branch", NULL },
	{ VPMU_EVENT_RAW, 0xc5, 0x04, CLASS_BRANCH_MISS, false, "br_misp_retired.all_branches_pebs",
	  NULL },
	{ VPMU_EVENT_RAW, 0xcb, 0x01, CLASS_INTERRUPT, false, "hw_interrupts.received", NULL },
	{ VPMU_EVENT_RAW, 0xd0, 0x81, CLASS_LOAD, false, "mem_inst_retired.all_loads", NULL },
	{ VPMU_EVENT_RAW, 0xd0, 0x82, CLASS_STORE, false, "mem_inst_retired.all_stores", NULL },
	{ VPMU_EVENT_RAW, 0xd1, 0x01, CLASS_NONE, false, "mem_load_retired.l1_hit", NO_SOURCE },
	{ VPMU_EVENT_RAW, 0xd1, 0x08, CLASS_NONE, false, "mem_load_retired.l1_miss", NO_SOURCE },
	{ VPMU_EVENT_RAW, 0x51, 0x01, CLASS_L1D_FILL, false, "l1d.replacement", NULL },
	{ VPMU_EVENT_RAW, 0x83, 0x02, CLASS_L1I_MISS, false, "icache_64b.iftag_miss", NULL },
	{ VPMU_EVENT_RAW, 0xb7, 0x01, CLASS_OFFCORE_0, false, "offcore_response (rsp_0)", NULL },
	{ VPMU_EVENT_RAW, 0xbb, 0x01, CLASS_OFFCORE_1, false, "offcore_response (rsp_1)", NULL },
	{ VPMU_EVENT_RAW, 0x08, 0x0e, CLASS_NONE, false, "dtlb_load_misses.walk_completed",
	  NO_TLB },
	{ VPMU_EVENT_RAW, 0x49, 0x0e, CLASS_NONE, false, "dtlb_store_misses.walk_completed",
	  NO_TLB },
	{ VPMU_EVENT_RAW, 0x85, 0x0e, CLASS_NONE, false, "itlb_misses.walk_completed", NO_TLB },
	{ VPMU_EVENT_RAW, 0x85, 0x20, CLASS_NONE, false, "itlb_misses.stlb_hit", NO_TLB },
	{ VPMU_EVENT_RAW, 0x9c, 0x01, CLASS_NONE, false, "idq_uops_not_delivered.core",
	  NO_PIPELINE },
	{ VPMU_EVENT_RAW, 0xc2, 0x02, CLASS_NONE, false, "uops_retired.retire_slots", NO_PIPELINE },
	{ VPMU_EVENT_RAW, 0x0e, 0x01, CLASS_NONE, false, "uops_issued.any", NO_PIPELINE },
	{ VPMU_EVENT_RAW, 0x0d, 0x01, CLASS_NONE, false, "int_misc.recovery_cycles", NO_PIPELINE },
};

/* Family 17H and later: AMD's PPR, "Performance Monitor Counters". No umask but where said. */
static const struct event_row amd[] = {
	{ VPMU_EVENT_CYCLES, 0, 0, CLASS_INSTRUCTION, true, "ls_not_halted_cyc", NULL },
	{ VPMU_EVENT_INSTRUCTIONS, 0, 0, CLASS_INSTRUCTION, false, "ex_ret_instr", NULL },
	{ VPMU_EVENT_BRANCHES, 0, 0, CLASS_BRANCH, false, "ex_ret_brn", NULL },
	{ VPMU_EVENT_BRANCH_MISSES, 0, 0, CLASS_BRANCH_MISS, false, "ex_ret_brn_misp", NULL },
	{ VPMU_EVENT_RAW, 0xc4, 0x00, CLASS_NONE, false, "ex_ret_brn_tkn", NO_OUTCOME },
	{ VPMU_EVENT_RAW, 0xc6, 0x00, CLASS_FAR_BRANCH, false, "ex_ret_brn_far", NULL },
	{ VPMU_EVENT_RAW, 0xc8, 0x00, CLASS_RETURN, false, "ex_ret_near_ret", NULL },
	{ VPMU_EVENT_RAW, 0xd1, 0x00, CLASS_CONDITIONAL, false, "ex_ret_cond", NULL },
	{ VPMU_EVENT_RAW, 0x2c, 0x00, CLASS_INTERRUPT, false, "ls_int_taken", NULL },
	{ VPMU_EVENT_RAW, 0xc1, 0x00, CLASS_NONE, false, "ex_ret_ops", NO_PIPELINE },
	{ VPMU_EVENT_RAW, 0x29, 0x01, CLASS_NONE, false, "ls_dispatch.ld_dispatch", NO_PIPELINE },
	{ VPMU_EVENT_RAW, 0x29, 0x02, CLASS_NONE, false, "ls_dispatch.store_dispatch",
	  NO_PIPELINE },
	{ VPMU_EVENT_RAW, 0x60, 0xff, CLASS_NONE, false, "l2_request_g1.all", NO_CACHES },
	{ VPMU_EVENT_RAW, 0x64, 0x09, CLASS_NONE, false, "l2_cache_req_stat.ic_dc_miss_in_l2",
	  NO_CACHES },
};

struct event_table event_table(enum vpmu_vendor_id vendor)
{
	if (vendor == VPMU_AMD)
		return (struct event_table){ amd, sizeof(amd) / sizeof(amd[0]) };
	return (struct event_table){ intel, sizeof(intel) / sizeof(intel[0]) };
}

const char *event_why_not(const struct event_row *row, bool models)
{
	if (event_is_modelled(row) && !models)
		return "only a model counts it, and none is asked for (--models on)";
	return row->why;
}

uint32_t events_with_id(enum vpmu_vendor_id vendor, bool models)
{
	const struct event_table table = event_table(vendor);
	uint32_t events = 0;

	for (size_t i = 0; i < table.count; i++)
		if (table.rows[i].id != VPMU_EVENT_RAW && !event_why_not(&table.rows[i], models))
			events |= UINT32_C(1) << table.rows[i].id;
	return events;
}

struct event_encoding event_encoding(enum vpmu_vendor_id vendor, const struct event_row *row)
{
	struct event_encoding encoding = { .select = row->select, .umask = row->umask };

	if (row->id != VPMU_EVENT_RAW)
		vpmu_event_encoding(vendor, row->id, &encoding.select, &encoding.umask);
	return encoding;
}

const struct event_row *event_find(enum vpmu_vendor_id vendor, const struct vpmu_event *event)
{
	const struct event_table table = event_table(vendor);

	for (size_t i = 0; i < table.count; i++) {
		const struct event_row *row = &table.rows[i];

		if (row->id != event->id)
			continue;
		if (row->id != VPMU_EVENT_RAW ||
		    (row->select == event->select && row->umask == event->umask))
			return row;
	}
	return NULL;
}

const struct event_row *event_find_encoding(enum vpmu_vendor_id vendor, unsigned int select,
					    unsigned int umask)
{
	const struct event_table table = event_table(vendor);

	for (size_t i = 0; i < table.count; i++) {
		struct event_encoding encoding = event_encoding(vendor, &table.rows[i]);

		if (encoding.select == select && encoding.umask == umask)
			return &table.rows[i];
	}
	return NULL;
}
