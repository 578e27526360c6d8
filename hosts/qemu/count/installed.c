/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See installed.h.
 */
#include "installed.h"
#include "models/models.h"
#include "service.h"
#include "vcpu.h"

static _Atomic unsigned int users[ENTRY_COUNT];   /* slots of all vCPUs that use the entry */
static _Atomic int64_t unused_since[ENTRY_COUNT]; /* when the last one ceased to; 0: long ago */
static _Atomic uint64_t installed;
static _Atomic uint64_t folded;

/*
 * To check an entry costs a block as much as to add to it, so it is done only as often
 * as an alarm needs. Guests ask for an interrupt of every counter: the alarm of one
 * that only counts is the counter's whole width away, and is not checked before it is
 * near. An alarm of a watchdog, seconds away, is checked once in each turn of a loop.
 */
#define EACH_BLOCK_WITHIN UINT64_C(0x80000000)
#define EACH_LOOP_WITHIN  (UINT64_C(1) << 40)

/* What blocks check now; and when that was last asked for. */
static _Atomic uint64_t checked[CHECK_COUNT];
static _Atomic int64_t check_wanted_at[CHECK_COUNT][ENTRY_COUNT];

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
			unused_since[entry] = g_get_monotonic_time();
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

uint64_t installed_checked(enum check check)
{
	return checked[check];
}

uint64_t installed_folded(void)
{
	return folded;
}

static enum check check_wanted(const struct vcpu *vcpu, unsigned int entry)
{
	uint64_t reached = vcpu_score(vcpu)->biased[entry] + totals_folded(vcpu, entry);

	if (reached < THRESHOLD - EACH_LOOP_WITHIN)
		return CHECK_NONE;
	return reached < THRESHOLD - EACH_BLOCK_WITHIN ? CHECK_EACH_LOOP : CHECK_EACH_BLOCK;
}

static bool is_checked(unsigned int entry, enum check check)
{
	if (check == CHECK_NONE || checked[CHECK_EACH_BLOCK] >> entry & 1)
		return true;
	return check == CHECK_EACH_LOOP && (checked[CHECK_EACH_LOOP] >> entry & 1);
}

void installed_want_check(struct vcpu *vcpu, unsigned int entry)
{
	enum check check = check_wanted(vcpu, entry);

	if (check != CHECK_NONE)
		check_wanted_at[check][entry] = vcpu->last_access;
	if (!is_checked(entry, check))
		stale_request(vcpu);
}

void installed_update_checks(struct vcpu *vcpu)
{
	uint64_t entries = installed & ~(checked[CHECK_EACH_BLOCK] | checked[CHECK_EACH_LOOP]);

	for (; entries; entries &= entries - 1)
		installed_want_check(vcpu, (unsigned int)__builtin_ctzll(entries));
}

/*
 * A guest with more events than counters gives the counters to its events in turn. An
 * event that has just lost its counter gets one again soon, so its entries stay.
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

static void note_checks(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++) {
		enum check check = check_wanted(vcpu, e);

		if (check != CHECK_NONE)
			checked[check] |= entry_bit(e);
	}
}

static uint64_t foldable(void)
{
	uint64_t any = checked[CHECK_EACH_BLOCK] | checked[CHECK_EACH_LOOP];
	uint64_t entries = 0;

	for (enum level level = 0; level < LEVEL_COUNT; level++) {
		unsigned int whole = entry_of(CLASS_BRANCH, level);

		if ((installed & ~any) >> whole & installed >> entry_folded_part(whole) & 1)
			entries |= entry_bit(whole);
	}
	return entries;
}

/* Folding an entry, or unfolding it, does not change its total. */
static void unfold(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		vcpu_score(vcpu)->biased[e] += totals_folded(vcpu, e);
}

static void fold(struct vcpu *vcpu)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		vcpu_score(vcpu)->biased[e] -= totals_folded(vcpu, e);
}

void installed_update(void)
{
	uint64_t before = installed;

	installed = installed_wanted() | recent_entries(unused_since);
	for (enum check check = 0; check < CHECK_COUNT; check++)
		checked[check] = recent_entries(check_wanted_at[check]);
	vcpus_each(note_checks);
	vcpus_each(unfold);
	folded = foldable();
	vcpus_each(fold);
	models_installed(before, installed);
}

void installed_forget_recent(void)
{
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		unused_since[e] = check_wanted_at[CHECK_EACH_BLOCK][e] =
			check_wanted_at[CHECK_EACH_LOOP][e] = 0;
}
