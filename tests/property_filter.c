/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random event filters and random events against the model (model_filter.c): which counters
 * may count, whatever changes while they do, the filter or what they are programmed to. And
 * what a counter has counted stays, however often it is denied and allowed again.
 * VPMU_SEED and VPMU_QUERIES in the environment choose others.
 */
#include "machine.h"
#include "model.h"
#include "random.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <vpmu/filter.h>

#include <cmocka.h>

#define DEFAULT_QUERIES 1000000

/* A filter is asked about so many sets of events before there is another. */
#define ROUNDS_PER_FILTER 40

#define MOST_ENTRIES 2000

/* Event selects and unit masks of entries and events come from few values, so that they match. */
#define POOL 5

struct experiment {
	struct machine m;
	struct random random;
	bool amd;
	unsigned int general, fixed;
	unsigned int selects[POOL], umasks[POOL];
	uint64_t entries[2][MOST_ENTRIES];
	struct model_filter filters[2];
	struct vpmu_filter theirs[2]; /* the same for the library */
	unsigned int current;         /* the filter that is in force */
	bool filtered;                /* there is one */
	/* What the guest has programmed, and what its counters should hold. */
	uint64_t evtsel[VPMU_MAX_GENERAL];
	uint64_t fixed_ctrl;
	uint64_t values[COUNTERS];
	uint64_t queries, allowed;
};

static uint64_t seed, queries;

static unsigned int below(struct experiment *x, unsigned int n)
{
	return random_below(&x->random, n);
}

static bool chance(struct experiment *x, unsigned int n)
{
	return one_in(&x->random, n);
}

static const struct model_filter *filter_of(const struct experiment *x)
{
	return x->filtered ? &x->filters[x->current] : NULL;
}

/* --- random events and filters ---------------------------------------------------- */

static void fill_pool(struct experiment *x)
{
	for (unsigned int i = 0; i < POOL; i++) {
		x->selects[i] = below(x, x->amd ? 0x1000 : 0x100);
		x->umasks[i] = below(x, 0x100);
	}
	/* Selects that differ in their upper bits alone. */
	if (x->amd)
		x->selects[1] = x->selects[0] ^ 0x100u << below(x, 4);
}

static unsigned int random_select(struct experiment *x)
{
	return chance(x, 16) ? below(x, x->amd ? 0x1000 : 0x100) : x->selects[below(x, POOL)];
}

static unsigned int random_umask(struct experiment *x)
{
	return chance(x, 4) ? below(x, 0x100) : x->umasks[below(x, POOL)];
}

static uint64_t encoding(unsigned int select, unsigned int umask)
{
	return (select & 0xff) | umask << 8 | (uint64_t)(select >> 8) << 32;
}

static uint64_t random_evtsel(struct experiment *x)
{
	uint64_t value = encoding(random_select(x), random_umask(x));

	value |= (uint64_t)(1 + below(x, 3)) << 16;
	value |= chance(x, 8) ? 0 : 1u << 22;
	/* What a filter does not look at. */
	value |= random_bits(&x->random) & (1u << 18 | 1u << 20 | 1u << 23 | 3u << 24);
	return value;
}

/* Masks have few bits set, or few clear; the match is mostly one that something fits. */
static uint64_t random_masked_entry(struct experiment *x, unsigned int select)
{
	unsigned int mask = chance(x, 3) ? 0xff : below(x, 0x100) & below(x, 0x100);
	unsigned int match = chance(x, 16) ? below(x, 0x100) : random_umask(x) & mask;

	return encoding(select, match) | (uint64_t)mask << 56 | (uint64_t)chance(x, 4) << 55;
}

/* Of a filter with so many entries: a few of them are close to what the guest counts. */
static uint64_t random_entry(struct experiment *x, uint32_t flags, size_t count)
{
	bool close = chance(x, 1 + (unsigned int)count / 10);
	unsigned int select = close ? random_select(x) : below(x, x->amd ? 0x1000 : 0x100);
	uint64_t entry = encoding(select, random_umask(x));

	if (flags == 1)
		return random_masked_entry(x, select);
	/* Plain entries may have any bits; one with others than these is no event's. */
	return chance(x, 16) ? entry ^ UINT64_C(1) << below(x, 64) : entry;
}

static unsigned int random_size(struct experiment *x)
{
	switch (below(x, 50)) {
	case 0:
		return 2000;
	case 1:
	case 2:
	case 3:
	case 4:
		return 300;
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		return 0;
	default:
		return 1 + below(x, 8);
	}
}

/* Into the filter that is not in force. */
static struct model_filter *random_filter(struct experiment *x)
{
	unsigned int other = !x->current;
	struct model_filter *filter = &x->filters[other];

	filter->action = below(x, 2);
	filter->flags = below(x, 2);
	filter->fixed_bitmap = (uint32_t)random_bits(&x->random);
	filter->count = random_size(x);
	filter->entries = x->entries[other];
	for (size_t i = 0; i < filter->count; i++)
		x->entries[other][i] = random_entry(x, filter->flags, filter->count);
	/* Anywhere in it a bit that may mean nothing. */
	if (filter->count && chance(x, 10))
		x->entries[other][below(x, (unsigned int)filter->count)] ^= UINT64_C(1)
									    << below(x, 64);
	return filter;
}

/* --- the library ------------------------------------------------------------------ */

static enum vpmu_error set_filter(struct experiment *x, const struct model_filter *filter)
{
	struct vpmu_filter *theirs = &x->theirs[!x->current];

	if (!filter)
		return vpmu_set_filter(&x->m.pmu, NULL);
	*theirs = (struct vpmu_filter){
		.action = filter->action == 0 ? VPMU_FILTER_ALLOW : VPMU_FILTER_DENY,
		.masked = filter->flags == 1,
		.fixed = filter->fixed_bitmap,
		.count = (uint32_t)filter->count,
		.entries = filter->count ? filter->entries : NULL,
	};
	return vpmu_set_filter(&x->m.pmu, theirs);
}

static void start(struct experiment *x, enum vpmu_vendor_id vendor)
{
	struct vpmu_config config =
		vendor == VPMU_AMD ? usual_config(AMD_V2) : usual_config(INTEL_5);

	x->amd = vendor == VPMU_AMD;
	config.fixed = x->amd ? 0 : VPMU_MAX_FIXED;
	x->general = config.general;
	x->fixed = config.fixed;
	x->filtered = false;
	x->fixed_ctrl = 0;
	memset(x->evtsel, 0, sizeof(x->evtsel));
	memset(x->values, 0, sizeof(x->values));
	start_machine(&x->m, &config);
	if (!x->amd)
		set_now(&x->m, GLOBAL_CTRL, UINT64_C(0xf000000ff));
}

/* A new filter, none, or one that is refused and changes nothing. */
static void change_filter(struct experiment *x)
{
	const struct model_filter *filter = random_filter(x);
	enum vpmu_vendor_id vendor = x->amd ? VPMU_AMD : VPMU_INTEL;
	bool valid = model_filter_is_valid(vendor, filter);

	if (chance(x, 20)) {
		assert_int_equal(set_filter(x, NULL), VPMU_OK);
		x->filtered = false;
		return;
	}
	if ((set_filter(x, filter) == VPMU_OK) != valid)
		fail_msg("a filter is %s", valid ? "refused" : "not refused");
	if (!valid)
		return;
	x->current = !x->current;
	x->filtered = true;
}

static void program_general(struct experiment *x, unsigned int i)
{
	x->evtsel[i] = random_evtsel(x);
	set(&x->m, x->amd ? PERF_CTL0 + 2 * i : PERFEVTSEL0 + i, x->evtsel[i]);
}

static void program_fixed(struct experiment *x)
{
	x->fixed_ctrl = random_bits(&x->random) & 0xbbbb;
	set(&x->m, FIXED_CTR_CTRL, x->fixed_ctrl);
}

/* --- what the model says ------------------------------------------------------------ */

static bool general_counts(const struct experiment *x, unsigned int i)
{
	const struct model_filter *filter = filter_of(x);
	uint64_t evtsel = x->evtsel[i];
	unsigned int select = (evtsel & 0xff) | (evtsel >> 32 & 0xf) << 8;

	if (!model_test(evtsel, 22))
		return false;
	return !filter || model_filter_allows(filter, select, evtsel >> 8 & 0xff);
}

static bool fixed_counts(const struct experiment *x, unsigned int i)
{
	const struct model_filter *filter = filter_of(x);

	if (!(x->fixed_ctrl >> 4 * i & 3))
		return false;
	return !filter || model_filter_allows_fixed(filter, i);
}

static uint64_t counting(struct experiment *x)
{
	uint64_t counters = 0;

	for (unsigned int i = 0; i < x->general; i++)
		if (general_counts(x, i))
			counters |= UINT64_C(1) << i;
	for (unsigned int i = 0; i < x->fixed; i++)
		if (fixed_counts(x, i))
			counters |= UINT64_C(1) << (VPMU_FIXED + i);
	return counters;
}

/* --- the comparison ------------------------------------------------------------------ */

/* Something happens for each of the counters; those that count have it in their values. */
static void happen_to_all(struct experiment *x, uint64_t counters)
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		unsigned int n = below(x, 100);

		if (!x->m.source.bound[i])
			continue;
		happen(&x->m, i, n);
		if (counters >> i & 1)
			x->values[i] += n;
	}
}

static void compare_values(struct experiment *x)
{
	for (unsigned int i = 0; i < x->general; i++)
		assert_int_equal(get(&x->m, x->amd ? PERF_CTR0 + 2 * i : PMC0 + i), x->values[i]);
	for (unsigned int i = 0; i < x->fixed; i++)
		assert_int_equal(get(&x->m, FIXED_CTR0 + i), x->values[VPMU_FIXED + i]);
}

/* Each counter that is looked at is a query. */
static void compare(struct experiment *x)
{
	uint64_t expected = counting(x);

	assert_false(vpmu_service(&x->m.pmu));
	if (vpmu_active(&x->m.pmu) != expected)
		fail_msg("query %" PRIu64 ": %" PRIx64 "H count, not %" PRIx64 "H", x->queries,
			 vpmu_active(&x->m.pmu), expected);
	for (unsigned int i = 0; i < COUNTERS; i++)
		if ((expected >> i & 1) && !x->m.source.bound[i])
			fail_msg("counter %u counts, but is not bound", i);
	x->queries += x->general + x->fixed;
	x->allowed += (unsigned int)__builtin_popcountll(expected);
	happen_to_all(x, expected);
}

static void run_round(struct experiment *x)
{
	for (unsigned int i = 0; i < x->general; i++)
		if (!chance(x, 8))
			program_general(x, i);
	if (x->fixed && chance(x, 2))
		program_fixed(x);
	compare(x);
}

/* The filter changes while counters count, alone or with what the guest writes meanwhile. */
static void run_filter(struct experiment *x)
{
	change_filter(x);
	if (!chance(x, 3))
		compare(x);
	for (unsigned int i = 0; i < ROUNDS_PER_FILTER; i++)
		run_round(x);
	compare_values(x);
}

static void run_vendor(enum vpmu_vendor_id vendor)
{
	static struct experiment x;

	x.random = random_from(seed * 2 + vendor);
	x.queries = x.allowed = 0;
	start(&x, vendor);
	while (x.queries < queries) {
		fill_pool(&x);
		run_filter(&x);
	}
	printf("# %" PRIu64 " queries, %" PRIu64 " counters counted\n", x.queries, x.allowed);
	assert_true(x.allowed > x.queries / 5 && x.allowed < x.queries - x.queries / 5);
}

static void intel_events(void **state)
{
	(void)state;
	run_vendor(VPMU_INTEL);
}

static void amd_events(void **state)
{
	(void)state;
	run_vendor(VPMU_AMD);
}

static const struct CMUnitTest tests[] = {
	{ .name = "Intel's counters count what a random filter allows, and keep their values",
	  .test_func = intel_events },
	{ .name = "AMD's counters count what a random filter allows, and keep their values",
	  .test_func = amd_events },
};

int main(void)
{
	seed = random_seed();
	queries = number_from("VPMU_QUERIES", DEFAULT_QUERIES);
	printf("# VPMU_QUERIES=%" PRIu64 "\n", queries);
	fflush(stdout);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
