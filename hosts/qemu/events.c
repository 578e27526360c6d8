/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See events.h.
 *
 * There is no micro-architecture under TCG. A cycle is one instruction (or
 * cpi= of them); what only a real pipeline has is not counted, and says so.
 * Caches and a branch predictor there are as models, if asked for.
 */
#include "events.h"

static const struct event_table *table_of(enum vpmu_vendor_id vendor)
{
	return vendor == VPMU_AMD ? &events_amd : &events_intel;
}

const struct event_row *event_next(enum family family, const struct event_row *row)
{
	const struct event_table *table = table_of(family_vendor(family));

	for (row = row ? row + 1 : table->rows; row < table->rows + table->count; row++)
		if (row->families & IN_FAMILY(family))
			return row;
	return NULL;
}

const char *event_why_not(const struct event_row *row, bool models)
{
	if (event_is_modelled(row) && !models)
		return "only a model counts it, and none is asked for (--models on)";
	return row->why;
}

uint32_t events_with_id(enum vpmu_vendor_id vendor, bool models)
{
	const enum family family = family_unknown(vendor);
	const struct event_row *row = NULL;
	uint32_t events = 0;

	while ((row = event_next(family, row)))
		if (row->id != VPMU_EVENT_RAW && !event_why_not(row, models))
			events |= UINT32_C(1) << row->id;
	return events;
}

struct event_encoding event_encoding(enum family family, const struct event_row *row)
{
	struct event_encoding encoding = { .select = row->select, .umask = row->umask };

	if (row->id != VPMU_EVENT_RAW)
		vpmu_event_encoding(family_vendor(family), row->id, &encoding.select,
				    &encoding.umask);
	return encoding;
}

const struct event_row *event_find(enum family family, const struct vpmu_event *event)
{
	const struct event_row *row = NULL;

	while ((row = event_next(family, row)))
		if (row->id == event->id &&
		    (row->id != VPMU_EVENT_RAW ||
		     (row->select == event->select && row->umask == event->umask)))
			break;
	return row;
}

const struct event_row *event_find_encoding(enum family family, unsigned int select,
					    unsigned int umask)
{
	const struct event_row *row = NULL;

	while ((row = event_next(family, row))) {
		struct event_encoding encoding = event_encoding(family, row);

		if (encoding.select == select && encoding.umask == umask)
			break;
	}
	return row;
}
