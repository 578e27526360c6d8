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
#if defined(__x86_64__)
#include "bench/vmexit/figures.h"
#include "bench/vmexit/guest.h"
#include "bench/vmexit/pmu.h"
#endif

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

#if defined(__x86_64__)
static void fill(struct measure_samples *samples, const double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		measure_add(samples, values[i]);
}

static void an_exit_is_the_difference_of_two_undisturbed_batches(void **state)
{
	static const double small[] = { 1400, 9000, 1400, 1400 };
	static const double large[] = { 3400, 3400, 7000, 3400 };
	struct measure_samples of_small = { 0 }, of_large = { 0 };
	struct figures_count figure;

	(void)state;
	fill(&of_small, small, 4);
	fill(&of_large, large, 4);
	figure = figures_count(&of_small, 4, &of_large, 12);
	assert_true(figure.each == 250);
	assert_true(figure.is_whole);
	assert_true(figure.undisturbed == 0.75);
	measure_free(&of_small);
	measure_free(&of_large);
}

static void what_few_batches_had_is_not_the_exit(void **state)
{
	/* One that is below the others; and interrupts in most. */
	static const double small[] = { 1392, 1400, 1400, 1400, 4800, 4800, 4800, 4900 };
	static const double large[] = { 3400, 3400, 6700, 6700, 6700, 6900, 6950, 7000 };
	struct measure_samples of_small = { 0 }, of_large = { 0 };
	struct figures_count figure;

	(void)state;
	fill(&of_small, small, 8);
	fill(&of_large, large, 8);
	figure = figures_count(&of_small, 4, &of_large, 12);
	assert_true(figure.small == 1400 && figure.large == 3400);
	assert_true(figure.each == 250);
	measure_free(&of_small);
	measure_free(&of_large);
}

static void an_exit_that_is_not_whole_is_told(void **state)
{
	static const double small[] = { 1400 }, large[] = { 3404 };
	struct measure_samples of_small = { 0 }, of_large = { 0 };
	struct figures_count figure;

	(void)state;
	fill(&of_small, small, 1);
	fill(&of_large, large, 1);
	figure = figures_count(&of_small, 4, &of_large, 12);
	assert_true(figure.each == 250.5);
	assert_false(figure.is_whole);
	measure_free(&of_small);
	measure_free(&of_large);
}

static void an_exit_without_batches_is_no_number(void **state)
{
	struct measure_samples none = { 0 };

	(void)state;
	assert_true(isnan(figures_count(&none, 4, &none, 12).each));
	assert_true(figures_over(102.7, 100) > 2.69 && figures_over(102.7, 100) < 2.71);
	assert_true(isnan(figures_over(100, NAN)));
}

static struct kvm_cpuid2 *cpuid_of(struct kvm_cpuid_entry2 vendor, struct kvm_cpuid_entry2 other)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 2 * sizeof(vendor));

	cpuid->nent = 2;
	cpuid->entries[0] = vendor;
	cpuid->entries[1] = other;
	return cpuid;
}

static const struct kvm_cpuid_entry2 amd = { .ebx = 0x68747541 };
static const struct kvm_cpuid_entry2 intel = { .ebx = 0x756e6547 };

/* There is no KVM: what it says for itself is left out. */
static void the_guest_programs_the_pmu_that_cpuid_has(void **state)
{
	static const struct {
		const struct kvm_cpuid_entry2 *vendor;
		struct kvm_cpuid_entry2 other;
		uint32_t select, event, control, low, high;
	} rows[] = {
		{ &amd, { .function = 0x80000001 }, 0xc0010000, 0x4300c0, 0, 0, 0 },
		{ &amd, { .function = 0x80000001, .ecx = 1 << 23 }, 0xc0010200, 0x4300c0, 0, 0, 0 },
		{ &amd,
		  { .function = 0x80000022, .eax = 1, .ebx = 6 },
		  0xc0010200,
		  0x4300c0,
		  0xc0000301,
		  0x3f,
		  0 },
		{ &intel, { .function = 10, .eax = 0x300401 }, 0x186, 0x4300c0, 0, 0, 0 },
		{ &intel,
		  { .function = 10, .eax = 0x300802, .edx = 3 },
		  0x186,
		  0x4300c0,
		  0x38f,
		  0xff,
		  7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kvm_cpuid2 *cpuid = cpuid_of(*rows[i].vendor, rows[i].other);
		struct pmu pmu = pmu_of(-1, cpuid);
		struct guest_write writes[PMU_WRITES];

		pmu_writes(&pmu, PMU_INSTRUCTIONS, writes);
		assert_int_equal(writes[0].msr, rows[i].select);
		assert_int_equal(writes[0].low, rows[i].event);
		assert_int_equal(writes[1].msr, rows[i].control);
		assert_int_equal(writes[1].low, rows[i].low);
		assert_int_equal(writes[1].high, rows[i].high);
		pmu_writes(&pmu, PMU_OFF, writes);
		assert_int_equal(writes[0].msr, 0);
		free(cpuid);
	}
}

static void a_cpuid_without_a_pmu_is_told(void **state)
{
	struct kvm_cpuid2 *cpuid = cpuid_of(intel, (struct kvm_cpuid_entry2){ .function = 10 });

	(void)state;
	assert_non_null(pmu_of(-1, cpuid).none);
	free(cpuid);
}
#endif

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
#if defined(__x86_64__)
		cmocka_unit_test(an_exit_is_the_difference_of_two_undisturbed_batches),
		cmocka_unit_test(what_few_batches_had_is_not_the_exit),
		cmocka_unit_test(an_exit_that_is_not_whole_is_told),
		cmocka_unit_test(an_exit_without_batches_is_no_number),
		cmocka_unit_test(the_guest_programs_the_pmu_that_cpuid_has),
		cmocka_unit_test(a_cpuid_without_a_pmu_is_told),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
