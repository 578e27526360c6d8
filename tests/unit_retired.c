/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Instructions that the host emulates (vpmu_retired): which counters count
 * them, when they overflow one, and how late they make its alarm.
 */
#include "machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define USR                  (UINT64_C(1) << 16)
#define OS                   (UINT64_C(1) << 17)
#define FREEZE_PERFMON       (UINT64_C(1) << 12)
#define SAMPLED_INSTRUCTIONS (INSTRUCTIONS | EVTSEL_INT)
#define CYCLES               UINT64_C(0x43003c)

/* One instruction that is no branch, at level 0; and n of them. */
static void retire(struct machine *m, uint64_t n)
{
	while (n-- > 0)
		vpmu_retired(&m->pmu, VPMU_RETIRED_KERNEL);
}

static bool anything_counts(const struct machine *m)
{
	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++)
		if (m->pmu.retired[kind])
			return true;
	return false;
}

/* The value of counter 0 after one instruction of each kind. */
static void check_kinds(uint64_t evtsel, uint64_t user, uint64_t user_branch, uint64_t kernel,
			uint64_t kernel_branch)
{
	const uint64_t expected[] = { user, kernel, user_branch, kernel_branch };

	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++) {
		struct machine m;

		start_counting(&m, evtsel, 7);
		vpmu_retired(&m.pmu, kind);
		assert_int_equal(get(&m, PMC0), 7 + expected[kind % 4]);
	}
}

static void counts_instructions(void **state)
{
	(void)state;
	check_kinds(INSTRUCTIONS, 1, 1, 1, 1);
	check_kinds(INSTRUCTIONS & ~OS, 1, 1, 0, 0);
	check_kinds(INSTRUCTIONS & ~USR, 0, 0, 1, 1);
}

static void counts_branches(void **state)
{
	(void)state;
	check_kinds(BRANCHES, 0, 1, 0, 1);
	check_kinds(BRANCHES & ~OS, 0, 1, 0, 0);
	check_kinds(BRANCHES & ~USR, 0, 0, 0, 1);
}

static void fixed_counts(void **state)
{
	static const struct {
		uint64_t field;
		unsigned int user, kernel;
	} cases[] = { { 0x0, 0, 0 }, { 0x1, 0, 1 }, { 0x2, 1, 0 }, { 0x3, 1, 1 } };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct machine m;

		start_version(&m, 5);
		set_now(&m, GLOBAL_CTRL, FIXED_ON);
		set_now(&m, FIXED_CTR_CTRL, cases[i].field * 0x111);
		vpmu_retired(&m.pmu, VPMU_RETIRED_BRANCH);
		assert_int_equal(get(&m, FIXED_CTR0), cases[i].user);
		vpmu_retired(&m.pmu, VPMU_RETIRED_KERNEL);
		assert_int_equal(get(&m, FIXED_CTR0), cases[i].user + cases[i].kernel);
		assert_int_equal(get(&m, FIXED_CTR0 + 1), 0);
		assert_int_equal(get(&m, FIXED_CTR0 + 2), 0);
	}
}

static void counts_in_all(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 5);
	for (unsigned int i = 0; i < 8; i++)
		set_now(&m, PERFEVTSEL0 + i, i % 2 ? BRANCHES : INSTRUCTIONS);
	set_now(&m, FIXED_CTR_CTRL, 0x003);
	set_now(&m, GLOBAL_CTRL, FIXED_ON | 0xff);
	vpmu_retired(&m.pmu, VPMU_RETIRED_KERNEL | VPMU_RETIRED_BRANCH);
	vpmu_retired(&m.pmu, VPMU_RETIRED_USER);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(get(&m, PMC0 + i), i % 2 ? 1 : 2);
	assert_int_equal(get(&m, FIXED_CTR0), 2);
}

static void others_do_not_count(void **state)
{
	(void)state;
	check_kinds(CYCLES, 0, 0, 0, 0);
	check_kinds(LOADS, 0, 0, 0, 0);
	check_kinds(UINT64_C(0x4300c5), 0, 0, 0, 0);
	/* Instructions with a unit mask are another event. */
	check_kinds(UINT64_C(0x4301c0), 0, 0, 0, 0);
}

static void conditions_do_not_count(void **state)
{
	static const uint64_t conditions[] = { UINT64_C(1) << 18, UINT64_C(1) << 24,
					       UINT64_C(0x81) << 23 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		check_kinds(INSTRUCTIONS | conditions[i], 0, 0, 0, 0);
		check_kinds(BRANCHES | conditions[i], 0, 0, 0, 0);
	}
	/* Invert alone means nothing. */
	check_kinds(INSTRUCTIONS | UINT64_C(1) << 23, 1, 1, 1, 1);
}

static void nothing_counts(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 0);
	assert_false(anything_counts(&m));
	start_version(&m, 4);
	assert_false(anything_counts(&m));
	set_now(&m, PERFEVTSEL0, CYCLES);
	set_now(&m, PERFEVTSEL0 + 1, LOADS);
	set_now(&m, FIXED_CTR_CTRL, 0x330);
	set_now(&m, GLOBAL_CTRL, FIXED_ON | 0xf);
	assert_false(anything_counts(&m));
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS & ~(UINT64_C(1) << 22));
	set_now(&m, PERFEVTSEL0 + 2, INSTRUCTIONS & ~(USR | OS));
	assert_false(anything_counts(&m));
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	assert_true(anything_counts(&m));
	set_now(&m, GLOBAL_CTRL, 1);
	assert_false(anything_counts(&m));
}

static void refused(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, 0);
	struct machine m;

	(void)state;
	start_version(&m, 3);
	m.source.refuses = refuses_all;
	set_now(&m, PERFEVTSEL0, INSTRUCTIONS);
	assert_false(anything_counts(&m));
	retire(&m, 3);
	assert_int_equal(get(&m, PMC0), 0);
	start_machine(&m, &config);
	set_now(&m, PERFEVTSEL0, INSTRUCTIONS);
	assert_false(anything_counts(&m));
	retire(&m, 3);
	assert_int_equal(get(&m, PMC0), 0);
}

static void asks_no_source(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 - 10);
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	calls(&m);
	retire(&m, 40);
	assert_int_equal(calls(&m), 0);
}

static void adds_up(void **state)
{
	struct machine m;
	uint64_t value;

	(void)state;
	start_counting(&m, INSTRUCTIONS, 100);
	happen(&m, 0, 10);
	retire(&m, 3);
	happen(&m, 0, 10);
	assert_int_equal(vpmu_rdpmc(&m.pmu, 0, true, &value), VPMU_DONE);
	assert_int_equal(value, 123);
	retire(&m, 2);
	assert_int_equal(get(&m, PMC0), 125);
	set_now(&m, GLOBAL_CTRL, 0);
	assert_int_equal(get(&m, PMC0), 125);
}

static void overflows(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, all_events(3));
	struct machine m;

	(void)state;
	for (unsigned int width = 32; width <= 48; width++) {
		uint64_t max = (UINT64_C(1) << width) - 1;

		config.general_width = (uint8_t)width;
		start_machine(&m, &config);
		set_now(&m, A_PMC0, max - 1);
		set_now(&m, PERFEVTSEL0, SAMPLED_INSTRUCTIONS);
		retire(&m, 1);
		assert_int_equal(get(&m, PMC0), max);
		assert_int_equal(get(&m, GLOBAL_STATUS), 0);
		assert_false(vpmu_service(&m.pmu));
		retire(&m, 1);
		assert_true(vpmu_service(&m.pmu));
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(get(&m, PMC0), 0);
		assert_int_equal(get(&m, GLOBAL_STATUS), 1);
		retire(&m, 2);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(get(&m, PMC0), 2);
	}
}

static void overflows_without_int(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, INSTRUCTIONS, MAX_48);
	retire(&m, 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(get(&m, PMC0), 0);
	assert_false(vpmu_service(&m.pmu));
}

static void fixed_overflows(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_now(&m, GLOBAL_CTRL, FIXED_ON);
	set_now(&m, FIXED_CTR0, MAX_48);
	set_now(&m, FIXED_CTR_CTRL, 0xb);
	retire(&m, 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, FIXED_CTR0), 0);
	assert_int_equal(get(&m, GLOBAL_STATUS), UINT64_C(1) << 32);
}

static void overflow_of_two(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48);
	set_now(&m, A_PMC0 + 1, MAX_48);
	set_now(&m, PERFEVTSEL0 + 1, BRANCHES | EVTSEL_INT);
	vpmu_retired(&m.pmu, VPMU_RETIRED_BRANCH);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 3);
}

static void overflow_freezes(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 3; version <= 4; version++) {
		start_version(&m, version);
		set_now(&m, DEBUGCTL, FREEZE_PERFMON);
		set_now(&m, A_PMC0, MAX_48);
		set_now(&m, PERFEVTSEL0, SAMPLED_INSTRUCTIONS);
		retire(&m, 1);
		assert_true(vpmu_service(&m.pmu));
		assert_false(anything_counts(&m));
		retire(&m, 5);
		assert_int_equal(get(&m, PMC0), 0);
		set_now(&m, version == 3 ? GLOBAL_CTRL : STATUS_RESET,
			version == 3 ? 1 : CTR_FRZ | 1);
		retire(&m, 5);
		assert_int_equal(get(&m, PMC0), 5);
	}
}

/* The write of value to msr is an instruction itself. */
static void write_retired(struct machine *m, uint32_t msr, uint64_t value)
{
	set(m, msr, value);
	retire(m, 1);
	assert_false(vpmu_service(&m->pmu));
}

static void wrmsr_counts(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, INSTRUCTIONS, 0);
	write_retired(&m, GLOBAL_CTRL, 0);
	assert_int_equal(get(&m, PMC0), 1);
	write_retired(&m, GLOBAL_CTRL, 1);
	assert_int_equal(get(&m, PMC0), 1);
	write_retired(&m, PERFEVTSEL0, 0);
	assert_int_equal(get(&m, PMC0), 2);
	write_retired(&m, PERFEVTSEL0, INSTRUCTIONS);
	assert_int_equal(get(&m, PMC0), 2);
	write_retired(&m, PERFEVTSEL0, CYCLES);
	assert_int_equal(get(&m, PMC0), 3);
	write_retired(&m, PERFEVTSEL0, INSTRUCTIONS);
	assert_int_equal(get(&m, PMC0), 3);
	write_retired(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	assert_int_equal(get(&m, PMC0), 4);
}

static void wrmsr_counts_fixed(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 4);
	set_now(&m, GLOBAL_CTRL, FIXED_ON);
	write_retired(&m, FIXED_CTR_CTRL, 0x3);
	assert_int_equal(get(&m, FIXED_CTR0), 0);
	write_retired(&m, FIXED_CTR_CTRL, 0x0);
	assert_int_equal(get(&m, FIXED_CTR0), 1);
	write_retired(&m, FIXED_CTR_CTRL, 0x1);
	assert_int_equal(get(&m, FIXED_CTR0), 1);
	write_retired(&m, STATUS_SET, CTR_FRZ);
	assert_int_equal(get(&m, FIXED_CTR0), 2);
	write_retired(&m, STATUS_RESET, CTR_FRZ);
	assert_int_equal(get(&m, FIXED_CTR0), 2);
}

static void wrmsr_of_the_counter(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, 0);
	write_retired(&m, A_PMC0, 1000);
	assert_int_equal(get(&m, PMC0), 1001);
	write_retired(&m, A_PMC0, 10);
	assert_int_equal(get(&m, PMC0), 11);
	set(&m, A_PMC0, MAX_48);
	retire(&m, 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 0);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
}

static void stopped_counts_nothing(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, INSTRUCTIONS, 5);
	set_now(&m, GLOBAL_CTRL, 0);
	retire(&m, 10);
	assert_int_equal(get(&m, PMC0), 5);
	assert_int_equal(vpmu_release_idle(&m.pmu), 1);
	retire(&m, 10);
	assert_int_equal(get(&m, PMC0), 5);
	set_now(&m, GLOBAL_CTRL, 1);
	retire(&m, 10);
	assert_int_equal(get(&m, PMC0), 15);
}

static void reset_counts_nothing(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48);
	retire(&m, 1);
	vpmu_reset(&m.pmu);
	assert_false(anything_counts(&m));
	retire(&m, 10);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 0);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
}

/* Nothing but the instructions' alarm is to be done, or it is among what the guest has changed. */
static void alarm_from_now(void **state)
{
	struct machine m;
	uint64_t at;

	(void)state;
	for (unsigned int changes = 0; changes < 2; changes++) {
		start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 - 2999);
		assert_int_equal(get(&m, PMC0), MAX_48 - 2999);
		at = m.source.totals[0] + 3000;
		happen(&m, 0, 2000);
		retire(&m, 2);
		/* A bit that decides nothing. */
		if (changes)
			set(&m, PERFEVTSEL0, SAMPLED_INSTRUCTIONS | UINT64_C(1) << 19);
		else
			retire(&m, 1);
		calls(&m);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(m.source.total_calls, 1);
		assert_int_equal(m.source.alarms[0], at - (changes ? 2 : 3));
	}
}

/* Where counter 0 really overflows, as a total of its source. */
static uint64_t overflow_total(struct machine *m)
{
	return m->source.totals[0] + (MAX_48 - get(m, PMC0)) + 1;
}

static void check_lateness(struct machine *m)
{
	uint64_t at = overflow_total(m);
	uint64_t left = at - m->source.totals[0];

	assert_true(m->source.alarms[0] <= at + left / 1024);
}

static void drift_is_bounded(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 - 99999);
	for (unsigned int i = 0; i < 90000; i++) {
		retire(&m, 1);
		assert_false(vpmu_service(&m.pmu));
		check_lateness(&m);
	}
	/* 10000 are left of 100000: each move brought it nearer by 1/1025. */
	assert_in_range(m.source.alarm_calls, 100, 4000);
}

static void drift_is_borne(void **state)
{
	struct machine m;
	uint64_t alarm;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 + 1 - 1025 * 50);
	alarm = m.source.alarms[0];
	for (unsigned int i = 0; i < 50; i++) {
		retire(&m, 1);
		assert_false(vpmu_service(&m.pmu));
	}
	assert_int_equal(calls(&m), 0);
	retire(&m, 2);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], alarm - 52);
	assert_int_equal(m.source.total_calls, 1);
	assert_int_equal(m.source.alarm_calls, 1);
}

static void exact_when_close(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 - 999);
	for (unsigned int i = 0; i < 500; i++) {
		retire(&m, 1);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(m.source.alarms[0], overflow_total(&m));
		assert_false(vpmu_service(&m.pmu));
	}
	happen(&m, 0, 499);
	assert_int_equal(ring(&m), 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 0);
}

static void moved_to_the_past(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 - 9);
	happen(&m, 0, 8);
	retire(&m, 2);
	assert_int_equal(ring(&m), 0);
	/* The alarm belongs where the total is already. */
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(get(&m, PMC0), 0);
	assert_false(vpmu_service(&m.pmu));
}

static void early_alarm_stays(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 - 99);
	set_now(&m, A_PMC0, MAX_48 - 199);
	calls(&m);
	for (unsigned int i = 0; i < 100; i++) {
		retire(&m, 1);
		assert_false(vpmu_service(&m.pmu));
	}
	assert_int_equal(calls(&m), 0);
	assert_int_equal(m.source.alarms[0], overflow_total(&m));
	calls(&m);
	retire(&m, 1);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarm_calls, 1);
	assert_int_equal(m.source.alarms[0], overflow_total(&m));
}

static void int_set_later(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, INSTRUCTIONS, MAX_48 - 99999);
	retire(&m, 50000);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(calls(&m), 0);
	set_now(&m, PERFEVTSEL0, SAMPLED_INSTRUCTIONS);
	assert_int_equal(m.source.alarms[0], overflow_total(&m));
	set_now(&m, PERFEVTSEL0, INSTRUCTIONS);
	calls(&m);
	retire(&m, 40000);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(calls(&m), 0);
}

/* Without them it overflows one event beyond the highest total. */
static void alarm_within_reach(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	m.source.totals[0] = UINT64_MAX - 4999;
	set_now(&m, A_PMC0, MAX_48 - 4999);
	set_now(&m, PERFEVTSEL0, SAMPLED_INSTRUCTIONS);
	assert_int_equal(m.source.alarms[0], VPMU_NO_ALARM);
	retire(&m, 2);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], UINT64_MAX - 1);
}

static void reads_shrink_the_bound(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_INSTRUCTIONS, MAX_48 - 999999);
	retire(&m, 900);
	happen(&m, 0, 990000);
	get(&m, PMC0);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], overflow_total(&m));
}

static const struct CMUnitTest tests[] = {
	{ .name = "an emulated instruction is counted as instructions, at the levels asked for",
	  .test_func = counts_instructions },
	{ .name = "an emulated branch is counted as branches, too, at the levels asked for",
	  .test_func = counts_branches },
	{ .name = "the fixed counter of instructions counts them, at the levels asked for",
	  .test_func = fixed_counts },
	{ .name = "each counter that is enabled for it counts an emulated instruction",
	  .test_func = counts_in_all },
	{ .name = "counters of other events do not count emulated instructions",
	  .test_func = others_do_not_count },
	{ .name = "counters with a counter mask or edge detection do not count them",
	  .test_func = conditions_do_not_count },
	{ .name = "with the PMU off, idle or counting something else the word asked is 0",
	  .test_func = nothing_counts },
	{ .name = "a counter that the source or the configuration refuses does not count them",
	  .test_func = refused },
	{ .name = "counting an emulated instruction asks nothing of the source",
	  .test_func = asks_no_source },
	{ .name = "emulated instructions and the source's add up", .test_func = adds_up },
	{ .name = "an emulated instruction overflows a counter of any width, into one PMI",
	  .test_func = overflows },
	{ .name = "without INT it overflows into the status alone",
	  .test_func = overflows_without_int },
	{ .name = "it overflows a fixed counter with its PMI bit into a PMI",
	  .test_func = fixed_overflows },
	{ .name = "one that overflows two counters is one PMI", .test_func = overflow_of_two },
	{ .name = "an overflow by an emulated instruction freezes if asked to",
	  .test_func = overflow_freezes },
	{ .name = "a WRMSR that stops a counter is counted, one that starts it is not",
	  .test_func = wrmsr_counts },
	{ .name = "so it is with a fixed counter, and with CTR_FRZ",
	  .test_func = wrmsr_counts_fixed },
	{ .name = "a WRMSR to a counter that counts it is counted from the value written",
	  .test_func = wrmsr_of_the_counter },
	{ .name = "a stopped counter does not count them, nor does one whose binding has ended",
	  .test_func = stopped_counts_nothing },
	{ .name = "after RESET nothing counts them", .test_func = reset_counts_nothing },
	{ .name = "after each service an alarm is late by at most 1/1024 of what is left",
	  .test_func = drift_is_bounded },
	{ .name = "an alarm that is late by less is not moved", .test_func = drift_is_borne },
	{ .name = "an alarm that they move is set after a look at the total",
	  .test_func = alarm_from_now },
	{ .name = "with fewer than 1024 left the alarm is exact", .test_func = exact_when_close },
	{ .name = "an overflow that its alarm was too late for is found by the next service",
	  .test_func = moved_to_the_past },
	{ .name = "an alarm that is early is left until it would be late",
	  .test_func = early_alarm_stays },
	{ .name = "a counter without INT has no alarm to be late, one that gets INT an exact one",
	  .test_func = int_set_later },
	{ .name = "an overflow that they bring within reach of the total gets an alarm",
	  .test_func = alarm_within_reach },
	{ .name = "a read that brings the overflow near makes a late alarm move",
	  .test_func = reads_shrink_the_bound },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
