/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The replay engine and the baselines of vpmu bench pmi: that what is replayed is the
 * trace, and that a baseline counts what the library counts. No times are looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "bench/pmi/replay.h"
#include "bench/pmi/syscalls.h"
#include "bench/pmi/work.h"
#include "registers.h"
#include <cmocka.h>
#include <stdio.h>

/* Enabled with a PMI at all levels. */
#define INSTRUCTIONS UINT64_C(0x5300c0)
#define BRANCHES     UINT64_C(0x5300c4)
#define START        UINT64_C(0xfffffffff000)
#define ON           UINT64_C(0x70000000f)

#define MOST 4096

static struct trace_record records[MOST];
static struct trace trace;

static void begin(void)
{
	trace = (struct trace){ .config = vpmu_config_intel(4, 0x17f),
				.vcpus = 1,
				.records = records };
}

static void put(enum trace_kind kind, uint32_t index, uint64_t value)
{
	assert_true(trace.count < MOST);
	records[trace.count++] = (struct trace_record){
		.kind = kind, .answer = VPMU_DONE, .index = index, .value = value
	};
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	put(TRACE_WRMSR, msr, value);
}

/* What Linux does for the counters that have overflowed. */
static void handler(uint64_t counters)
{
	wrmsr(GLOBAL_CTRL, 0);
	put(TRACE_RDMSR, GLOBAL_STATUS, counters);
	wrmsr(STATUS_RESET, counters);
	for (uint32_t i = 0; i < 4; i++) {
		if (!(counters & (1u << i)))
			continue;
		put(TRACE_RDPMC, i, 0);
		wrmsr(A_PMC0 + i, START);
	}
	put(TRACE_RDMSR, GLOBAL_STATUS, 0);
	wrmsr(GLOBAL_CTRL, ON);
}

static void interrupt(uint64_t counters)
{
	put(TRACE_PMI, 0, counters);
	handler(counters);
}

/* Counters 0 and 1 are loaded and start. */
static void start_two(void)
{
	wrmsr(GLOBAL_CTRL, 0);
	wrmsr(A_PMC0, START);
	wrmsr(A_PMC0 + 1, START);
	wrmsr(PERFEVTSEL0, INSTRUCTIONS);
	wrmsr(PERFEVTSEL0 + 1, BRANCHES);
	wrmsr(GLOBAL_CTRL, ON);
}

static void make(struct plan *plan, enum subject_events events)
{
	assert_null(plan_make(plan, &trace, 0, events));
}

static struct replay_result run(const struct plan *plan, const struct subject_ops *ops)
{
	struct replay_result result = { 0 };
	struct replay_options options = { .warm_up = 0 };

	assert_null(replay_run(plan, ops, &options, &result));
	return result;
}

/* Every PMI comes, for the counters of the trace; nothing else does. */
static void assert_faithful(const struct replay_result *result, size_t pmis)
{
	assert_int_equal(result->pmis, pmis);
	assert_int_equal(result->lost, 0);
	assert_int_equal(result->spurious, 0);
	assert_int_equal(result->other, 0);
	assert_int_equal(result->disagreed, 0);
	assert_int_equal(result->status_disagreed, 0);
}

static void overflows_come_in_the_traces_order(void **state)
{
	static const uint64_t order[] = { 1, 1, 2, 1, 3, 2, 2, 2, 1, 3, 3, 1, 2 };
	const size_t count = sizeof(order) / sizeof(order[0]);
	struct replay_result result;
	struct plan plan;

	(void)state;
	begin();
	start_two();
	for (size_t i = 0; i < count; i++)
		interrupt(order[i]);
	make(&plan, EVENTS_MEMORY);
	assert_int_equal(plan.pmis, count);
	assert_int_equal(plan.timed, count);
	result = run(&plan, &subject_ours);
	assert_faithful(&result, count);
	assert_int_equal(result.early, 0);
	replay_result_free(&result);
	plan_free(&plan);
}

static void counter_that_stands_still_meanwhile_keeps_its_distance(void **state)
{
	struct replay_result result;
	struct plan plan;

	(void)state;
	begin();
	start_two();
	interrupt(2);
	wrmsr(PERFEVTSEL0, 0);
	interrupt(2);
	interrupt(2);
	wrmsr(PERFEVTSEL0, INSTRUCTIONS);
	interrupt(2);
	interrupt(1);
	make(&plan, EVENTS_MEMORY);
	result = run(&plan, &subject_ours);
	assert_faithful(&result, 5);
	assert_int_equal(result.early, 0);
	replay_result_free(&result);
	plan_free(&plan);
}

static void pmi_found_when_the_counter_is_stopped_is_replayed_there(void **state)
{
	struct replay_result result;
	struct plan plan;

	(void)state;
	begin();
	start_two();
	interrupt(1);
	wrmsr(GLOBAL_CTRL, 0);
	put(TRACE_PMI, 0, 2);
	handler(2);
	interrupt(1);
	make(&plan, EVENTS_MEMORY);
	assert_int_equal(plan.pmis, 3);
	assert_int_equal(plan.timed, 2);
	result = run(&plan, &subject_ours);
	assert_faithful(&result, 3);
	replay_result_free(&result);
	plan_free(&plan);
}

static void pmi_without_a_loaded_counter_is_left_out(void **state)
{
	struct replay_result result;
	struct plan plan;

	(void)state;
	begin();
	start_two();
	interrupt(1);
	interrupt(4);
	interrupt(2);
	make(&plan, EVENTS_MEMORY);
	assert_int_equal(plan.left_out, 1);
	result = run(&plan, &subject_ours);
	assert_int_equal(result.pmis, 2);
	assert_int_equal(result.lost, 0);
	replay_result_free(&result);
	plan_free(&plan);
}

static void event_changes_are_those_of_enabled_counters(void **state)
{
	struct plan plan;

	(void)state;
	begin();
	start_two(); /* two events */
	wrmsr(PERFEVTSEL0, 0);
	wrmsr(PERFEVTSEL0, INSTRUCTIONS); /* the same again */
	wrmsr(GLOBAL_CTRL, 0);
	wrmsr(PERFEVTSEL0, BRANCHES); /* never enabled */
	wrmsr(PERFEVTSEL0, INSTRUCTIONS);
	wrmsr(GLOBAL_CTRL, ON);
	wrmsr(PERFEVTSEL0 + 1, INSTRUCTIONS); /* the third */
	wrmsr(FIXED_CTR_CTRL, 0xb);           /* and the fourth */
	make(&plan, EVENTS_MEMORY);
	assert_int_equal(plan.event_changes, 4);
	plan_free(&plan);
}

static void *deaf_make(const struct vpmu_config *config, enum subject_events events)
{
	static int subject;

	(void)config;
	(void)events;
	return &subject;
}

static void deaf_nothing(void *subject)
{
	(void)subject;
}

static enum vpmu_answer deaf_read(void *subject, uint32_t index, uint64_t *value)
{
	(void)subject;
	(void)index;
	*value = 0;
	return VPMU_DONE;
}

static enum vpmu_answer deaf_write(void *subject, uint32_t msr, uint64_t value)
{
	(void)subject;
	(void)msr;
	(void)value;
	return VPMU_DONE;
}

static bool deaf_service(void *subject)
{
	(void)subject;
	return false;
}

static uint64_t deaf_status(void *subject)
{
	(void)subject;
	return 0;
}

static const struct subject_ops deaf = {
	.name = "deaf",
	.make = deaf_make,
	.end = deaf_nothing,
	.reset = deaf_nothing,
	.rdmsr = deaf_read,
	.wrmsr = deaf_write,
	.rdpmc = deaf_read,
	.service = deaf_service,
	.status = deaf_status,
	.happen = deaf_nothing,
};

static void pmis_that_do_not_come_are_counted_as_lost(void **state)
{
	struct replay_result result;
	struct plan plan;

	(void)state;
	begin();
	start_two();
	for (int i = 0; i < 10; i++)
		interrupt(1);
	make(&plan, EVENTS_MEMORY);
	result = run(&plan, &deaf);
	assert_int_equal(result.pmis, 0);
	assert_int_equal(result.lost, 10);
	replay_result_free(&result);
	plan_free(&plan);
}

static void load_shipped(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "bench/traces/%s.trace", name);
	assert_null(trace_load(path, &trace));
}

static const char *const shipped[] = { "one", "six", "ten" };

static void shipped_traces_replay_without_a_loss(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shipped) / sizeof(shipped[0]); i++) {
		struct replay_result result;
		struct plan plan;

		load_shipped(shipped[i]);
		make(&plan, EVENTS_MEMORY);
		assert_true(plan.pmis > 100);
		assert_int_equal(plan.left_out, 0);
		result = run(&plan, &subject_ours);
		assert_faithful(&result, plan.pmis);
		replay_result_free(&result);
		plan_free(&plan);
		trace_free(&trace);
	}
}

static void off_pmu_is_refused(void **state)
{
	struct plan plan;

	(void)state;
	begin();
	trace.config.version = 0;
	assert_non_null(plan_make(&plan, &trace, 0, EVENTS_MEMORY));
	plan_free(&plan);
}

static void need_perf_events(void)
{
	const char *why = work_available(EVENTS_SOFTWARE);

	if (!why)
		return;
	print_message("# SKIP %s\n", why);
	skip();
}

/* After a warm-up, in which pages of the program itself fault. */
static struct replay_result run_warm(const struct plan *plan, const struct subject_ops *ops)
{
	struct replay_options options = { .warm_up = 20 };
	struct replay_result result = { 0 };

	assert_null(replay_run(plan, ops, &options, &result));
	return result;
}

static void assert_near(uint64_t a, uint64_t b, uint64_t most)
{
	assert_true((a > b ? a - b : b - a) <= most);
}

static void baselines_count_what_the_library_counts(void **state)
{
	(void)state;
	need_perf_events();
	for (size_t i = 0; i < sizeof(shipped) / sizeof(shipped[0]); i++) {
		uint64_t read[4];
		struct plan plan;

		load_shipped(shipped[i]);
		make(&plan, EVENTS_SOFTWARE);
		for (size_t k = 0; subjects[k]; k++) {
			struct replay_result result = run_warm(&plan, subjects[k]);

			assert_faithful(&result, plan.pmis - 20);
			read[k] = result.read;
			replay_result_free(&result);
		}
		/* Some faults are the test's own. */
		assert_near(read[2], read[1], 64);
		assert_near(read[3], read[1], 64);
		/*
		 * So are those of the pages that the library's events have, and each is
		 * counted by all counters that count just then.
		 */
		assert_near(read[0], read[1], 64 + 2 * 8 * plan.event_changes);
		plan_free(&plan);
		trace_free(&trace);
	}
}

static struct syscalls count_calls(const char *name, const struct subject_ops *ops, size_t *changes)
{
	struct replay_options options = { .warm_up = 20 };
	struct syscalls syscalls;
	struct plan plan;
	const char *error;

	load_shipped(name);
	make(&plan, EVENTS_SOFTWARE);
	*changes = plan.event_changes;
	error = syscalls_count(&plan, ops, &options, &syscalls);
	plan_free(&plan);
	trace_free(&trace);
	if (error) {
		print_message("# SKIP %s\n", error);
		skip();
	}
	assert_true(syscalls.pmis > 100);
	assert_int_equal(syscalls.lost, 0);
	assert_int_equal(syscalls.spurious, 0);
	return syscalls;
}

static size_t in_all(const struct syscalls *syscalls, enum syscall_kind kind)
{
	size_t sum = 0;

	for (int phase = PHASE_SETUP; phase < PHASE_KINDS; phase++)
		sum += syscalls->calls[phase][kind];
	return sum;
}

static void pmi_of_one_event_is_four_system_calls_at_most_and_opens_nothing(void **state)
{
	struct syscalls syscalls;
	size_t changes;

	(void)state;
	need_perf_events();
	syscalls = count_calls("one", &subject_ours, &changes);
	assert_true(syscalls_in(&syscalls, PHASE_PMI) <= 4 * syscalls.pmis);
	assert_int_equal(syscalls.calls[PHASE_PMI][SYSCALL_OPEN], 0);
	assert_int_equal(syscalls.calls[PHASE_PMI][SYSCALL_CLOSE], 0);
}

static void ten_events_open_and_close_what_the_guest_changes(void **state)
{
	struct syscalls syscalls;
	size_t changes;

	(void)state;
	need_perf_events();
	syscalls = count_calls("ten", &subject_ours, &changes);
	assert_int_equal(syscalls.calls[PHASE_PMI][SYSCALL_OPEN], 0);
	assert_true(in_all(&syscalls, SYSCALL_OPEN) <= changes);
	assert_true(in_all(&syscalls, SYSCALL_CLOSE) <= changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overflows_come_in_the_traces_order),
		cmocka_unit_test(counter_that_stands_still_meanwhile_keeps_its_distance),
		cmocka_unit_test(pmi_found_when_the_counter_is_stopped_is_replayed_there),
		cmocka_unit_test(pmi_without_a_loaded_counter_is_left_out),
		cmocka_unit_test(event_changes_are_those_of_enabled_counters),
		cmocka_unit_test(pmis_that_do_not_come_are_counted_as_lost),
		cmocka_unit_test(off_pmu_is_refused),
		cmocka_unit_test(shipped_traces_replay_without_a_loss),
		cmocka_unit_test(baselines_count_what_the_library_counts),
		cmocka_unit_test(pmi_of_one_event_is_four_system_calls_at_most_and_opens_nothing),
		cmocka_unit_test(ten_events_open_and_close_what_the_guest_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
