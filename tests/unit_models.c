/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The models of docs/models.md: what the page says of patterns, and on random
 * input the same as plain, slow implementations of its text (oracle_*).
 */
#include "models/cache.h"
#include "models/predictor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SITE UINT64_C(0x401234)

/* A fixed generator: the tests are the same each time. */
static uint64_t random_state;

static unsigned int random_below(unsigned int n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)(random_state >> 33) % n;
}

/* The conditional branches' part of the page, read literally. */
struct oracle_branches {
	int counter[16384];
	int outcomes[12]; /* the last one first */
};

static void oracle_start(struct oracle_branches *o)
{
	for (int i = 0; i < 16384; i++)
		o->counter[i] = 1;
	for (int i = 0; i < 12; i++)
		o->outcomes[i] = 0;
}

static bool oracle_conditional(struct oracle_branches *o, uint64_t address, bool taken)
{
	int history = 0, number;
	bool predicted;

	for (int i = 0; i < 12; i++)
		history += o->outcomes[i] << i;
	number = ((int)(address % 4096) * 4) ^ history;
	predicted = o->counter[number] == 2 || o->counter[number] == 3;
	o->counter[number] += taken ? 1 : -1;
	if (o->counter[number] > 3)
		o->counter[number] = 3;
	if (o->counter[number] < 0)
		o->counter[number] = 0;
	for (int i = 11; i > 0; i--)
		o->outcomes[i] = o->outcomes[i - 1];
	o->outcomes[0] = taken;
	return predicted != taken;
}

static struct predictor predictor;
static struct oracle_branches oracle;

static int start_branches(void **state)
{
	(void)state;
	predictor_reset(&predictor);
	oracle_start(&oracle);
	random_state = 1;
	return 0;
}

/* Both implementations, which have to agree about each branch. */
static unsigned int branch(uint64_t address, bool taken)
{
	bool missed = predictor_conditional(&predictor, address, taken);

	assert_int_equal(missed, oracle_conditional(&oracle, address, taken));
	return missed;
}

static unsigned int loop(uint64_t address, unsigned int n)
{
	unsigned int missed = 0;

	for (unsigned int i = 1; i <= n; i++)
		missed += branch(address, i < n);
	return missed;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static void never_taken(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(branch(SITE, false), 0);
}

static void always_taken(void **state)
{
	unsigned int missed = 0;

	(void)state;
	for (unsigned int n = 1; n <= 1000; n++) {
		missed += branch(SITE, true);
		assert_int_equal(missed, least(n, 13));
	}
}

static void alternating(void **state)
{
	unsigned int missed = 0;

	(void)state;
	for (unsigned int n = 1; n <= 1000; n++) {
		missed += branch(SITE, true);
		missed += branch(SITE, false);
		assert_int_equal(missed, least(n, 7));
	}
}

static void loops_in_the_long_run(void **state)
{
	for (unsigned int n = 1; n <= 40; n++) {
		start_branches(state);
		for (unsigned int i = 0; i < 20; i++)
			loop(SITE, n);
		for (unsigned int i = 0; i < 20; i++)
			assert_int_equal(loop(SITE, n), n <= 13 ? 0 : n == 14 ? 2 : 1);
	}
}

static void long_loops(void **state)
{
	for (unsigned int n = 15; n <= 100; n++) {
		start_branches(state);
		assert_int_equal(loop(SITE, n), 14);
		assert_int_equal(loop(SITE, n), 12);
		for (unsigned int i = 0; i < 20; i++)
			assert_int_equal(loop(SITE, n), 1);
	}
}

/* Branches far enough apart share no counter: 64 bytes are more than 12 bits of history undo. */
static void nested_loops(void **state)
{
	unsigned int missed = 0, last = 0;

	(void)state;
	for (unsigned int run = 0; run < 30; run++) {
		last = 0;
		for (unsigned int outer = 1; outer <= 5; outer++) {
			last += loop(SITE, 4);
			last += branch(SITE + 0x400, outer < 5);
		}
		missed += last;
	}
	assert_true(missed > 0);
	/* The outer loop's end is 20 branches back: past the history, so missed each time. */
	assert_int_equal(last, 1);
}

static void random_branches(void **state)
{
	unsigned int missed = 0;

	(void)state;
	for (unsigned int i = 0; i < 100000; i++)
		missed += branch(SITE + random_below(8) * 11, random_below(2));
	assert_in_range(missed, 49000, 51000);
	missed = 0;
	for (unsigned int i = 0; i < 100000; i++)
		missed += branch(SITE + random_below(5000), random_below(10) == 0);
	assert_in_range(missed, 10000, 20000);
}

static void pages_share_counters(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 13; i++)
		assert_int_equal(branch(SITE + 4096 * i, true), 1);
	assert_int_equal(branch(SITE + 4096 * 100, true), 0);
}

static void indirect_branches(void **state)
{
	(void)state;
	assert_true(predictor_indirect(&predictor, SITE, 0x1000));
	for (unsigned int i = 0; i < 10; i++)
		assert_false(predictor_indirect(&predictor, SITE, 0x1000));
	for (unsigned int i = 0; i < 10; i++)
		assert_true(predictor_indirect(&predictor, SITE, i & 1 ? 0x1000 : 0x2000));
	assert_true(predictor_indirect(&predictor, SITE + 1, 0x1000));
	assert_false(predictor_indirect(&predictor, SITE + 4096, 0x1000));
}

static unsigned int nest(unsigned int depth)
{
	unsigned int missed = 0;

	for (unsigned int i = 0; i < depth; i++)
		predictor_call(&predictor, SITE + 100 * i);
	for (unsigned int i = depth; i-- > 0;)
		missed += predictor_return(&predictor, SITE + 100 * i);
	return missed;
}

static void returns(void **state)
{
	for (unsigned int depth = 0; depth <= 50; depth++) {
		start_branches(state);
		assert_int_equal(nest(depth), depth > 16 ? depth - 16 : 0);
		assert_int_equal(nest(depth), depth > 16 ? depth - 16 : 0);
	}
}

static void odd_returns(void **state)
{
	(void)state;
	assert_true(predictor_return(&predictor, SITE));
	predictor_call(&predictor, SITE);
	assert_true(predictor_return(&predictor, SITE + 1));
	assert_true(predictor_return(&predictor, SITE));
	predictor_call(&predictor, PREDICTOR_ANY_PAGE);
	assert_false(predictor_return(&predictor, 0x7000));
	predictor_call(&predictor, PREDICTOR_ANY_PAGE);
	assert_true(predictor_return(&predictor, 0x7001));
}

/* The page's caches, read literally: each line has the time of its last use. */
#define ORACLE_LINES 4096

struct oracle_cache {
	unsigned int sets, ways, count;
	struct {
		uint64_t line, used;
	} held[ORACLE_LINES];
};

static uint64_t oracle_time;

static bool oracle_look(struct oracle_cache *o, uint64_t line)
{
	unsigned int of_set = 0, oldest = ORACLE_LINES;

	oracle_time++;
	for (unsigned int i = 0; i < o->count; i++) {
		if (o->held[i].line == line) {
			o->held[i].used = oracle_time;
			return true;
		}
		if (o->held[i].line % o->sets != line % o->sets)
			continue;
		of_set++;
		if (oldest == ORACLE_LINES || o->held[i].used < o->held[oldest].used)
			oldest = i;
	}
	if (of_set < o->ways)
		oldest = o->count++;
	assert_true(oldest < ORACLE_LINES);
	o->held[oldest].line = line;
	o->held[oldest].used = oracle_time;
	return false;
}

static void oracle_shape(struct oracle_cache *o, const struct cache_geometry *g)
{
	*o = (struct oracle_cache){ .sets = g->size / g->ways / g->line, .ways = g->ways };
}

static enum cache_level oracle_access(struct oracle_cache *o, enum cache_level first, uint64_t line)
{
	if (oracle_look(&o[first], line))
		return first;
	for (enum cache_level level = CACHE_L2; level <= CACHE_LLC; level++)
		if (oracle_look(&o[level], line))
			return level;
	return CACHE_MEMORY;
}

static struct caches caches;

static int start_caches(void **state)
{
	(void)state;
	random_state = 1;
	return caches_init(&caches, &cache_config_default) ? 0 : -1;
}

static int end_caches(void **state)
{
	(void)state;
	caches_free(&caches);
	return 0;
}

/* How many of `count` loads, `stride` bytes apart, find their line no nearer than `level`. */
static unsigned int walk(enum cache_level level, unsigned int count, unsigned int stride)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < count; i++) {
		enum cache_level at = caches_access(&caches, CACHE_L1D, 0x100000 + i * stride);

		found += at != CACHE_L1D && at >= level;
	}
	return found;
}

static void default_geometry(void **state)
{
	static const unsigned int sets[] = { 64, 64, 1024, 32768 }, ways[] = { 8, 8, 16, 11 };

	(void)state;
	for (unsigned int i = 0; i < CACHE_COUNT; i++) {
		assert_int_equal(caches.level[i].sets, sets[i]);
		assert_int_equal(caches.level[i].ways, ways[i]);
	}
	assert_int_equal(caches_line(&caches, 0x1040), 0x41);
}

static void bytes_of_a_line(void **state)
{
	(void)state;
	assert_int_equal(walk(CACHE_L1D, 4096, 1), 64);
	assert_int_equal(walk(CACHE_L1D, 4096, 1), 0);
}

static void set_that_fits(void **state)
{
	(void)state;
	assert_int_equal(walk(CACHE_L1D, 512, 64), 512);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(walk(CACHE_L1D, 512, 64), 0);
}

static void one_line_too_many(void **state)
{
	(void)state;
	assert_int_equal(walk(CACHE_L1D, 513, 64), 513);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(walk(CACHE_L1D, 513, 64), 9);
}

static void twice_the_size(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(walk(CACHE_L1D, 1024, 64), 1024);
}

static void conflicts(void **state)
{
	(void)state;
	assert_int_equal(walk(CACHE_L1D, 8, 4096), 8);
	assert_int_equal(walk(CACHE_L1D, 8, 4096), 0);
	caches_reset(&caches);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(walk(CACHE_L1D, 9, 4096), 9);
	assert_int_equal(walk(CACHE_LLC, 9, 4096), 0);
}

static void further_levels(void **state)
{
	(void)state;
	/* 1.5 MiB: past L2, within the LLC. Of each L2 set 24 lines, in turn: all miss. */
	assert_int_equal(walk(CACHE_MEMORY, 24576, 64), 24576);
	assert_int_equal(walk(CACHE_MEMORY, 24576, 64), 0);
	assert_int_equal(walk(CACHE_LLC, 24576, 64), 24576);
	/* 64 KiB: past L1D, within L2. */
	assert_int_equal(walk(CACHE_LLC, 1024, 64), 1024);
	assert_int_equal(walk(CACHE_L2, 1024, 64), 1024);
	assert_int_equal(walk(CACHE_LLC, 1024, 64), 0);
	caches_reset(&caches);
	/* 22 MiB and one line: the 12 lines of the LLC's set 0 take turns. */
	assert_int_equal(walk(CACHE_MEMORY, 360449, 64), 360449);
	assert_int_equal(walk(CACHE_MEMORY, 360449, 64), 12);
}

static void code_and_data(void **state)
{
	(void)state;
	assert_int_equal(caches_access(&caches, CACHE_L1I, 0x1000), CACHE_MEMORY);
	assert_int_equal(caches_access(&caches, CACHE_L1I, 0x103f), CACHE_L1I);
	assert_int_equal(caches_access(&caches, CACHE_L1D, 0x1000), CACHE_L2);
	assert_int_equal(caches_access(&caches, CACHE_L1D, 0x1000), CACHE_L1D);
}

static void random_accesses(void **state)
{
	static struct oracle_cache plain[CACHE_COUNT];
	struct cache_config config = cache_config_default;

	(void)state;
	assert_null(
		cache_config_parse(&config, "l1i=1k:2:32+l1d=1536:3:32+l2=4k:4:32+llc=33k:33:32"));
	caches_free(&caches);
	assert_true(caches_init(&caches, &config));
	for (unsigned int i = 0; i < CACHE_COUNT; i++)
		oracle_shape(&plain[i], &config.level[i]);
	for (unsigned int i = 0; i < 50000; i++) {
		enum cache_level first = random_below(2) ? CACHE_L1D : CACHE_L1I;
		uint64_t address = random_below(random_below(2) ? 3000 : 60000);
		bool latest = caches_is_most_recent(&caches, first, address);
		enum cache_level found = caches_access(&caches, first, address);

		assert_int_equal(found, oracle_access(plain, first, address / 32));
		assert_true(caches_is_most_recent(&caches, first, address));
		assert_true(!latest || found == first);
	}
}

static void bad_geometries(void **state)
{
	static const char *const bad[] = {
		"",
		"l1d",
		"l3=1m:16:64",
		"l1d=32k",
		"l1d=32k:8",
		"l1d=32k:8:",
		"l1d=:8:64",
		"l1d=32q:8:64",
		"l1d=32k:8:64:1",
		"l1d=32k:8:64+",
		"l1d=32k:8:64,l2=1m:16:64",
		"l1d=32k:0:64",
		"l1d=32k:65:64",
		"l1d=32k:8:48",
		"l1d=32k:8:8",
		"l1d=32k:8:8192",
		"l1d=0:8:64",
		"l1d=257m:8:64",
		"l1d=4294967297:8:64",
		"l1d=33k:8:64",
		"l1d=48k:8:64",
		"l1d=256:8:64",
		"l1d=-1:8:64",
		"l1d=32k:8:128",
	};
	struct cache_config config = cache_config_default;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_non_null(cache_config_parse(&config, bad[i]));
		assert_memory_equal(&config, &cache_config_default, sizeof(config));
	}
}

static void good_geometries(void **state)
{
	struct cache_config config = cache_config_default;

	(void)state;
	assert_null(cache_config_parse(&config, "l1d=48k:12:64+llc=2m:16:64"));
	assert_int_equal(config.level[CACHE_L1D].size, 48 * 1024);
	assert_int_equal(config.level[CACHE_L1D].ways, 12);
	assert_int_equal(config.level[CACHE_LLC].size, 2 * 1024 * 1024);
	assert_int_equal(config.level[CACHE_L1I].size, 32 * 1024);
	assert_null(cache_config_parse(&config, "l2=64:1:64"));
	assert_null(cache_config_parse(&config,
				       "l1i=4k:1:128+l1d=4k:1:128+l2=8k:1:128+llc=16384:1:128"));
	assert_int_equal(config.level[CACHE_LLC].line, 128);
}

#define BRANCH_TEST(function, sentence)                                                            \
	{                                                                                          \
		sentence, function, start_branches, NULL, NULL                                     \
	}
#define CACHE_TEST(function, sentence)                                                             \
	{                                                                                          \
		sentence, function, start_caches, end_caches, NULL                                 \
	}

int main(void)
{
	const struct CMUnitTest predictors[] = {
		BRANCH_TEST(never_taken, "a branch never taken is never missed"),
		BRANCH_TEST(always_taken, "a branch always taken is missed 13 times"),
		BRANCH_TEST(alternating, "an alternating branch is missed 7 times"),
		BRANCH_TEST(loops_in_the_long_run,
			    "loops are missed 0, 2 or 1 times a run, by their length"),
		BRANCH_TEST(long_loops, "long loops are missed 14, 12 and then 1 times a run"),
		BRANCH_TEST(nested_loops, "of nested loops the outer one's end is missed"),
		BRANCH_TEST(random_branches, "random branches are missed as the page's text says"),
		BRANCH_TEST(pages_share_counters, "only the offset in a page chooses a counter"),
		BRANCH_TEST(indirect_branches, "an indirect branch goes where it went last"),
		BRANCH_TEST(returns, "returns are missed beyond 16 nested calls"),
		BRANCH_TEST(odd_returns, "a return without its call is missed"),
	};
	const struct CMUnitTest hierarchies[] = {
		CACHE_TEST(default_geometry, "the default geometry is a Skylake server's"),
		CACHE_TEST(bytes_of_a_line, "a line is brought in once for all its bytes"),
		CACHE_TEST(set_that_fits, "a working set that fits is brought in once"),
		CACHE_TEST(one_line_too_many, "one line too many evicts one set, again and again"),
		CACHE_TEST(twice_the_size, "a working set of twice the size always misses"),
		CACHE_TEST(conflicts, "lines of one set conflict beyond its ways"),
		CACHE_TEST(further_levels, "what misses one level is looked for in the next"),
		CACHE_TEST(code_and_data, "code and data meet in L2"),
		CACHE_TEST(random_accesses, "random accesses find what the page's text says"),
		CACHE_TEST(bad_geometries, "a wrong geometry is refused and changes nothing"),
		CACHE_TEST(good_geometries, "a geometry names what it changes"),
	};
	int failed = cmocka_run_group_tests_name("branch predictor", predictors, NULL, NULL);

	return failed + cmocka_run_group_tests_name("caches", hierarchies, NULL, NULL);
}
