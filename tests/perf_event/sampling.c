/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Periods are kept, by each way to learn of an overflow, and cost few system calls.
 */
#define _GNU_SOURCE
#include "fixture.h"
#include <signal.h>
#include <string.h>

static void samples(int signal)
{
	struct vcpu v;
	unsigned int files;
	uint64_t id;

	need_events();
	start(&v, signal);
	sample(&v, 7);
	sample_exactly(&v, 7, 10, !signal);
	id = event_id(&v, 0);
	files = open_files();
	sample_exactly(&v, 7, 1000, !signal);
	assert_int_equal(event_id(&v, 0), id);
	assert_int_equal(open_files(), files);
	assert_int_equal(state_of(&v, 0).error, 0);
	assert_int_equal(state_of(&v, 0).renewed, 0);
	assert_int_equal(state_of(&v, 0).uncounted_ns, 0);
	finish(&v);
}

static void samples_by_signal(void **state)
{
	(void)state;
	samples(overflow_signal());
}

static void samples_by_poll(void **state)
{
	(void)state;
	samples(0);
}

static void samples_by_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	samples(SIGTRAP);
}

/* A PMI reads the total when the counter stops and when it starts. */
static void check_few_calls(int signal)
{
	struct vcpu v;

	start(&v, signal);
	sample(&v, 7);
	sample_exactly(&v, 7, 3, false);
	memset(&calls, 0, sizeof(calls));
	for (unsigned int i = 0; i < 100; i++) {
		happen(7);
		assert_true(vpmu_service(&v.pmu));
		handle_pmi(&v, 7);
	}
	assert_int_equal(calls.reads, 200);
	/* The kernel's own next period is the one that is wanted. */
	assert_int_equal(calls.ioctls, 0);
	memset(&calls, 0, sizeof(calls));
	for (unsigned int i = 0; i < 100; i++) {
		happen(7 + i % 2);
		assert_true(vpmu_service(&v.pmu));
		handle_pmi(&v, 8 - i % 2);
	}
	assert_int_equal(calls.reads, 200);
	assert_int_equal(calls.periods, 100);
	finish(&v);
}

static void few_calls(void **state)
{
	(void)state;
	need_events();
	check_few_calls(overflow_signal());
}

static void few_calls_by_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	check_few_calls(SIGTRAP);
}

static void every_period(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	for (unsigned int polls = 0; polls < 2; polls++) {
		start(&v, polls ? 0 : overflow_signal());
		for (uint64_t period = 1; period < 40; period++) {
			sample(&v, period);
			sample_exactly(&v, period, 3, polls);
		}
		finish(&v);
	}
}

static void state_takes_nothing(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, 0);
	sample(&v, 3);
	happen(3);
	/* It looks into the records, too. */
	assert_int_equal(state_of(&v, 0).error, 0);
	assert_true(is_due(&v, true));
	finish(&v);
}

static void two_at_once(int signal)
{
	unsigned int before;
	struct vcpu v;

	start(&v, signal);
	set(&v, A_PMC0, minus(5));
	set(&v, A_PMC0 + 1, minus(5));
	set(&v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	set(&v, PERFEVTSEL0 + 1, ALL_LEVELS | BRANCHES);
	assert_false(set_now(&v, GLOBAL_CTRL, 3));
	/* Faults of the host between the two openings. */
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	before = atomic_load(&v.signals);
	for (unsigned int round = 0; round < 100; round++) {
		set(&v, A_PMC0, minus(5));
		set(&v, A_PMC0 + 1, minus(5));
		assert_false(set_now(&v, GLOBAL_CTRL, 3));
		happen(4);
		assert_false(is_due(&v, !signal));
		happen(1);
		assert_true(is_due(&v, !signal));
		assert_int_equal(get(&v, GLOBAL_STATUS), 3);
		set(&v, STATUS_RESET, 3);
		assert_false(set_now(&v, GLOBAL_CTRL, 0));
	}
	/* One for the two of them; stale periods may have sent one more each. */
	if (signal == SIGTRAP)
		assert_in_range(atomic_load(&v.signals) - before, 100, 102);
	finish(&v);
}

static void two_overflow_at_once(void **state)
{
	(void)state;
	need_events();
	two_at_once(0);
	two_at_once(overflow_signal());
	/* Of a signal that is not queued one comes for both. */
	two_at_once(SIGUSR1);
}

static void two_overflow_in_one_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	two_at_once(SIGTRAP);
}

int run_sampling_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("by signal, a period's last fault brings its PMI; no event is opened or "
			 "closed",
			 samples_by_signal),
		sentence("by poll, a period's last fault brings its PMI; no event is opened or "
			 "closed",
			 samples_by_poll),
		sentence("by SIGTRAP, a period's last fault brings its PMI; no event is opened or "
			 "closed",
			 samples_by_sigtrap),
		sentence("a steady PMI costs two reads, and one new period if it is another",
			 few_calls),
		sentence("so does one that SIGTRAP tells of", few_calls_by_sigtrap),
		sentence("every period from 1 on is kept exactly", every_period),
		sentence("asking for the state takes no overflow away", state_takes_nothing),
		sentence("two counters that overflow at once are both found, also by a signal not "
			 "queued",
			 two_overflow_at_once),
		sentence("two counters that overflow at once are one SIGTRAP, and both found",
			 two_overflow_in_one_sigtrap),
	};

	return cmocka_run_group_tests_name("sampling", tests, prepare, NULL);
}
