/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Alarms that move, that become stale, and that several counters have at once.
 */
#define _GNU_SOURCE
#include "fixture.h"
#include <signal.h>

/* Has the source hinted at counter 0 since the last time? */
static bool hinted(struct vcpu *v)
{
	return __atomic_exchange_n(&v->pmu.look, 0, __ATOMIC_ACQUIRE) & 1;
}

/* The library always asks for the total first; a source does not rely on it. */
static void alarm_from_now(void **state)
{
	const struct vpmu_source_ops *ops = &vpmu_perf_event_ops;
	struct vpmu_event event = { .id = VPMU_EVENT_INSTRUCTIONS, .user = true, .kernel = true };
	struct vcpu v;
	uint64_t total;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	assert_true(ops->bind(v.source, 0, &event));
	total = ops->total(v.source, 0);
	ops->alarm(v.source, 0, total + 100);
	happen(10);
	ops->alarm(v.source, 0, total + 15);
	happen(4);
	assert_false(hinted(&v));
	happen(1);
	assert_true(hinted(&v));
	/* One that is reached already. */
	ops->alarm(v.source, 0, total + 2);
	assert_true(hinted(&v));
	/* None. */
	ops->alarm(v.source, 0, total + 40);
	ops->alarm(v.source, 0, VPMU_NO_ALARM);
	happen(200);
	assert_false(hinted(&v));
	assert_true(ops->known(v.source, 0) <= ops->total(v.source, 0));
	assert_int_equal(ops->total(v.source, 0), total + 215);
	ops->unbind(v.source, 0);
	finish(&v);
}

/* The library brings the alarm nearer; what has been counted since its last look stays counted. */
static void emulated_instructions(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	for (unsigned int polls = 0; polls < 2; polls++) {
		start(&v, polls ? 0 : overflow_signal());
		sample(&v, 3000);
		assert_int_equal(get(&v, PMC0), minus(3000));
		happen(2000);
		for (unsigned int i = 0; i < 10; i++)
			vpmu_retired(&v.pmu, VPMU_RETIRED_USER);
		assert_false(vpmu_service(&v.pmu));
		for (unsigned int i = 1; i <= 990; i++) {
			happen(1);
			assert_int_equal(is_due(&v, polls), i == 990);
		}
		assert_int_equal(get(&v, PMC0), 0);
		finish(&v);
	}
}

static void stale_alarm(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 4);
	happen(2);
	assert_false(vpmu_service(&v.pmu));
	assert_false(set_now(&v, A_PMC0, minus(50)));
	for (unsigned int i = 1; i <= 50; i++) {
		happen(1);
		assert_int_equal(vpmu_service(&v.pmu) != 0, i == 50);
	}
	finish(&v);
}

static void nearer_alarm(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 100);
	happen(10);
	assert_false(set_now(&v, A_PMC0, minus(3)));
	for (unsigned int i = 1; i <= 3; i++) {
		happen(1);
		assert_int_equal(vpmu_service(&v.pmu) != 0, i == 3);
	}
	finish(&v);
}

static void rewritten_in_flight(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 5);
	happen(5);
	/* The host has not come round to the hint yet. */
	set(&v, A_PMC0, minus(9));
	assert_true(vpmu_service(&v.pmu));
	assert_int_equal(handle_pmi(&v, 9), 1);
	sample_exactly(&v, 9, 5, false);
	finish(&v);
}

static void overflow_while_stopped(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 6);
	happen(4);
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	happen(100);
	assert_false(vpmu_service(&v.pmu));
	assert_int_equal(get(&v, PMC0), minus(2));
	assert_int_equal(get(&v, GLOBAL_STATUS), 0);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	happen(1);
	assert_false(vpmu_service(&v.pmu));
	happen(1);
	assert_true(vpmu_service(&v.pmu));
	finish(&v);
}

/* A period that nothing needs any more is not left to send signals for ever. */
static void check_quiet(int signal)
{
	struct vcpu v;
	unsigned int before;

	start(&v, signal);
	sample(&v, 2);
	sample_exactly(&v, 2, 3, false);
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	before = atomic_load(&v.signals);
	happen(1000);
	assert_in_range(atomic_load(&v.signals) - before, 0, 2);
	/* And one that runs on without being reloaded. */
	sample(&v, 2);
	happen(2);
	assert_true(vpmu_service(&v.pmu));
	before = atomic_load(&v.signals);
	for (unsigned int i = 0; i < 1000; i++) {
		happen(1);
		assert_false(vpmu_service(&v.pmu));
	}
	assert_in_range(atomic_load(&v.signals) - before, 0, 2);
	assert_int_equal(get(&v, PMC0), 1000);
	sample(&v, 3);
	sample_exactly(&v, 3, 10, false);
	finish(&v);
}

static void quiet_when_unused(void **state)
{
	(void)state;
	need_events();
	check_quiet(overflow_signal());
}

static void quiet_sigtrap(void **state)
{
	(void)state;
	need_sigtrap();
	check_quiet(SIGTRAP);
}

/* A counter whose period is no longer needed is silent in no more than two of its overflows. */
static void stale_beside_another(void **state)
{
	unsigned int before;
	struct vcpu v;

	(void)state;
	need_sigtrap();
	start(&v, SIGTRAP);
	set(&v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	set(&v, PERFEVTSEL0 + 1, ALL_LEVELS | BRANCHES);
	set(&v, A_PMC0 + 1, minus(2));
	assert_false(set_now(&v, GLOBAL_CTRL, 3));
	assert_false(set_now(&v, GLOBAL_CTRL, 0));
	set(&v, A_PMC0 + 1, minus(2));
	sample(&v, 30);
	assert_false(set_now(&v, GLOBAL_CTRL, 3));
	happen(2);
	assert_true(vpmu_service(&v.pmu));
	assert_int_equal(get(&v, GLOBAL_STATUS), 2);
	/* Not reloaded: from now on only counter 0 has anything to say. */
	set(&v, STATUS_RESET, 2);
	before = atomic_load(&v.signals);
	for (unsigned int i = 3; i <= 30; i++) {
		happen(1);
		assert_int_equal(vpmu_service(&v.pmu) != 0, i == 30);
	}
	assert_int_equal(get(&v, GLOBAL_STATUS), 1);
	assert_in_range(atomic_load(&v.signals) - before, 1, 2 + 1);
	sample(&v, 3);
	sample_exactly(&v, 3, 10, false);
	finish(&v);
}

int run_alarm_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("an alarm counts from where the total is", alarm_from_now),
		sentence("emulated instructions bring the alarm nearer by their number",
			 emulated_instructions),
		sentence("the alarm of a counter that was rewritten changes nothing", stale_alarm),
		sentence("a counter rewritten to overflow sooner does", nearer_alarm),
		sentence(
			"an overflow counts though the counter is rewritten before it is looked at",
			rewritten_in_flight),
		sentence("a stopped counter neither counts nor overflows", overflow_while_stopped),
		sentence("a period that is no longer needed sends no more than two signals",
			 quiet_when_unused),
		sentence("nor more than two SIGTRAPs", quiet_sigtrap),
		sentence("one that another counter's SIGTRAP tells of is silenced, too",
			 stale_beside_another),
	};

	return cmocka_run_group_tests_name("alarms", tests, prepare, NULL);
}
