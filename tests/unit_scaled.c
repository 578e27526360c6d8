/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which of perf stat's counts are estimates, as perf 6.1 to 6.12 print it; and perf's words.
 */
#include "tools/perf_words.h"
#include "tools/scaled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEADER "\n Performance counter stats for 'true':\n\n"

/* In pieces, as it comes. */
static struct scaled take(const char *words[], const char *output)
{
	struct scaled scaled;
	size_t size = strlen(output);

	scaled_begin(&scaled, (char *const *)(uintptr_t)words);
	for (size_t at = 0, part = 1; at < size; at += part, part = part % 7 + 1) {
		part = size - at < part ? size - at : part;
		scaled_take(&scaled, output + at, part);
	}
	return scaled;
}

static void assert_scaled(const char *words[], const char *output, unsigned int events,
			  double least)
{
	struct scaled scaled = take(words, output);

	assert_int_equal(scaled.events, events);
	assert_true(!events || (scaled.least > least - 0.001 && scaled.least < least + 0.001));
}

static void text_is_read(void **state)
{
	const char *words[] = { "stat", "--", "true", NULL };

	(void)state;
	assert_scaled(words,
		      HEADER "   1,234,567   instructions:u  #  0.5 insn per cycle  (49.98%)\n"
			     "          12   branches:u    (100.00%)\n"
			     "          13   cycles        ( +-  0.50% )  (12.50%)\r\n"
			     "   <not counted>  r00c5       (0.00%)\n"
			     "       0.5 seconds time elapsed  ( +- 12.50% )\n",
		      3, 0);
	assert_scaled(words, HEADER "      14   cycles   ( +-  0.50% )\n", 0, 0);
	assert_scaled(words, HEADER "      14   cycles    (49,98%)\n", 1, 49.98);
	assert_scaled(words,
		      "#           time             counts unit events\n"
		      "     1.000123    14   cycles    (49.98%)\n",
		      1, 49.98);
}

static void what_the_command_prints_before_is_not(void **state)
{
	const char *words[] = { "stat", "--", "cmake", NULL };

	(void)state;
	assert_scaled(words, "building (49.98%)\n" HEADER "  12  cycles\n", 0, 0);
}

static void fields_are_read(void **state)
{
	const char *comma[] = { "stat", "-x,", "true", NULL };
	const char *semicolon[] = { "stat", "-ax", ";", "--", "true", NULL };
	const char *named[] = { "stat", "--field-separator=\\t", "--", "true", NULL };

	(void)state;
	assert_scaled(comma,
		      "864.19,msec,task-clock,864190000,100.00,0.67,CPUs utilized\n"
		      "1234,,cycles,5678,100.00,,\n"
		      "1234,,cpu/event=0xc4,umask=1/u,5678,24.90,1.00,insn per cycle\n"
		      "<not counted>,,r00c5,0,0.00,,\n"
		      "<not supported>,,branch-misses,0,100.00,,\n",
		      2, 0);
	/* With -I, -A, --per-core and -r. */
	assert_scaled(comma, "1.000123,1234,,cycles,5678,50.00,,\n", 1, 50);
	assert_scaled(comma, "CPU0,12.34,msec,cpu-clock,5678,100.00,,\n", 0, 0);
	assert_scaled(comma, "S0-D0-C0,1,12.34,msec,cpu-clock,5678,100.00,,\n", 0, 0);
	assert_scaled(comma, "1234,,cycles,0.50%,5678,33.33,,\n", 1, 33.33);
	assert_scaled(semicolon, "1234;;cycles;5678;24.90;1.00;insn per cycle\n", 1, 24.9);
	assert_scaled(named, "1234\t\tcycles\t5678\t24.90\t1.00\tinsn per cycle\n", 1, 24.9);
	assert_scaled(comma, ",,,\n12.50\n\n,12.50\n", 0, 0);
}

static void json_is_read(void **state)
{
	const char *words[] = { "stat", "-j", "--", "true", NULL };

	(void)state;
	assert_scaled(
		words,
		"{\"counter-value\" : \"12.000000\", \"unit\" : \"\", \"event\" : \"cycles\", "
		"\"event-runtime\" : 5678, \"pcnt-running\" : 100.00, \"metric-value\" : "
		"\"1.0\"}\n"
		"{\"counter-value\" : \"12.000000\", \"event\" : \"cycles\", "
		"\"event-runtime\" : 5678, \"pcnt-running\" : 61.25}\n",
		1, 61.25);
}

static void long_lines_and_any_bytes_are_taken(void **state)
{
	const char *words[] = { "stat", "-x", "", NULL };
	static char output[5000];

	(void)state;
	memset(output, '5', sizeof(output) - 1);
	assert_scaled(words, output, 0, 0);
	memset(output, '\xff', sizeof(output) - 1);
	assert_scaled(words, output, 0, 0);
}

static void assert_values(const char *words[], const char *first, const char *second)
{
	struct args values = { 0 };

	perf_words_values((char *const *)(uintptr_t)words, 'o', "output", &values);
	assert_int_equal(values.count, (first != NULL) + (second != NULL));
	if (first)
		assert_string_equal(values.v[0], first);
	if (second)
		assert_string_equal(values.v[1], second);
	args_free(&values);
}

static void a_letter_may_be_a_flag_of_another_command(void **state)
{
	char *words[] = { "report", "-vi", "a", "-i", "b", NULL };
	struct args values = { 0 };

	(void)state;
	perf_words_values(words, 'i', "input", &values);
	assert_int_equal(values.count, 2);
	assert_string_equal(values.v[1], "b");
	args_free(&values);
}

static void user_space_alone_is_told_from_more(void **state)
{
	static const struct {
		const char *events;
		bool only;
	} cases[] = {
		{ "cycles:u", true },           { "cycles", false },
		{ "cycles:u,cycles", false },   { "cpu/event=0xc4,umask=1/u", true },
		{ "cpu/event=0xc4/", false },   { "cycles:uk", false },
		{ "cycles:upp,r00c4:u", true }, { "{a:u,b:u}", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *words[] = { "record", "-e", cases[i].events, "--", "true", NULL };

		assert_int_equal(perf_words_user_only((char *const *)(uintptr_t)words),
				 cases[i].only);
	}
}

static void values_are_found_in_all_forms(void **state)
{
	(void)state;
	assert_values((const char *[]){ "stat", "-o", "a", "--output", "b", NULL }, "a", "b");
	assert_values((const char *[]){ "stat", "-ob", "--output=c", NULL }, "b", "c");
	assert_values((const char *[]){ "stat", "-ao", "a", "--out=b", NULL }, "a", "b");
	assert_values((const char *[]){ "stat", "-e", "foo", "--", "cc", "-o", "x", NULL }, NULL,
		      NULL);
	assert_values((const char *[]){ "stat", "-eo", "--overwrite", "-", "-o", NULL }, NULL,
		      NULL);
	assert_values((const char *[]){ "stat", "-o", "--", "x", NULL }, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_read),
		cmocka_unit_test(what_the_command_prints_before_is_not),
		cmocka_unit_test(fields_are_read),
		cmocka_unit_test(json_is_read),
		cmocka_unit_test(long_lines_and_any_bytes_are_taken),
		cmocka_unit_test(values_are_found_in_all_forms),
		cmocka_unit_test(a_letter_may_be_a_flag_of_another_command),
		cmocka_unit_test(user_space_alone_is_told_from_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
