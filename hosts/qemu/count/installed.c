/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See installed.h.
 */
#include "installed.h"
#include "models/models.h"
#include "service.h"
#include "vcpu.h"

/* How many slots use an entry, over all vCPUs; and what blocks add to now. */
static _Atomic unsigned int users[ENTRY_COUNT];
static _Atomic int64_t left_at[ENTRY_COUNT]; /* when the last user left; 0: long ago */
static _Atomic uint64_t installed;
static _Atomic uint64_t folded;

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

void installed_use(uint64_t entries)
{
	for (; entries; entries &= entries - 1)
		users[__builtin_ctzll(entries)]++;
}

void installed_unuse(uint64_t entries)
{
	for (; entries; entries &= entries - 1) {
		int entry = __builtin_ctzll(entries);

		if (--users[entry] == 0)
			left_at[entry] = g_get_monotonic_time();
	}
}

uint64_t installed_wanted(void)
{
	uint64_t entries = 0;

	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if (users[e])
			entries |= entry_bit(e);
	return entries;
}

uint64_t installed_entries(void)
{
	return installed;
}

uint64_t installed_looked_at(enum look look)
{
	return looked_at[look];
}

uint64_t installed_folded(void)
{
	return folded;
}

static enum look look_wanted(const struct vcpu *vcpu, unsigned int entry)
{
	uint64_t reached = vcpu_score(vcpu)->raw[entry] + totals_folded(vcpu, entry);

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

void installed_look_at(struct vcpu *vcpu, unsigned int entry)
{
	enum look look = look_wanted(vcpu, entry);

	if (look != LOOK_COUNT)
		asked_at[look][entry] = vcpu->last_use;
	if (!is_looked_at(entry, look))
		stale_translations(vcpu);
}

void installed_look_ahead(struct vcpu *vcpu)
{
	uint64_t entries = installed & ~(looked_at[LOOK_BLOCK] | looked_at[LOOK_LOOP]);

	for (; entries; entries &= entries - 1)
		installed_look_at(vcpu, (unsigned int)__builtin_ctzll(entries));
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
			entries |= entry_bit(e);
	return entries;
}

static void note_looks(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++) {
		enum look look = look_wanted(vcpu, e);

		if (look != LOOK_COUNT)
			looked_at[look] |= entry_bit(e);
	}
}

static uint64_t foldable(void)
{
	uint64_t looked = looked_at[LOOK_BLOCK] | looked_at[LOOK_LOOP];
	uint64_t entries = 0;

	for (enum level level = 0; level < LEVEL_COUNT; level++) {
		unsigned int whole = entry_of(CLASS_BRANCH, level);

		if ((installed & ~looked) >> whole & installed >> entry_folded_into(whole) & 1)
			entries |= entry_bit(whole);
	}
	return entries;
}

/* Totals stay what they are when what makes them changes. */
static void unfold(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		vcpu_score(vcpu)->raw[e] += totals_folded(vcpu, e);
}

static void fold(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		vcpu_score(vcpu)->raw[e] -= totals_folded(vcpu, e);
}

void installed_update(void)
{
	uint64_t before = installed;

	installed = installed_wanted() | recent_entries(left_at);
	for (enum look look = 0; look < LOOK_COUNT; look++)
		looked_at[look] = recent_entries(asked_at[look]);
	vcpus_each(note_looks);
	vcpus_each(unfold);
	folded = foldable();
	vcpus_each(fold);
	models_installed(before, installed);
}

void installed_forget_recent(void)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		left_at[e] = asked_at[LOOK_BLOCK][e] = asked_at[LOOK_LOOP][e] = 0;
}
