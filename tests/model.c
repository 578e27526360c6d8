/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See model.h. SDM vol. 3, "Performance Monitoring", and APM vol. 2, "Performance
 * Monitoring Counters", read again and told one event and one bit at a time. Shares no
 * code with the library. Here is what counts when; the registers are model_intel.c's and
 * model_amd.c's.
 */
#include "model.h"
#include <string.h>

const struct model_event model_events[MODEL_EVENTS] = {
	/* cycles, instructions, reference cycles, cache references and misses */
	{ 0, 0x3c00, 0x7600, 1, -1, 0 },
	{ 1, 0xc000, 0xc000, 0, -1, 0 },
	{ 2, 0x3c01, -1, -1, -1, 0 },
	{ 3, 0x2e4f, -1, -1, -1, 0 },
	{ 4, 0x2e41, -1, -1, -1, 0 },
	/* branches, mispredicted ones, topdown slots, cycles of the time stamp counter */
	{ 5, 0xc400, 0xc200, -1, -1, 0 },
	{ 6, 0xc500, 0xc300, -1, -1, 0 },
	{ 7, 0xa401, -1, 3, -1, 0 },
	{ 8, -1, -1, 2, -1, 0 },
	/* Model-specific ones. AMD's second has the low bits of instructions. */
	{ -1, 0xd081, 0x2903, -1, -1, 0 },
	{ -1, 0xd082, 0x1c000, -1, -1, 0 },
	/* With event registers. */
	{ -1, 0xb701, -1, -1, 0, 0x10 },
	{ -1, 0xb701, -1, -1, 0, 0x20 },
	{ -1, 0xbb01, -1, -1, 1, 0x10 },
	{ -1, 0xcd01, -1, -1, 2, 0x20 },
	{ -1, 0xc603, -1, -1, 3, 0x10 },
};

static bool is_amd(const struct model *model)
{
	return model->config.vendor == VPMU_AMD;
}

bool model_has_global(const struct model *model)
{
	return model->config.version >= 2;
}

bool model_freezes_by_status(const struct model *model)
{
	return is_amd(model) ? model->config.version == 2 : model->config.version >= 4;
}

void model_reset(struct model *model)
{
	struct vpmu_config config = model->config;
	const struct model_filter *filter = model->filter;

	memset(model, 0, sizeof(*model));
	model->config = config;
	model->filter = filter;
	if (model_has_global(model))
		model->global_ctrl = model_ones(config.general);
}

enum vpmu_answer model_rdmsr(const struct model *model, uint32_t msr, uint64_t *value)
{
	return is_amd(model) ? model_amd_rdmsr(model, msr, value)
			     : model_intel_rdmsr(model, msr, value);
}

enum vpmu_answer model_wrmsr(struct model *model, uint32_t msr, uint64_t value)
{
	return is_amd(model) ? model_amd_wrmsr(model, msr, value)
			     : model_intel_wrmsr(model, msr, value);
}

enum vpmu_answer model_host_wrmsr(struct model *model, uint32_t msr, uint64_t value)
{
	return is_amd(model) ? model_amd_host_wrmsr(model, msr, value)
			     : model_intel_host_wrmsr(model, msr, value);
}

enum vpmu_answer model_rdpmc(const struct model *model, uint32_t ecx, uint64_t *value)
{
	for (unsigned int i = 0; i < model->config.general; i++)
		if (ecx == i) {
			*value = model->pmc[i];
			return VPMU_DONE;
		}
	for (unsigned int i = 0; i < model->config.fixed; i++)
		if (ecx == 0x40000000 + i) {
			*value = model->fixed[i];
			return VPMU_DONE;
		}
	return VPMU_FAULT;
}

void model_set_svme(struct model *model, bool svme)
{
	if (model->config.nested)
		model->svme = svme;
}

/* What an event select chooses. Its upper bits are 0 on Intel's processors. */
static unsigned int select_of(uint64_t evtsel)
{
	return (unsigned int)((evtsel & 0xff) | (evtsel >> 32 & 0xf) << 8);
}

static unsigned int umask_of(uint64_t evtsel)
{
	return evtsel >> 8 & 0xff;
}

static bool selects(const struct model *model, uint64_t evtsel, const struct model_event *event)
{
	int wanted = is_amd(model) ? event->amd : event->intel;

	return wanted >= 0 && (select_of(evtsel) << 8 | umask_of(evtsel)) == (unsigned int)wanted;
}

static bool general_allowed(const struct model *model, uint64_t evtsel)
{
	return !model->filter ||
	       model_filter_allows(model->filter, select_of(evtsel), umask_of(evtsel));
}

static bool is_counted(const struct model *model, const struct model_event *event)
{
	/* Which flag of the configuration each of the event registers belongs to. */
	static const uint32_t flags[] = { 1, 1, 2, 4 };

	if (event->id >= 0)
		return model_test(model->config.events, (unsigned int)event->id);
	if (event->which < 0)
		return true;
	return (model->config.event_registers & flags[event->which]) &&
	       model->event_registers[event->which] == event->extra;
}

/* APM vol. 2: bit 40 counts in guest mode, 41 in host mode, both or neither in both. */
static bool counts_in_mode(const struct model *model, uint64_t evtsel, bool guest_mode)
{
	bool guest_only = model_test(evtsel, 40), host_only = model_test(evtsel, 41);

	if (!guest_only && !host_only)
		return true;
	if (!model->svme)
		return false;
	if (guest_only && host_only)
		return true;
	return guest_only ? guest_mode : !guest_mode;
}

/* With a counter mask or edge detection the tests' source counts nothing. */
static bool general_counts(const struct model *model, unsigned int i,
			   const struct model_event *event, struct model_place place)
{
	uint64_t evtsel = model->evtsel[i];

	if (model_has_global(model) && !model_test(model->global_ctrl, i))
		return false;
	if (!model_test(evtsel, 22) || !model_test(evtsel, place.user ? 16 : 17))
		return false;
	if ((evtsel >> 24 & 0xff) != 0 || model_test(evtsel, 18))
		return false;
	return selects(model, evtsel, event) && is_counted(model, event) &&
	       general_allowed(model, evtsel) && counts_in_mode(model, evtsel, place.guest_mode);
}

static bool fixed_counts(const struct model *model, unsigned int i, const struct model_event *event,
			 struct model_place place)
{
	if (model->filter && !model_filter_allows_fixed(model->filter, i))
		return false;
	return event->fixed == (int)i && model_test(model->global_ctrl, 32 + i) &&
	       model_test(model->fixed_ctrl, 4 * i + (place.user ? 1 : 0));
}

uint64_t model_counting(const struct model *model, const struct model_event *event,
			struct model_place place)
{
	uint64_t counters = 0;

	if (model_test(model->status, 59))
		return 0;
	for (unsigned int i = 0; i < model->config.general; i++)
		if (general_counts(model, i, event, place))
			counters |= UINT64_C(1) << i;
	for (unsigned int i = 0; i < model->config.fixed; i++)
		if (fixed_counts(model, i, event, place))
			counters |= UINT64_C(1) << (32 + i);
	return counters;
}

uint64_t model_retired(const struct model *model, unsigned int kind)
{
	struct model_place place = { .user = !(kind & VPMU_RETIRED_KERNEL),
				     .guest_mode = kind & VPMU_RETIRED_GUEST_MODE };
	uint64_t counters = model_counting(model, &model_events[MODEL_INSTRUCTIONS], place);

	if (kind & VPMU_RETIRED_BRANCH)
		counters |= model_counting(model, &model_events[MODEL_BRANCHES], place);
	return counters;
}

bool model_interrupts(const struct model *model, unsigned int counter)
{
	return counter < 32 ? model_test(model->evtsel[counter], 20)
			    : model_test(model->fixed_ctrl, 4 * (counter - 32) + 3);
}

static void overflow(struct model *model, unsigned int counter)
{
	if (model_has_global(model))
		model->status |= UINT64_C(1) << counter;
	if (model_interrupts(model, counter))
		model->pmis_wanted++;
}

/* The counter goes on by n. Says whether it has overflowed. */
static bool count(struct model *model, unsigned int counter, uint64_t n)
{
	uint64_t *value = counter < 32 ? &model->pmc[counter] : &model->fixed[counter - 32];
	uint64_t most =
		model_ones(counter < 32 ? model->config.general_width : model->config.fixed_width);
	bool overflows = n > most - *value;

	*value = (*value + n) & most;
	if (overflows)
		overflow(model, counter);
	return overflows;
}

unsigned int model_count(struct model *model, uint64_t counters)
{
	unsigned int overflows = 0;

	for (unsigned int i = 0; i < 64; i++)
		if (model_test(counters, i))
			overflows += count(model, i, 1);
	return overflows;
}

void model_count_many(struct model *model, unsigned int counter, uint64_t n)
{
	count(model, counter, n);
}

unsigned int model_pmi(struct model *model)
{
	bool by_status = model_freezes_by_status(model);
	bool counters = model_test(model->debugctl, 12), records = model_test(model->debugctl, 11);

	if (counters && by_status)
		model->status |= UINT64_C(1) << 59;
	if (counters && !by_status)
		model->global_ctrl = 0;
	if (records && by_status)
		model->status |= UINT64_C(1) << 58;
	if (records && !by_status)
		model->debugctl &= ~UINT64_C(1);
	return VPMU_PMI | (is_amd(model) ? 0u : VPMU_MASK_LVTPC) | (records ? VPMU_FREEZE_LBR : 0u);
}
