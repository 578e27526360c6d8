/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See formula.h.
 */
#include "formula.h"
#include "models/models.h"
#include "models/offcore.h"
#include "totals.h"

/* Cycles per instruction. */
static struct cpi cpi = { 1, 1 };

/* Whose encodings events have. */
static enum family family;

void formula_set_cpi(struct cpi given)
{
	cpi = given;
}

void formula_set_family(enum family given)
{
	family = given;
}

/* a * b / c without overflow, for totals below 2^62 and cpi's small numbers. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
	return a / c * b + a % c * b / c;
}

static uint64_t cycles_of(uint64_t instructions)
{
	return scale(instructions, cpi.cycles, cpi.instructions);
}

/* Rounded down. Counters have at most 48 bits, so no distance is too large to be scaled. */
static uint64_t instructions_for(uint64_t cycles)
{
	if (cycles > THRESHOLD / 4096)
		return cycles;
	return scale(cycles, cpi.instructions, cpi.cycles);
}

static enum level level_of(const struct vpmu_event *event)
{
	if (event->user && event->kernel)
		return LEVEL_ANY;
	return event->user ? LEVEL_USER : LEVEL_KERNEL;
}

/*
 * A counter mask asks for cycles with at least n events. With cpi >= 1 at most one
 * instruction retires in a cycle: for n = 1 those are the cycles with the event, for
 * n > 1 there are none. Events of the models may occur several times an instruction.
 */
static bool masked_formula(const struct vpmu_event *event, struct formula *f)
{
	if (event->cmask == 0)
		return !event->edge;
	if (event->edge || f->class > CLASS_INTERRUPT || cpi.cycles < cpi.instructions)
		return false;
	if (event->cmask > 1) {
		f->class = event->invert ? CLASS_INSTRUCTION : CLASS_NONE;
		f->cycles = event->invert;
		return true;
	}
	if (f->cycles) /* each cycle has a cycle */
		f->class = event->invert ? CLASS_NONE : f->class;
	else
		f->inverted = event->invert;
	return true;
}

static bool is_offcore(enum event_class class)
{
	return class == CLASS_OFFCORE_0 || class == CLASS_OFFCORE_1;
}

bool formula_of(const struct vpmu_event *event, struct formula *f)
{
	const struct event_row *row = event_find(family, event);

	if (!row || event_why_not(row, models_enabled()))
		return false;
	*f = (struct formula){ .class = row->class,
			       .cycles = row->cycles,
			       .level = level_of(event) };
	if (is_offcore(row->class) && !offcore_can_tell(event->extra))
		return false;
	return masked_formula(event, f);
}

uint64_t formula_entries(const struct formula *f)
{
	uint64_t entries = 0;

	if (f->class != CLASS_NONE)
		entries |= entry_bit(entry_of(f->class, f->level));
	if (f->inverted)
		entries |= entry_bit(entry_of(CLASS_INSTRUCTION, f->level));
	return entries;
}

unsigned int formula_leading_entry(const struct formula *f)
{
	return entry_of(f->inverted ? CLASS_INSTRUCTION : f->class, f->level);
}

uint64_t formula_total(const struct vcpu *vcpu, const struct formula *f)
{
	uint64_t total;

	if (f->class == CLASS_NONE)
		return 0;
	total = totals_entry(vcpu, entry_of(f->class, f->level));
	if (f->cycles)
		return cycles_of(total);
	if (!f->inverted)
		return total;
	return cycles_of(totals_entry(vcpu, entry_of(CLASS_INSTRUCTION, f->level))) - total;
}

uint64_t formula_distance(const struct formula *f, uint64_t growth)
{
	return f->cycles || f->inverted ? instructions_for(growth) : growth;
}
