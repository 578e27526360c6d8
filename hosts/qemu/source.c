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

/*
 * Looking at an entry's threshold costs a block as much as adding to it, and is done
 * where an alarm asks for it. Guests give every counter one: of a counter that only
 * counts it is the counter's whole width away, and nothing looks for it before it
 * is nearer. A watchdog's, seconds away, is looked for once in each turn of a loop.
 */
#define NEARER UINT64_C(0x80000000)
#define NEAR   (UINT64_C(1) << 40)

/* Entries looked at in each block, or in each loop; and when they were last asked for. */
static _Atomic uint64_t looked_at[LOOK_COUNT];
static _Atomic int64_t asked_at[LOOK_COUNT][ENTRY_COUNT];

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

/*
 * Every conditional branch is a branch. Where both are counted, one that is conditional
 * is only added to its own entry, which is then a part of the entry of all branches:
 * "folded", unless a threshold is to stand for the whole.
 */
static _Atomic uint64_t folded;

static unsigned int part_of(unsigned int entry)
{
	return entry_of(CLASS_CONDITIONAL, (enum level)(entry % LEVEL_COUNT));
}

static uint64_t own_total(const struct vcpu *vcpu, unsigned int entry)
{
	return vcpu_score(vcpu)->raw[entry] - vcpu->bias[entry];
}

/* What another entry has of this one's total. */
static uint64_t folded_total(const struct vcpu *vcpu, unsigned int entry)
{
	return folded >> entry & 1 ? own_total(vcpu, part_of(entry)) : 0;
}

static uint64_t entry_total(const struct vcpu *vcpu, unsigned int entry)
{
	uint64_t total = own_total(vcpu, entry) + folded_total(vcpu, entry);
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

static enum look look_wanted(const struct vcpu *vcpu, unsigned int entry)
{
	uint64_t reached = vcpu_score(vcpu)->raw[entry] + folded_total(vcpu, entry);

	if (reached < THRESHOLD - NEAR)
		return LOOK_COUNT;
	return reached < THRESHOLD - NEARER ? LOOK_LOOP : LOOK_BLOCK;
}

static bool is_looked_at(unsigned int entry, enum look look)
{
	if (look == LOOK_COUNT || looked_at[LOOK_BLOCK] >> entry & 1)
		return true;
	return look == LOOK_LOOP && (looked_at[LOOK_LOOP] >> entry & 1);
}

/* Blocks do not do yet what this vCPU has asked for. */
static void need_translation(struct vcpu *vcpu)
{
	if (!plugin_retranslate())
		vcpu->late = true;
}

/* Have blocks look at the entry's threshold as often as its alarm asks for. */
static void look_at(struct vcpu *vcpu, unsigned int entry)
{
	enum look look = look_wanted(vcpu, entry);

	if (look != LOOK_COUNT)
		asked_at[look][entry] = vcpu->last_use;
	if (!is_looked_at(entry, look))
		need_translation(vcpu);
}

/* Make the entry's threshold the nearest alarm of those that follow it. */
static void set_threshold(struct vcpu *vcpu, unsigned int entry)
{
	uint64_t *raw = &vcpu_score(vcpu)->raw[entry];
	uint64_t nearest = UINT64_MAX;
	uint64_t total;

	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
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
	look_at(vcpu, entry);
}

static void report_uncounted(const struct vpmu_event *event)
{
	report("uncounted 0x%02x 0x%02x cmask=%u inv=%u edge=%u\n", event->select, event->umask,
	       event->cmask, event->invert, event->edge);
}

static bool source_bind(void *source, unsigned int counter, const struct vpmu_event *event)
{
	struct vcpu *vcpu = source;
	struct slot *slot = &vcpu->slots[vpmu_slot(counter)];
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
		need_translation(vcpu);
	return true;
}

static void source_unbind(void *source, unsigned int counter)
{
	struct vcpu *vcpu = source;
	struct slot *slot = &vcpu->slots[vpmu_slot(counter)];
	uint64_t entries = entries_of(&slot->formula);

	slot->used = false;
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if ((entries >> e & 1) && --users[e] == 0)
			left_at[e] = g_get_monotonic_time();
}

static uint64_t source_total(void *source, unsigned int counter)
{
	struct vcpu *vcpu = source;

	return slot_total(vcpu, &vcpu->slots[vpmu_slot(counter)]);
}

static void source_alarm(void *source, unsigned int counter, uint64_t at)
{
	struct vcpu *vcpu = source;
	struct slot *slot = &vcpu->slots[vpmu_slot(counter)];

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
	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		struct slot *slot = &vcpu->slots[i];

		if (!waits_for(slot, entry) || slot_total(vcpu, slot) < slot->alarm)
			continue;
		slot->alarm = VPMU_NO_ALARM;
		vpmu_look(&vcpu->pmu, vpmu_slot_counter(i));
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

/* Of an instruction that is of the entry's class. */
static bool adds_to(const struct block *block, unsigned int index, unsigned int entry)
{
	bool conditional = block->insn[index].classes >> CLASS_CONDITIONAL & 1;

	return (block->entries >> entry & 1) && !(conditional && (folded >> entry & 1));
}

/* What the block adds to the totals from instruction number `first` on, n times more. */
static void adjust(struct vcpu *vcpu, const struct block *block, unsigned int first, uint64_t n)
{
	struct score *score = vcpu_score(vcpu);

	for (unsigned int i = first; i < block->count; i++)
		for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++) {
			if (!(block->insn[i].classes >> class & 1))
				continue;
			for (unsigned int level = 0; level < LEVEL_COUNT; level++) {
				unsigned int e = class * LEVEL_COUNT + level;

				if (adds_to(block, i, e))
					score->raw[e] += n;
			}
		}
}

/* The block ended before instruction number `done`: take off what did not run. */
void source_correct(struct vcpu *vcpu, const struct block *block, unsigned int done)
{
	adjust(vcpu, block, done, UINT64_MAX);
}

/* A block that does not add to the totals by itself. */
void source_add(struct vcpu *vcpu, const struct block *block)
{
	adjust(vcpu, block, 0, 1);
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
static uint64_t recent_entries(const _Atomic int64_t *at)
{
	int64_t since = g_get_monotonic_time() - UNUSED_US;
	uint64_t entries = 0;

	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if (at[e] > since)
			entries |= UINT64_C(1) << e;
	return entries;
}

static void note_looks(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++) {
		enum look look = look_wanted(vcpu, e);

		if (look != LOOK_COUNT)
			looked_at[look] |= UINT64_C(1) << e;
	}
}

uint64_t source_looked_at(enum look look)
{
	return looked_at[look];
}

/* Alarms that were too far away to be looked for come near as time passes. */
void source_look_ahead(struct vcpu *vcpu)
{
	uint64_t entries = installed & ~(looked_at[LOOK_BLOCK] | looked_at[LOOK_LOOP]);

	for (; entries; entries &= entries - 1)
		look_at(vcpu, (unsigned int)__builtin_ctzll(entries));
}

uint64_t source_folded(void)
{
	return folded;
}

static uint64_t foldable(void)
{
	uint64_t looked = looked_at[LOOK_BLOCK] | looked_at[LOOK_LOOP];
	uint64_t entries = 0;

	for (enum level level = 0; level < LEVEL_COUNT; level++) {
		unsigned int whole = entry_of(CLASS_BRANCH, level);

		if ((installed & ~looked) >> whole & installed >> part_of(whole) & 1)
			entries |= UINT64_C(1) << whole;
	}
	return entries;
}

/* Totals stay what they are when what makes them changes. */
static void unfold(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		vcpu_score(vcpu)->raw[e] += folded_total(vcpu, e);
}

static void fold(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		vcpu_score(vcpu)->raw[e] -= folded_total(vcpu, e);
}

void source_note_installed(void)
{
	uint64_t before = installed;

	installed = source_entries() | recent_entries(left_at);
	for (enum look look = 0; look < LOOK_COUNT; look++)
		looked_at[look] = recent_entries(asked_at[look]);
	vcpus_each(note_looks);
	vcpus_each(unfold);
	folded = foldable();
	vcpus_each(fold);
	models_installed(before, installed);
}

void source_forget_recent(void)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		left_at[e] = asked_at[LOOK_BLOCK][e] = asked_at[LOOK_LOOP][e] = 0;
}
