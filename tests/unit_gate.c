/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu gate, as far as it runs no guest: counts that a guest sends, when they have grown too much,
 * baselines, and stacks. What is refused is in tests/cli.py.
 */
#define _GNU_SOURCE
#include "tools/gate/baseline.h"
#include "tools/gate/comparison.h"
#include "tools/gate/stacks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct change change_of(uint64_t least, uint64_t most, uint64_t now, double soft,
			       double hard)
{
	const struct range before = { least, most }, after = { now, now };

	return verdict_of(&before, &after, soft, hard);
}

static void exact_counts_fail_beyond_their_limit(void **state)
{
	(void)state;
	assert_int_equal(change_of(10000, 10000, 10000, -1, 0).verdict, VERDICT_SAME);
	assert_int_equal(change_of(10000, 10000, 10001, -1, 0).verdict, VERDICT_FAILURE);
	assert_int_equal(change_of(10000, 10000, 10100, -1, 1).verdict, VERDICT_SAME);
	assert_int_equal(change_of(10000, 10000, 10101, -1, 1).verdict, VERDICT_FAILURE);
	assert_int_equal(change_of(10000, 10000, 10101, 1, 2).verdict, VERDICT_WARNING);
	assert_int_equal(change_of(10000, 10000, 99999, -1, -1).verdict, VERDICT_SAME);
	assert_int_equal(change_of(10000, 10000, 9999, 0, 0).verdict, VERDICT_LESS);
	assert_int_equal(change_of(0, 0, 1, -1, 100).verdict, VERDICT_FAILURE);
	assert_int_equal(change_of(0, 0, 0, 0, 0).verdict, VERDICT_SAME);
}

static void what_varies_is_allowed_twice(void **state)
{
	(void)state;
	assert_int_equal(change_of(9900, 10000, 10200, -1, 0).verdict, VERDICT_SAME);
	assert_int_equal(change_of(9900, 10000, 10201, -1, 0).verdict, VERDICT_FAILURE);
	assert_int_equal(change_of(9900, 10000, 10201, -1, 5).verdict, VERDICT_SAME);
	assert_int_equal(change_of(9900, 10000, 10000, -1, 0).threshold, 200);
}

static void one_run_within_its_limit_is_enough(void **state)
{
	const struct range before = { 10000, 10000 }, now = { 10000, 20000 };

	(void)state;
	assert_int_equal(verdict_of(&before, &now, 0, 0).verdict, VERDICT_SAME);
}

static void huge_counts_do_not_wrap(void **state)
{
	(void)state;
	assert_int_equal(change_of(UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 1e6).verdict,
			 VERDICT_SAME);
	assert_int_equal(change_of(1, 1, UINT64_MAX, -1, 1e6).verdict, VERDICT_FAILURE);
}

static bool take(struct benchmark_result *benchmark, const char *counts)
{
	int status = -1;

	return result_take_run(benchmark, counts, &status) && status == 0;
}

static void runs_widen_what_was_measured(void **state)
{
	struct benchmark_result benchmark = { .name = (char *)"x" };

	(void)state;
	assert_true(take(&benchmark,
			 "status 0\nprocess 10 1 2 3 4 5 6 sh\nprocess 5 0 0 0 0 0 0 a b\n"));
	assert_true(take(&benchmark,
			 "status 0\nprocess 12 1 2 3 4 5 6 sh\nprocess 1 0 0 0 0 0 0 new\n"));
	assert_int_equal(benchmark.runs, 2);
	assert_int_equal(benchmark.total[COUNT_INSTRUCTIONS_USER].least, 13);
	assert_int_equal(benchmark.total[COUNT_INSTRUCTIONS_USER].most, 15);
	assert_int_equal(result_process(&benchmark, "sh")->counts[0].least, 10);
	assert_int_equal(result_process(&benchmark, "sh")->counts[0].most, 12);
	assert_int_equal(result_process(&benchmark, "a b")->counts[0].least, 0);
	assert_int_equal(result_process(&benchmark, "new")->counts[0].least, 0);
	assert_int_equal(result_process(&benchmark, "sh")->counts[COUNT_SWITCHES].most, 6);
}

static void nonsense_of_a_guest_is_no_count(void **state)
{
	static const char *const wrong[] = {
		"",
		"process 1 2 3 4 5 6 7 sh\n",
		"status\n",
		"status 0\nprocess 1 2 3 4 5 6 sh\n",
		"status 0\nprocess 1 2 3 4 5 6 7\n",
		"status 0\nprocess 1 2 3 4 5 6 7 \n",
		"status 0\nprocess -1 2 3 4 5 6 7 sh\n",
		"status 0\nprocess 1  2 3 4 5 6 7 sh\n",
		"status 0\nprocess 1 2 3 4 5 6 7 sh\nprocess 1 2 3 4 5 6 7 sh\n",
		"status 0\nprocess 1 2 3 4 5 6 7 \xff\n",
		"status 0\nsomething\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct benchmark_result benchmark = { .name = (char *)"x" };

		assert_false(take(&benchmark, wrong[i]));
	}
}

static void limits_are_read(void **state)
{
	struct limits limits = limits_default;

	(void)state;
	limits_take(limits.hard, "page-faults=2.5%");
	limits_take(limits.hard, "instructions:u=0");
	assert_true(limits.hard[COUNT_PAGE_FAULTS] > 2.49 && limits.hard[COUNT_PAGE_FAULTS] < 2.51);
	assert_true(limits.hard[COUNT_INSTRUCTIONS_USER] == 0);
	assert_true(config_name_is_good("a-b_c.d+1"));
	assert_false(config_name_is_good("../x"));
	assert_false(config_name_is_good(""));
	assert_false(config_name_is_good("a/b"));
}

static GHashTable *samples_of(const char *name, size_t samples)
{
	GHashTable *table = g_hash_table_new(g_str_hash, g_str_equal);

	g_hash_table_insert(table, (void *)(uintptr_t)name, (void *)samples);
	return table;
}

/* A benchmark with odd names, in a file and back. */
static void baselines_are_read_as_written(void **state)
{
	static const char name[] = "s\\h/\"f\"(int, char)\x01";
	struct result result = { 0 }, read = { 0 };
	struct benchmark_result *benchmark;
	const struct benchmark_result *back;
	char path[] = "/tmp/vpmu-unit-XXXXXX";
	struct range counts;

	(void)state;
	result_add_fact(&result, "libc", "a \"quoted\" \\ text");
	benchmark = result_add(&result, "a.b");
	args_add(&benchmark->command, "sh");
	args_add(&benchmark->command, "a\nb\t\"");
	assert_true(take(benchmark, "status 0\nprocess 10 1 2 3 4 5 6 s\\x0ah\n"));
	assert_true(take(benchmark, "status 0\nprocess 11 1 2 3 4 5 6 s\\x0ah\n"));
	benchmark->profile.period = 100;
	profile_take_run(&benchmark->profile, samples_of(name, 50), 100);
	profile_take_run(&benchmark->profile, samples_of(name, 49), 102);
	close(mkstemp(path));
	baseline_write(path, &result);
	baseline_read(&read, path);
	unlink(path);
	assert_string_equal(result_fact(&read, "libc"), "a \"quoted\" \\ text");
	back = result_find(&read, "a.b");
	assert_non_null(back);
	assert_int_equal(back->runs, 2);
	assert_string_equal(back->command.v[1], "a\nb\t\"");
	assert_int_equal(back->total[0].least, 10);
	assert_int_equal(back->total[0].most, 11);
	assert_int_equal(result_process(back, "s\\x0ah")->counts[COUNT_SWITCHES].most, 6);
	counts = profile_counts(&back->profile, name);
	assert_int_equal(counts.least, 4998);
	assert_int_equal(counts.most, 5000);
	assert_int_equal(profile_counts(&back->profile, "other").most, 0);
}

#define SCRIPT                                                                                     \
	"sh \n\t    7f00 leaf+0x10 (/lib/a.so)\n\t 4000 main+0x1 (/bin/x y)\n\t 1 [unknown] "      \
	"([unknown])\n\n"                                                                          \
	"sh \n\t 7f00 leaf+0x12 (/lib/a.so)\n\t 4000 main+0x2 (/bin/x y)\n\n"                      \
	"a b \n\t 7f00 [unknown] (/lib/a.so)\n\n"

static char *printed(void (*print)(FILE *file, const struct stacks *stacks))
{
	struct stacks stacks = { 0 };
	char *data;
	size_t size;
	FILE *file = open_memstream(&data, &size);

	stacks_parse(&stacks, SCRIPT);
	print(file, &stacks);
	fclose(file);
	stacks_free(&stacks);
	return data;
}

static void print_folded(FILE *file, const struct stacks *stacks)
{
	stacks_print_folded(file, stacks, 10);
}

static void print_callgrind(FILE *file, const struct stacks *stacks)
{
	stacks_print_callgrind(file, stacks, 10, "x y");
}

static void stacks_are_folded(void **state)
{
	(void)state;
	assert_string_equal(printed(print_folded), "a b;[a.so] 10\nsh;main;leaf 20\n");
}

static void stacks_are_callgrinds(void **state)
{
	char *data = printed(print_callgrind);

	(void)state;
	assert_true(!strncmp(data, "# callgrind format\n", strlen("# callgrind format\n")));
	assert_non_null(strstr(data, "\nevents: Ir\nsummary: 30\n"));
	assert_non_null(strstr(data, "\nob=/lib/a.so\nfl=???\nfn=leaf\n0 20\n"));
	assert_non_null(
		strstr(data, "fn=main\ncob=/lib/a.so\ncfi=???\ncfn=leaf\ncalls=1 0\n0 20\n"));
}

static struct benchmark_result with_function(size_t first, size_t second)
{
	struct benchmark_result result = { .profile = { .period = 100 } };

	profile_take_run(&result.profile, samples_of("x/f", first), 100);
	profile_take_run(&result.profile, samples_of("x/f", second), 100);
	return result;
}

static void functions_change_beyond_chance(void **state)
{
	const struct benchmark_result before = with_function(1000, 1005);
	struct benchmark_result now = with_function(1003, 1008);
	struct pair pair = { .before = &before, .now = &now };
	struct function_change *changes;
	size_t count;

	(void)state;
	g_free(pair_functions(&pair, &count));
	assert_int_equal(count, 0);
	now = with_function(1100, 1105);
	changes = pair_functions(&pair, &count);
	assert_int_equal(count, 1);
	assert_string_equal(changes[0].name, "x/f");
	assert_int_equal(changes[0].instructions, 10000);
	assert_int_equal(changes[0].error, 1000);
	g_free(changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_counts_fail_beyond_their_limit),
		cmocka_unit_test(what_varies_is_allowed_twice),
		cmocka_unit_test(one_run_within_its_limit_is_enough),
		cmocka_unit_test(huge_counts_do_not_wrap),
		cmocka_unit_test(runs_widen_what_was_measured),
		cmocka_unit_test(nonsense_of_a_guest_is_no_count),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(baselines_are_read_as_written),
		cmocka_unit_test(stacks_are_folded),
		cmocka_unit_test(stacks_are_callgrinds),
		cmocka_unit_test(functions_change_beyond_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
