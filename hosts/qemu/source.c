/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The source under TCG: totals that translated blocks add to as they start.
 * What has been added but not yet run when a total is read (the rest of the
 * block) is taken off; a block that an exception cuts short is corrected.
 */
#include "models.h"
#include "plugin.h"

/* Cycles per instruction, as a fraction. */
static uint64_t cpi_cycles = 1, cpi_instructions = 1;

/* How many slots use an entry, over all vCPUs; and what blocks add to now. */
static _Atomic unsigned int users[ENTRY_COUNT];
static _Atomic int64_t left_at[ENTRY_COUNT]; /* when the last user left; 0: long ago */
static _Atomic uint64_t installed;

_Static_assert(ENTRY_COUNT <= 64, "a bit per entry");

void source_set_cpi(struct cpi cpi)
{
	cpi_cycles = cpi.cycles;
	cpi_instructions = cpi.instructions;
}

/* a * b / c without overflow, for totals below 2^62 and cpi's small numbers. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
	return a / c * b + a % c * b / c;
}

static uint64_t cycles_of(uint64_t instructions)
{
	return scale(instructions, cpi_cycles, cpi_instructions);
}

/* Instructions after which this many more cycles have passed, at the earliest. */
static uint64_t instructions_for(uint64_t cycles)
{
	if (cycles > THRESHOLD / 4096)
		return cycles;
	return scale(cycles, cpi_instructions, cpi_cycles);
}

static unsigned int slot_index(unsigned int counter)
{
	return counter < VPMU_FIXED ? counter : counter - VPMU_FIXED + VPMU_MAX_GENERAL;
}

static unsigned int counter_of(unsigned int slot)
{
	return slot < VPMU_MAX_GENERAL ? slot : slot - VPMU_MAX_GENERAL + VPMU_FIXED;
}

static enum level level_of(const struct vpmu_event *event)
{
	if (event->user && event->kernel)
		return LEVEL_ANY;
	return event->user ? LEVEL_USER : LEVEL_KERNEL;
}

/*
 * Under cpi >= 1 at most one instruction retires in a cycle, so an event's
 * condition "at least n in a cycle" holds where it happens (n = 1) or nowhere.
 * But an instruction may miss a cache more than once.
 */
static bool masked_formula(const struct vpmu_event *event, struct formula *f)
{
	if (event->cmask == 0)
		return !event->edge;
	if (event->edge || f->class > CLASS_INTERRUPT || cpi_cycles < cpi_instructions)
		return false;
	if (event->cmask > 1) {
		f->class = event->invert ? CLASS_INSTRUCTION : CLASS_NONE;
		f->scaled = event->invert;
		return true;
	}
	if (f->scaled) /* of cycles, each one qualifies */
		f->class = event->invert ? CLASS_NONE : f->class;
	else
		f->complement = event->invert;
	return true;
}

static bool formula_of(const struct vpmu_event *event, struct formula *f)
{
	const struct event_row *row = event_find(event->id, event->select, event->umask);

	if (!row || event_why_not(row, models_enabled()))
		return false;
	*f = (struct formula){ .class = row->class,
			       .scaled = row->cycles,
			       .level = level_of(event) };
	return masked_formula(event, f);
}

/* The totals that a formula reads. */
static uint64_t entries_of(const struct formula *f)
{
	uint64_t entries = 0;

	if (f->class != CLASS_NONE)
		entries |= UINT64_C(1) << entry_of(f->class, f->level);
	if (f->complement)
		entries |= UINT64_C(1) << entry_of(CLASS_INSTRUCTION, f->level);
	return entries;
}

/* The total whose growth bounds the formula's from above. */
static unsigned int leading_entry(const struct formula *f)
{
	return entry_of(f->complement ? CLASS_INSTRUCTION : f->class, f->level);
}

static uint64_t entry_total(const struct vcpu *vcpu, unsigned int entry)
{
	uint64_t total = vcpu_score(vcpu)->raw[entry] - vcpu->bias[entry];
	unsigned int class = entry / LEVEL_COUNT;
	unsigned int level = entry % LEVEL_COUNT;

	if (vcpu->at && (level == LEVEL_ANY || level == (unsigned int)vcpu->at->level) &&
	    (source_installed() >> entry & 1)) {
		total -= vcpu->at->ahead[class];
		if (!vcpu->at_retired && (vcpu->at->self >> class & 1))
			total -= 1;
	}
	return total;
}

static uint64_t formula_total(const struct vcpu *vcpu, const struct formula *f)
{
	uint64_t total;

	if (f->class == CLASS_NONE)
		return 0;
	total = entry_total(vcpu, entry_of(f->class, f->level));
	if (f->scaled)
		return cycles_of(total);
	if (!f->complement)
		return total;
	return cycles_of(entry_total(vcpu, entry_of(CLASS_INSTRUCTION, f->level))) - total;
}

static uint64_t slot_total(const struct vcpu *vcpu, struct slot *slot)
{
	uint64_t total = formula_total(vcpu, &slot->formula);

	/* A correction may have taken off what was reported already. */
	if ((int64_t)(total - slot->high) > 0)
		slot->high = total;
	return slot->high;
}

/* Does this slot have an alarm that the entry's threshold stands for? */
static bool waits_for(const struct slot *slot, unsigned int entry)
{
	return slot->used && slot->alarm != VPMU_NO_ALARM && slot->formula.class != CLASS_NONE &&
	       leading_entry(&slot->formula) == entry;
}

/* Make the entry's threshold the nearest alarm of those that follow it. */
static void set_threshold(struct vcpu *vcpu, unsigned int entry)
{
	uint64_t *raw = &vcpu_score(vcpu)->raw[entry];
	uint64_t nearest = UINT64_MAX;
	uint64_t total;

	for (unsigned int i = 0; i < SLOT_COUNT; i++) {
		struct slot *slot = &vcpu->slots[i];
		uint64_t now, left;

		if (!waits_for(slot, entry))
			continue;
		now = slot_total(vcpu, slot);
		left = slot->alarm > now ? slot->alarm - now : 0;
		if (slot->formula.scaled || slot->formula.complement)
			left = instructions_for(left);
		if (left < nearest)
			nearest = left;
	}
	/* What is counted ahead of a site is not there yet for its alarms. */
	total = entry_total(vcpu, entry);
	nearest = nearest > THRESHOLD - total ? THRESHOLD : total + nearest;
	total = *raw - vcpu->bias[entry];
	vcpu->bias[entry] = THRESHOLD - nearest;
	*raw = total + vcpu->bias[entry];
}

static void report_uncounted(const struct vpmu_event *event)
{
	report("uncounted 0x%02x 0x%02x cmask=%u inv=%u edge=%u\n", event->select, event->umask,
	       event->cmask, event->invert, event->edge);
}

static bool source_bind(void *source, unsigned int counter, const struct vpmu_event *event)
{
	struct vcpu *vcpu = source;
	struct slot *slot = &vcpu->slots[slot_index(counter)];
	struct formula formula;
	uint64_t entries;

	if (!formula_of(event, &formula) || !models_count(vcpu, formula.class)) {
		report_uncounted(event);
		return false;
	}
	*slot = (struct slot){ .used = true, .formula = formula, .alarm = VPMU_NO_ALARM };
	slot->high = formula_total(vcpu, &formula);
	entries = entries_of(&formula);
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if (entries >> e & 1)
			users[e]++;
	if (entries & ~source_installed())
		plugin_retranslate();
	return true;
}

static void source_unbind(void *source, unsigned int counter)
{
	struct vcpu *vcpu = source;
	struct slot *slot = &vcpu->slots[slot_index(counter)];
	uint64_t entries = entries_of(&slot->formula);

	slot->used = false;
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if ((entries >> e & 1) && --users[e] == 0)
			left_at[e] = g_get_monotonic_time();
}

static uint64_t source_total(void *source, unsigned int counter)
{
	struct vcpu *vcpu = source;

	return slot_total(vcpu, &vcpu->slots[slot_index(counter)]);
}

static void source_alarm(void *source, unsigned int counter, uint64_t at)
{
	struct vcpu *vcpu = source;
	struct slot *slot = &vcpu->slots[slot_index(counter)];

	slot->alarm = at;
	if (slot->formula.class != CLASS_NONE)
		set_threshold(vcpu, leading_entry(&slot->formula));
}

const struct vpmu_source_ops source_ops = {
	.bind = source_bind,
	.unbind = source_unbind,
	.total = source_total,
	.alarm = source_alarm,
};

/* The entry's threshold is reached, and so at least one alarm, or nearly so. */
void source_alarm_reached(struct vcpu *vcpu, unsigned int entry)
{
	for (unsigned int i = 0; i < SLOT_COUNT; i++) {
		struct slot *slot = &vcpu->slots[i];

		if (!waits_for(slot, entry) || slot_total(vcpu, slot) < slot->alarm)
			continue;
		slot->alarm = VPMU_NO_ALARM;
		vpmu_look(&vcpu->pmu, counter_of(i));
	}
	set_threshold(vcpu, entry);
}

/* One of a class that no block adds up: it happens now, for code of this level. */
void source_count(struct vcpu *vcpu, enum event_class class, enum level level)
{
	struct score *score = vcpu_score(vcpu);
	const unsigned int entries[] = { entry_of(class, level), entry_of(class, LEVEL_ANY) };
	bool reached = false;

	for (unsigned int i = 0; i < 2; i++) {
		if (!(source_installed() >> entries[i] & 1))
			continue;
		if (++score->raw[entries[i]] >= THRESHOLD) {
			source_alarm_reached(vcpu, entries[i]);
			reached = true;
		}
	}
	if (reached)
		service(vcpu);
}

/* The block ended before instruction number `done`: take off what did not run. */
void source_correct(struct vcpu *vcpu, const struct block *block, unsigned int done)
{
	struct score *score = vcpu_score(vcpu);

	for (unsigned int i = done; i < block->count; i++)
		for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++) {
			if (!(block->insn[i].classes >> class & 1))
				continue;
			for (unsigned int level = 0; level < LEVEL_COUNT; level++) {
				unsigned int e = class * LEVEL_COUNT + level;

				if (block->entries >> e & 1)
					score->raw[e]--;
			}
		}
}

/* The entries that blocks have to add to. */
uint64_t source_entries(void)
{
	uint64_t entries = 0;

	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if (users[e])
			entries |= UINT64_C(1) << e;
	return entries;
}

uint64_t source_installed(void)
{
	return installed;
}

/*
 * Guests with more events than counters take turns with them: what a counter
 * has left a short while ago is wanted again soon, and stays.
 */
static uint64_t recent_entries(void)
{
	int64_t since = g_get_monotonic_time() - UNUSED_US;
	uint64_t entries = 0;

	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if (left_at[e] > since)
			entries |= UINT64_C(1) << e;
	return entries;
}

void source_note_installed(void)
{
	uint64_t before = installed;

	installed = source_entries() | recent_entries();
	models_installed(before, installed);
}

void source_forget_recent(void)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		left_at[e] = 0;
}
