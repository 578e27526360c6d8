/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * The event filter, see vpmu/filter.h. Asked when a counter is bound, by counter.c.
 */
#include "internal.h"
#include <vpmu/filter.h>

#define ENTRY_EXCLUDE BIT(55)
#define ENTRY_MASK    (UINT64_C(0xff) << 56)

/* A plain entry as a masked one. */
static uint64_t masked(uint64_t entry)
{
	return entry | ENTRY_MASK;
}

static bool is_plain(const struct vpmu *pmu, uint64_t entry)
{
	return !(entry & ~(pmu->vendor->select_bits | VPMU_EVTSEL_UMASK));
}

static bool matches(const struct vpmu *pmu, uint64_t entry, const struct vpmu_event *event)
{
	uint64_t select = (event->select & 0xffu) | (uint64_t)(event->select & 0xf00) << 24;

	return (entry & pmu->vendor->select_bits) == select &&
	       (event->umask & entry >> 56) == (entry >> 8 & 0xff);
}

static bool lists_event(const struct vpmu *pmu, const struct vpmu_filter *filter,
			const struct vpmu_event *event)
{
	bool included = false;

	for (uint32_t i = 0; i < filter->count; i++) {
		uint64_t entry = filter->entries[i];

		if (!filter->masked && !is_plain(pmu, entry))
			continue;
		if (!filter->masked)
			entry = masked(entry);
		if (!matches(pmu, entry, event))
			continue;
		if (entry & ENTRY_EXCLUDE)
			return false;
		included = true;
	}
	return included;
}

bool vpmu_is_let(const struct vpmu *pmu, unsigned int counter, const struct vpmu_event *event)
{
	const struct vpmu_filter *filter = __atomic_load_n(&pmu->filter, __ATOMIC_ACQUIRE);
	bool listed;

	if (!filter)
		return true;
	if (counter >= VPMU_FIXED)
		listed = filter->fixed & vpmu_bit(counter - VPMU_FIXED);
	else
		listed = lists_event(pmu, filter, event);
	return listed == (filter->action == VPMU_FILTER_ALLOW);
}

static enum vpmu_error check(const struct vpmu *pmu, const struct vpmu_filter *filter)
{
	uint64_t known = pmu->vendor->select_bits | VPMU_EVTSEL_UMASK | ENTRY_MASK | ENTRY_EXCLUDE;

	for (unsigned int i = 0; i < sizeof(filter->reserved) / sizeof(filter->reserved[0]); i++)
		if (filter->reserved[i])
			return VPMU_ERROR_RESERVED;
	if (filter->action != VPMU_FILTER_ALLOW && filter->action != VPMU_FILTER_DENY)
		return VPMU_ERROR_FILTER;
	if (filter->count && !filter->entries)
		return VPMU_ERROR_FILTER;
	for (uint32_t i = 0; filter->masked && i < filter->count; i++)
		if (filter->entries[i] & ~known)
			return VPMU_ERROR_FILTER;
	return VPMU_OK;
}

enum vpmu_error vpmu_set_filter(struct vpmu *pmu, const struct vpmu_filter *filter)
{
	enum vpmu_error error = filter ? check(pmu, filter) : VPMU_OK;

	if (error != VPMU_OK)
		return error;
	__atomic_store_n(&pmu->filter, filter, __ATOMIC_RELEASE);
	vpmu_look_at(pmu, VPMU_LOOK_AT_FILTER);
	return VPMU_OK;
}
