/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See totals.h.
 */
#include "totals.h"

static bool bind(void *source, unsigned int counter, const struct vpmu_event *event)
{
	struct totals *totals = source;

	(void)event;
	totals->bound |= counter_bit(counter);
	totals->alarm[counter] = VPMU_NO_ALARM;
	return true;
}

static void unbind(void *source, unsigned int counter)
{
	struct totals *totals = source;

	totals->bound &= ~counter_bit(counter);
}

static uint64_t total(void *source, unsigned int counter)
{
	const struct totals *totals = source;

	return totals->total[counter];
}

static void alarm(void *source, unsigned int counter, uint64_t at)
{
	struct totals *totals = source;

	totals->alarm[counter] = at;
	if (totals->total[counter] >= at)
		vpmu_look(totals->pmu, counter);
}

const struct vpmu_source_ops totals_ops = {
	.bind = bind,
	.unbind = unbind,
	.total = total,
	.known = total,
	.alarm = alarm,
};

bool totals_add(struct totals *totals, uint64_t counters, uint64_t times)
{
	bool any = false;

	counters &= totals->bound;
	while (counters) {
		unsigned int counter = take_counter(&counters);

		totals->total[counter] += times;
		if (totals->total[counter] < totals->alarm[counter])
			continue;
		totals->alarm[counter] = VPMU_NO_ALARM;
		vpmu_look(totals->pmu, counter);
		any = true;
	}
	return any;
}
