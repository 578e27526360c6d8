/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The way of a PMI: what a sampling guest's handler costs a source, and that no
 * overflow is lost or told twice, whatever its alarm does.
 */
#include "machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FREEZE_PERFMON   (UINT64_C(1) << 12)
#define SAMPLED_BRANCHES (BRANCHES | EVTSEL_INT)
#define PERIOD           100

static void start_on(struct machine *m, unsigned int version, const struct vpmu_source_ops *ops)
{
	struct vpmu_config config = vpmu_config_intel(version, all_events(version));

	start_with(m, &config, ops);
}

/* Counter 0 samples branches: it overflows after so many events. */
static void start_sampling(struct machine *m, const struct vpmu_source_ops *ops, uint64_t events)
{
	start_on(m, 3, ops);
	set_now(m, A_PMC0, MAX_48 + 1 - events);
	set_now(m, PERFEVTSEL0, SAMPLED_BRANCHES);
	calls(m);
}

/* How much a source was asked for since the last time. */
static void check_calls(struct machine *m, unsigned int total, unsigned int alarm,
			unsigned int known)
{
	assert_int_equal(m->source.binds + m->source.unbinds + m->source.refusals, 0);
	assert_int_equal(m->source.total_calls, total);
	assert_int_equal(m->source.alarm_calls, alarm);
	assert_int_equal(m->source.known_calls, known);
	calls(m);
}

/* Perf's handler before version 4, and without freeze: everything is off while it runs. */
static void handle_legacy(struct machine *m, uint64_t all)
{
	set_now(m, GLOBAL_CTRL, 0);
	assert_int_equal(get(m, GLOBAL_STATUS) & all, 1);
	assert_int_equal(get(m, PMC0), 0);
	set_now(m, A_PMC0, MAX_48 + 1 - PERIOD);
	set_now(m, STATUS_RESET, 1);
	assert_int_equal(get(m, GLOBAL_STATUS), 0);
	set_now(m, GLOBAL_CTRL, all);
}

/* From version 4 on: acknowledged before the counter is reloaded. */
static void handle_streamlined(struct machine *m, uint64_t all)
{
	set_now(m, GLOBAL_CTRL, 0);
	assert_int_equal(get(m, GLOBAL_STATUS) & all, 1);
	set_now(m, STATUS_RESET, 1);
	assert_int_equal(get(m, PMC0), 0);
	set_now(m, A_PMC0, MAX_48 + 1 - PERIOD);
	assert_int_equal(get(m, GLOBAL_STATUS), 0);
	set_now(m, GLOBAL_CTRL, all);
}

/* The PMI has frozen the counters: GLOBAL_CTRL (before version 4) or the status goes on. */
static void handle_frozen(struct machine *m, uint64_t all)
{
	uint64_t frozen = m->pmu.config.version >= 4 ? CTR_FRZ : 0;

	assert_int_equal(get(m, GLOBAL_STATUS), frozen | 1);
	assert_int_equal(get(m, PMC0), 0);
	set_now(m, A_PMC0, MAX_48 + 1 - PERIOD);
	set_now(m, STATUS_RESET, frozen | 1);
	set_now(m, GLOBAL_CTRL, all);
}

/*
 * Ten PMIs in steady state, in each version from first on; the numbers are what
 * a source is asked for each of them.
 */
static void check_steady(unsigned int first, unsigned int last, const struct vpmu_source_ops *ops,
			 bool freeze, void (*handle)(struct machine *m, uint64_t all),
			 unsigned int total, unsigned int alarm, unsigned int known)
{
	for (unsigned int version = first; version <= last; version++) {
		uint64_t all = FIXED_ON | (version >= 5 ? 0xff : 0xf);
		struct machine m;

		start_on(&m, version, ops);
		set_now(&m, GLOBAL_CTRL, 0);
		set_now(&m, DEBUGCTL, freeze ? FREEZE_PERFMON : 0);
		set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
		set_now(&m, A_PMC0, MAX_48 + 1 - PERIOD);
		set_now(&m, GLOBAL_CTRL, all);
		calls(&m);
		for (unsigned int i = 0; i < 10; i++) {
			happen(&m, 0, PERIOD);
			assert_int_equal(ring(&m), 1);
			assert_true(vpmu_service(&m.pmu));
			handle(&m, all);
			check_calls(&m, total, alarm, known);
		}
	}
}

static void steady_legacy(void **state)
{
	(void)state;
	check_steady(2, 5, &source_ops, false, handle_legacy, 3, 2, 0);
}

static void steady_streamlined(void **state)
{
	(void)state;
	check_steady(4, 5, &source_ops, false, handle_streamlined, 3, 2, 0);
}

static void steady_frozen(void **state)
{
	(void)state;
	check_steady(2, 5, &source_ops, true, handle_frozen, 3, 1, 0);
}

static void steady_knowing(void **state)
{
	(void)state;
	check_steady(2, 5, &knowing_source_ops, false, handle_legacy, 2, 2, 1);
	check_steady(4, 5, &knowing_source_ops, false, handle_streamlined, 2, 2, 1);
}

static void steady_knowing_frozen(void **state)
{
	(void)state;
	check_steady(2, 5, &knowing_source_ops, true, handle_frozen, 2, 1, 1);
}

/* The handler's accesses are given to the library at once, with one service at their end. */
static void joined_accesses(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	happen(&m, 0, PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	check_calls(&m, 1, 1, 0);
	set(&m, GLOBAL_CTRL, 0);
	set(&m, A_PMC0, MAX_48 + 1 - PERIOD);
	set(&m, STATUS_RESET, 1);
	set(&m, GLOBAL_CTRL, 0xf);
	assert_false(vpmu_service(&m.pmu));
	/* A write and a clear look first; the start is none, as it never stopped. */
	check_calls(&m, 2, 1, 0);
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + PERIOD);
}

static void known_is_enough(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	happen(&m, 0, PERIOD);
	assert_int_equal(ring(&m), 1);
	happen(&m, 0, 7);
	assert_true(vpmu_service(&m.pmu));
	check_calls(&m, 0, 1, 1);
	/* What came after the record is not lost. */
	assert_int_equal(get(&m, PMC0), 7);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_false(vpmu_service(&m.pmu));
}

static void known_beyond(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	happen(&m, 0, PERIOD + 3);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	check_calls(&m, 0, 1, 1);
	assert_int_equal(m.source.alarms[0], m.source.totals[0] - 3 + MAX_48 + 1);
	assert_int_equal(get(&m, PMC0), 3);
}

static void known_short(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	happen(&m, 0, PERIOD - 1);
	go_off(&m, 0);
	happen(&m, 0, 1);
	assert_true(vpmu_service(&m.pmu));
	check_calls(&m, 1, 1, 1);
	assert_int_equal(get(&m, PMC0), 0);
}

static void known_is_old(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	happen(&m, 0, PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	happen(&m, 0, 50);
	set_now(&m, A_PMC0, MAX_48);
	calls(&m);
	/* What is known is from before the rewrite. */
	vpmu_look(&m.pmu, 0);
	assert_false(vpmu_service(&m.pmu));
	check_calls(&m, 1, 1, 1);
	assert_int_equal(get(&m, PMC0), MAX_48);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

/* Ends with counter 0's overflow acknowledged and its alarm to come anew. */
static void check_goes_on(struct machine *m)
{
	set_now(m, A_PMC0, MAX_48 + 1 - PERIOD);
	set_now(m, STATUS_RESET, 1);
	set_now(m, GLOBAL_CTRL, 0xf);
	assert_int_equal(m->source.alarms[0], m->source.totals[0] + PERIOD);
	happen(m, 0, PERIOD);
	assert_int_equal(ring(m), 1);
	assert_true(vpmu_service(&m->pmu));
	assert_int_equal(get(m, GLOBAL_STATUS), 1);
}

static void lose_alarm(struct machine *m)
{
	start_sampling(m, &knowing_source_ops, PERIOD);
	happen(m, 0, PERIOD + 2);
	m->source.alarms[0] = VPMU_NO_ALARM;
}

static void lost_until_status(void **state)
{
	struct machine m;

	(void)state;
	lose_alarm(&m);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	check_goes_on(&m);
}

static void lost_until_read(void **state)
{
	struct machine m;

	(void)state;
	lose_alarm(&m);
	assert_int_equal(get(&m, PMC0), 2);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	check_goes_on(&m);
}

static void lost_until_stop(void **state)
{
	struct machine m;

	(void)state;
	lose_alarm(&m);
	set(&m, GLOBAL_CTRL, 0);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 2);
	check_goes_on(&m);
}

static void lost_until_write(void **state)
{
	struct machine m;

	(void)state;
	lose_alarm(&m);
	set(&m, A_PMC0, 0);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 0);
	check_goes_on(&m);
}

/* The alarm of a stopped counter gets lost, and its total goes past it meanwhile. */
static void lost_while_stopped(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	set_now(&m, GLOBAL_CTRL, 0);
	m.source.alarms[0] = VPMU_NO_ALARM;
	happen(&m, 0, PERIOD);
	check_goes_on(&m);
}

/* An alarm that is early, because the counter was rewritten, gets lost. */
static void lost_early_alarm(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	set_now(&m, A_PMC0, MAX_48 + 1 - 3 * PERIOD);
	happen(&m, 0, PERIOD);
	m.source.alarms[0] = VPMU_NO_ALARM;
	assert_int_equal(get(&m, PMC0), MAX_48 + 1 - 2 * PERIOD);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + 2 * PERIOD);
}

static void read_tells_once(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	happen(&m, 0, PERIOD);
	assert_int_equal(get(&m, PMC0), 0);
	/* The hint comes between the read and the service, or after it. */
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	vpmu_look(&m.pmu, 0);
	assert_false(vpmu_service(&m.pmu));
	check_goes_on(&m);
}

static void overflow_while_stopped(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	happen(&m, 0, 30);
	set_now(&m, GLOBAL_CTRL, 0);
	calls(&m);
	/* Whatever else runs on the thread: the counter is off. */
	happen(&m, 0, 10 * PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	check_calls(&m, 0, 0, 0);
	assert_int_equal(get(&m, PMC0), MAX_48 + 1 - 70);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	set_now(&m, GLOBAL_CTRL, 0xf);
	check_calls(&m, 1, 1, 0);
	happen(&m, 0, 69);
	assert_int_equal(ring(&m), 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

static void overflow_while_frozen(void **state)
{
	struct machine m;

	(void)state;
	start_on(&m, 4, &knowing_source_ops);
	set_now(&m, DEBUGCTL, FREEZE_PERFMON);
	for (unsigned int i = 0; i < 2; i++) {
		set_now(&m, A_PMC0 + i, MAX_48 + 1 - PERIOD);
		set_now(&m, PERFEVTSEL0 + i, SAMPLED_BRANCHES);
	}
	happen(&m, 0, PERIOD);
	happen(&m, 1, PERIOD - 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	happen(&m, 1, PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), CTR_FRZ | 1);
	assert_int_equal(get(&m, PMC0 + 1), MAX_48);
	set_now(&m, STATUS_RESET, CTR_FRZ | 1);
	happen(&m, 1, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), CTR_FRZ | 2);
}

static void start_two(struct machine *m)
{
	start_on(m, 3, &knowing_source_ops);
	for (unsigned int i = 0; i < 2; i++) {
		set_now(m, A_PMC0 + i, MAX_48 + 1 - PERIOD);
		set_now(m, PERFEVTSEL0 + i, SAMPLED_BRANCHES);
		happen(m, i, PERIOD);
	}
	calls(m);
}

static void two_at_once(void **state)
{
	struct machine m;

	(void)state;
	start_two(&m);
	assert_int_equal(ring(&m), 2);
	assert_true(vpmu_service(&m.pmu));
	check_calls(&m, 0, 2, 2);
	assert_int_equal(get(&m, GLOBAL_STATUS), 3);
	assert_false(vpmu_service(&m.pmu));
}

static void two_with_one_hint(void **state)
{
	struct machine m;

	(void)state;
	start_two(&m);
	go_off(&m, 1);
	set(&m, GLOBAL_CTRL, 0);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 3);
	/* The other's alarm: it has been told of. */
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
}

static void found_by_freeze(void **state)
{
	struct machine m;

	(void)state;
	start_two(&m);
	set_now(&m, DEBUGCTL, FREEZE_PERFMON);
	/* Stopping the one finds its overflow, freezing the other finds the other's. */
	set(&m, PERFEVTSEL0, EVTSEL_INT);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 3);
	assert_int_equal(get(&m, GLOBAL_CTRL), 0);
}

static void second_while_handled(void **state)
{
	struct machine m;

	(void)state;
	start_two(&m);
	go_off(&m, 0);
	assert_true(vpmu_service(&m.pmu));
	go_off(&m, 1);
	/* Not frozen: it is a PMI of its own, which waits in the guest's LVTPC. */
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 3);
}

static void rewritten_in_flight(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	happen(&m, 0, PERIOD);
	/* The guest writes before the hint of the overflow is heard. */
	set(&m, A_PMC0, MAX_48 + 1 - 2 * PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(get(&m, PMC0), MAX_48 + 1 - 2 * PERIOD);
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + 2 * PERIOD);
	assert_false(vpmu_service(&m.pmu));
	set_now(&m, STATUS_RESET, 1);
	happen(&m, 0, 2 * PERIOD - 1);
	assert_int_equal(ring(&m), 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

static void stale_after_rewrite(void **state)
{
	struct machine m;
	uint64_t overflow;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	overflow = m.source.totals[0] + 3 * PERIOD;
	set_now(&m, A_PMC0, MAX_48 + 1 - 3 * PERIOD);
	/* It looked at the total before it wrote; the alarm is good enough. */
	check_calls(&m, 1, 0, 0);
	happen(&m, 0, PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	check_calls(&m, 1, 1, 1);
	assert_int_equal(m.source.alarms[0], overflow);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	happen(&m, 0, 2 * PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

static void rewritten_nearer(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	set_now(&m, A_PMC0, MAX_48);
	check_calls(&m, 1, 1, 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

static void stop_leaves_alarm(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	for (unsigned int i = 0; i < 5; i++) {
		set_now(&m, GLOBAL_CTRL, 0);
		happen(&m, 0, 10);
		set_now(&m, GLOBAL_CTRL, 0xf);
	}
	/* Each stop and each start looks at the total. */
	check_calls(&m, 10, 0, 0);
	happen(&m, 0, PERIOD - 50);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	/* 50 events have been counted as the alarm saw them, 50 have not. */
	check_calls(&m, 1, 1, 0);
	happen(&m, 0, 49);
	assert_int_equal(ring(&m), 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

static void int_while_running(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &knowing_source_ops, PERIOD);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	happen(&m, 0, 10);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	/* Each change of INT looks at the total, and the alarm is still there. */
	check_calls(&m, 2, 0, 0);
	happen(&m, 0, PERIOD - 10);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
}

static void int_after_hint(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	set_now(&m, A_PMC0, MAX_48 + 1 - 3 * PERIOD);
	happen(&m, 0, PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + 2 * PERIOD);
}

static void released_and_bound_again(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	set_now(&m, GLOBAL_CTRL, 0);
	assert_int_equal(vpmu_release_idle(&m.pmu), 1);
	set_now(&m, GLOBAL_CTRL, 0xf);
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + PERIOD);
}

static void other_event(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	happen(&m, 0, 30);
	set_now(&m, PERFEVTSEL0, LOADS | EVTSEL_INT);
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + 70);
	/* A hint of the old event's alarm is a stale one. */
	vpmu_look(&m.pmu, 0);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + 70);
}

static void hasty_source(void **state)
{
	struct machine m;

	(void)state;
	start_sampling(&m, &source_ops, PERIOD);
	m.source.hasty = true;
	go_off(&m, 0);
	assert_false(vpmu_service(&m.pmu));
	assert_in_range(m.source.alarm_calls, 1, 4);
	/* The last hint waits for the next service. */
	m.source.hasty = false;
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + PERIOD);
	happen(&m, 0, PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

/* Counter 1's alarm has been reached once it is set, while counter 0 has its PMI. */
static void reached_beside_a_pmi(void **state)
{
	struct machine m;

	(void)state;
	start_on(&m, 3, &source_ops);
	set_now(&m, A_PMC0, MAX_48);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	set_now(&m, A_PMC0 + 1, MAX_48);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	set(&m, PERFEVTSEL0 + 1, INSTRUCTIONS | EVTSEL_INT);
	m.source.creeps = true;
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 3);
}

/* What counters 0 and 1 count goes on while a PMI's handler has stopped them. */
static void early_after_handler(void **state)
{
	struct machine m;

	(void)state;
	start_on(&m, 3, &source_ops);
	set_now(&m, GLOBAL_CTRL, 0);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	set_now(&m, PERFEVTSEL0 + 1, SAMPLED_BRANCHES);
	set_now(&m, A_PMC0, MAX_48 + 1 - PERIOD);
	set_now(&m, A_PMC0 + 1, MAX_48 + 1 - PERIOD - 50);
	set_now(&m, GLOBAL_CTRL, 3);
	happen(&m, 0, PERIOD);
	happen(&m, 1, PERIOD);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	set_now(&m, GLOBAL_CTRL, 0);
	happen(&m, 0, 30);
	happen(&m, 1, 30);
	set_now(&m, A_PMC0, MAX_48 + 1 - PERIOD);
	set_now(&m, STATUS_RESET, 1);
	set_now(&m, GLOBAL_CTRL, 3);
	happen(&m, 0, 49);
	happen(&m, 1, 49);
	assert_int_equal(ring(&m), 0);
	happen(&m, 1, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 2);
}

static const struct CMUnitTest tests[] = {
	{ .name = "a PMI (stop, status, reload, clear, start) costs 3 totals and 2 alarms, no bind",
	  .test_func = steady_legacy },
	{ .name = "so it does in the order of version 4 (stop, status, clear, reload, start)",
	  .test_func = steady_streamlined },
	{ .name = "a PMI that freezes costs 3 totals and 1 alarm, no bind",
	  .test_func = steady_frozen },
	{ .name = "a source that knows its total at the overflow is asked for 2, for 2 alarms",
	  .test_func = steady_knowing },
	{ .name = "... and with freeze for 2 totals and 1 alarm",
	  .test_func = steady_knowing_frozen },
	{ .name = "a reload that is never serviced while stopped costs 2 totals and 1 alarm",
	  .test_func = joined_accesses },
	{ .name = "an overflow that a known total shows needs no other, and loses no event",
	  .test_func = known_is_enough },
	{ .name = "a known total beyond the overflow is counted to its end",
	  .test_func = known_beyond },
	{ .name = "a known total short of the overflow is not relied on",
	  .test_func = known_short },
	{ .name = "a known total from before the last look is not relied on",
	  .test_func = known_is_old },
	{ .name = "an overflow whose alarm is lost is found by a read of the status, and the "
		  "next one has its alarm",
	  .test_func = lost_until_status },
	{ .name = "... by a read of the counter", .test_func = lost_until_read },
	{ .name = "... when the counter stops", .test_func = lost_until_stop },
	{ .name = "... when the counter is written", .test_func = lost_until_write },
	{ .name = "an alarm that is lost while the counter is stopped is set again",
	  .test_func = lost_while_stopped },
	{ .name = "an alarm that is early and lost is set again when a read shows it",
	  .test_func = lost_early_alarm },
	{ .name = "an overflow that a read has found is not told again by its hint",
	  .test_func = read_tells_once },
	{ .name = "a hint that comes while the counter is stopped changes and costs nothing",
	  .test_func = overflow_while_stopped },
	{ .name = "nor does one while the counters are frozen",
	  .test_func = overflow_while_frozen },
	{ .name = "two counters that overflow at once are one PMI with two status bits",
	  .test_func = two_at_once },
	{ .name = "... also when only one of them has been hinted at",
	  .test_func = two_with_one_hint },
	{ .name = "... also when stopping and freezing them is what finds them",
	  .test_func = found_by_freeze },
	{ .name = "one that overflows after the other's PMI is a PMI of its own",
	  .test_func = second_while_handled },
	{ .name = "a counter that is written while its overflow is in flight has one PMI and the "
		  "value written",
	  .test_func = rewritten_in_flight },
	{ .name = "a stale alarm after a write of a longer distance is one hint, and moved then",
	  .test_func = stale_after_rewrite },
	{ .name = "a write of a shorter distance moves the alarm at once",
	  .test_func = rewritten_nearer },
	{ .name = "stops and starts leave the alarm, and the overflow stays exact",
	  .test_func = stop_leaves_alarm },
	{ .name = "the next overflow after a PMI's handler has no needless hint before it",
	  .test_func = early_after_handler },
	{ .name = "INT cleared and set again finds the alarm still there",
	  .test_func = int_while_running },
	{ .name = "INT set after the alarm has gone off sets a new one",
	  .test_func = int_after_hint },
	{ .name = "a binding that has ended and begins again has its alarm",
	  .test_func = released_and_bound_again },
	{ .name = "another event has its own alarm", .test_func = other_event },
	{ .name = "a source that hints at every alarm does not hold up the service",
	  .test_func = hasty_source },
	{ .name = "an alarm for a total already reached is heard by the service that sets it",
	  .test_func = reached_beside_a_pmi },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
