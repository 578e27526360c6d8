/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random accesses of the PMU: see pmu_registers.h.
 */
#include "pmu_registers.h"

static unsigned int below(uint64_t *state, unsigned int n)
{
	return (unsigned int)((next_random(state) >> 32) % n);
}

static bool lets_count(const struct pmu_register *row)
{
	return row->kind == REGISTER_SELECT || row->kind == REGISTER_GLOBAL_CONTROL;
}

/* What lets counters count comes more often. */
uint32_t pmu_random_msr(uint64_t *state)
{
	const struct pmu_register *row = &pmu_registers[below(state, pmu_register_rows)];

	if (!lets_count(row))
		row = &pmu_registers[below(state, pmu_register_rows)];
	return pmu_register_msr(row, below(state, row->numbers));
}

uint32_t pmu_random_index(uint64_t *state)
{
	uint32_t index = below(state, 16);

	return below(state, 3) ? index : index | RDPMC_FIXED;
}

static uint64_t random_select(uint64_t value)
{
	static const enum event events[] = { EVENT_INSTRUCTIONS, EVENT_CYCLES, EVENT_BRANCHES,
					     EVENT_LOADS,        EVENT_CALLS,  EVENT_INTERRUPTS };

	return event_select(events[value % ARRAY_SIZE(events)],
			    (value & (SEL_ALL | SEL_INT)) | SEL_EN);
}

/* What counts and interrupts soon. */
static uint64_t useful_value(const struct pmu_register *row, uint64_t value)
{
	switch (row->kind) {
	case REGISTER_COUNTER:
	case REGISTER_FIXED_COUNTER:
		return pmu_value_mask() - (value & 0xfff);
	case REGISTER_SELECT:
		return random_select(value);
	case REGISTER_FIXED_CONTROL:
		return value & row->kept;
	case REGISTER_GLOBAL_CONTROL:
		return pmu_all();
	case REGISTER_STATUS_CHANGE:
		return row->first == pmu.status_clear ? row->kept : value & pmu_all();
	case REGISTER_STATUS:
	case REGISTER_DEBUG_CONTROL:
	case REGISTER_INFORMATION:
	case REGISTER_OTHERS:
		break;
	}
	return value;
}

/* Values that mean something, or almost, more often than chance would. */
uint64_t pmu_random_value(uint64_t *state, uint32_t msr)
{
	unsigned int n;
	const struct pmu_register *row = pmu_register_of(msr, &n);
	uint64_t value = next_random(state);

	if (row && below(state, 2))
		return useful_value(row, value);
	switch (below(state, 6)) {
	case 0:
		return value;
	case 1:
		return value & 0xffffffff;
	case 2:
		return value & pmu_all();
	case 3:
		return pmu_value_mask() - (value & 0xfff);
	case 4:
		return 1ull << (value & 63);
	default:
		return random_select(value);
	}
}
