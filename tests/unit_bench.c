/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unit tests of what the benchmarks compute and print with: statistics, tables,
 * JSON. Nothing is timed.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/json.h"
#include "bench/lib/measure.h"
#include "bench/lib/report.h"

/* U+FFFD in UTF-8. */
#define REPLACED "\xef\xbf\xbd"

/* What is printed to file, taken out of it; file is closed. */
static char printed[16384];

static FILE *paper(void)
{
	memset(printed, 0, sizeof(printed));
	return fmemopen(printed, sizeof(printed) - 1, "w");
}

static void statistics_are_by_nearest_rank(void **state)
{
	struct measure_samples samples = { 0 };
	struct measure_statistics statistics;

	(void)state;
	for (int i = 100; i >= 1; i--)
		measure_add(&samples, i);
	statistics = measure_statistics(&samples);
	assert_int_equal(statistics.count, 100);
	assert_true(statistics.minimum == 1);
	assert_true(statistics.median == 50);
	assert_true(statistics.p99 == 99);
	measure_free(&samples);
}

static void one_sample_is_all_statistics(void **state)
{
	struct measure_samples samples = { 0 };
	struct measure_statistics statistics;

	(void)state;
	measure_add(&samples, 7);
	statistics = measure_statistics(&samples);
	assert_true(statistics.minimum == 7 && statistics.median == 7 && statistics.p99 == 7);
	measure_free(&samples);
	assert_int_equal(measure_statistics(&samples).count, 0);
}

struct runs {
	unsigned int run;
	unsigned int prepared;
	unsigned long times;
};

static void run(void *argument, unsigned long count)
{
	struct runs *runs = argument;

	runs->run++;
	runs->times += count;
}

static void prepare(void *argument)
{
	struct runs *runs = argument;

	runs->prepared++;
}

static void candidates_run_in_every_round(void **state)
{
	struct runs runs[2] = { { 0 } };
	struct measure_candidate candidates[2] = {
		{ .run = run, .prepare = prepare, .argument = &runs[0] },
		{ .run = run, .argument = &runs[1] },
	};
	struct measure_plan plan = { .warm_up = 3, .repeat = 5, .count = 10 };

	(void)state;
	measure_run(&plan, candidates, 2);
	for (int i = 0; i < 2; i++) {
		/* One more for the counters. */
		assert_int_equal(runs[i].run, 9);
		assert_int_equal(runs[i].times, 90);
		assert_int_equal(candidates[i].ticks.count, 5);
		measure_free(&candidates[i].ticks);
	}
	assert_int_equal(runs[0].prepared, 9);
}

static const struct report_column columns[] = {
	{ "name", "name", 0 },
	{ "cost", "cost", 1 },
};

static struct report_table *small_table(struct report *report)
{
	struct report_table *table = report_table(report, "small", "A <small> table", columns, 2);
	struct report_value *row = report_row(table);

	report_text(&row[0], "a \"b\" & c");
	report_number(&row[1], 12.25);
	row = report_row(table);
	report_text(&row[0], "absent");
	row = report_row(table);
	report_text(&row[0], "none");
	report_number(&row[1], -0.01);
	return table;
}

static void a_table_is_printed_with_absent_values(void **state)
{
	struct report report = { NULL, NULL };
	FILE *file = paper();

	(void)state;
	report_note(small_table(&report), "a note");
	report_note(report.first, "a note");
	report_print(file, &report, false);
	fclose(file);
	assert_string_equal(printed, "A <small> table\n\n"
				     "  name       cost\n"
				     "  a \"b\" & c  12.2\n"
				     "  absent        -\n"
				     "  none        0.0\n"
				     "\n  a note\n");
	report_free(&report);
}

static void details_are_printed_for_who_asks(void **state)
{
	struct report report = { NULL, NULL };
	FILE *file = paper();

	(void)state;
	small_table(&report)->is_detail = true;
	report_print(file, &report, false);
	assert_int_equal(ftell(file), 0);
	report_print(file, &report, true);
	fclose(file);
	assert_non_null(strstr(printed, "absent"));
	report_free(&report);
}

static void json_has_null_for_absent_values(void **state)
{
	struct report report = { NULL, NULL };
	FILE *file = paper();

	(void)state;
	small_table(&report);
	json_print(file, report_json(&report));
	fclose(file);
	assert_non_null(
		strstr(printed, "\"name\": \"a \\\"b\\\" & c\",\n        \"cost\": 12.25\n"));
	assert_non_null(strstr(printed, "\"name\": \"absent\",\n        \"cost\": null\n"));
	assert_non_null(strstr(printed, "\"notes\": []\n"));
	report_free(&report);
}

static void json_has_the_titles_and_decimals_of_columns(void **state)
{
	struct report report = { NULL, NULL };
	FILE *file = paper();

	(void)state;
	small_table(&report);
	json_print(file, report_json(&report));
	fclose(file);
	assert_non_null(strstr(printed, "\"key\": \"cost\",\n        \"title\": \"cost\",\n"
					"        \"decimals\": 1\n"));
	report_free(&report);
}

static void json_escapes_what_it_must(void **state)
{
	json_t *json = json_array();
	FILE *file = paper();

	(void)state;
	json_array_append_new(json, json_from_text("\"\\\n\x01"));
	json_array_append_new(json, json_from_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
	json_array_append_new(json, json_from_text("\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\xc3"));
	json_array_append_new(json, json_from_text(NULL));
	json_array_append_new(json, json_from_number(NAN));
	json_array_append_new(json, json_from_number(INFINITY));
	json_array_append_new(json, json_from_number(-3));
	json_array_append_new(json, json_from_number(9007199254740991.0 / 9));
	json_print(file, json);
	fclose(file);
	assert_string_equal(printed, "[\n  \"\\\"\\\\\\n\\u0001\",\n"
				     "  \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\",\n"
				     "  \"" REPLACED REPLACED REPLACED REPLACED REPLACED REPLACED
					     REPLACED REPLACED REPLACED REPLACED REPLACED "\",\n"
				     "  null,\n  null,\n  null,\n  -3,\n"
				     "  1.00079991719344e15\n]\n");
}

static void a_number_that_is_none_is_absent(void **state)
{
	struct report_value value = { .kind = REPORT_ABSENT };

	(void)state;
	report_number(&value, 1);
	assert_int_equal(value.kind, REPORT_NUMBER);
	report_number(&value, NAN);
	assert_int_equal(value.kind, REPORT_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statistics_are_by_nearest_rank),
		cmocka_unit_test(one_sample_is_all_statistics),
		cmocka_unit_test(candidates_run_in_every_round),
		cmocka_unit_test(a_table_is_printed_with_absent_values),
		cmocka_unit_test(details_are_printed_for_who_asks),
		cmocka_unit_test(json_has_null_for_absent_values),
		cmocka_unit_test(json_has_the_titles_and_decimals_of_columns),
		cmocka_unit_test(json_escapes_what_it_must),
		cmocka_unit_test(a_number_that_is_none_is_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
