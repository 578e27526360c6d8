/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The source of perf events over hardware events: for a machine that has
 * counters, as a guest with a PMU of ours has. Elsewhere all is skipped. What
 * counters do not decide is in perf_event/.
 */
#define _GNU_SOURCE
#include "perf_event/vcpu.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
/* 2 instructions a round, of which one is a branch. */
static void loop(uint64_t rounds)
{
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
}
#else
static void loop(uint64_t rounds)
{
	for (volatile uint64_t i = 0; i < rounds; i++)
		;
}
#endif

enum { PER_ROUND = 2 };

static void start(struct vcpu *v, int signal)
{
	vcpu_start(v, &(struct vpmu_perf_event_options){ .include_host = true, .signal = signal });
}

static uint64_t total(struct vcpu *v, unsigned int counter)
{
	return vpmu_perf_event_ops.total(v->source, counter);
}

/* What the kernel itself says of an event. */
static uint64_t read_event(int fd)
{
	uint64_t count[3] = { 0 };

	assert_true(read(fd, count, sizeof(count)) > 0);
	return count[0];
}

static int open_event(uint64_t config)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = config,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Why the machine cannot do it; NULL: it can. */
static const char *cannot_run;

static int prepare(void **state)
{
	int fd = open_event(PERF_COUNT_HW_INSTRUCTIONS);

	(void)state;
	if (fd < 0)
		cannot_run = errno == EACCES || errno == EPERM ? "hardware events are not allowed"
							       : "there are no hardware counters";
	else
		close(fd);
	return 0;
}

static void need_counters(void)
{
	if (!cannot_run)
		return;
	print_message("# %s\n", cannot_run);
	skip();
}

/* Linux has no event of its own for topdown slots. */
static void probing(void **state)
{
	const struct vpmu_perf_event_options options = { .include_host = true };
	const uint32_t least = UINT32_C(1) << VPMU_EVENT_INSTRUCTIONS |
			       UINT32_C(1) << VPMU_EVENT_CYCLES |
			       UINT32_C(1) << VPMU_EVENT_BRANCHES;
	uint32_t events = vpmu_perf_event_probe(&options);

	(void)state;
	need_counters();
	assert_int_equal(events & least, least);
	assert_false(events >> VPMU_EVENT_TOPDOWN_SLOTS & 1);
}

static void start_counting(struct vcpu *v, uint64_t evtsel)
{
	start(v, 0);
	set(v, PERFEVTSEL0, evtsel & ~EVTSEL_INT);
	assert_false(set_now(v, GLOBAL_CTRL, 1));
	assert_true(state_of(v, 0).bound);
}

static void user_reads(void **state)
{
	struct vcpu v;

	(void)state;
	need_counters();
	start_counting(&v, USER_ONLY | INSTRUCTIONS);
#if defined(__x86_64__) || defined(__i386__)
	assert_true(state_of(&v, 0).user_reads);
#endif
	assert_int_equal(state_of(&v, 0).error, 0);
	vcpu_finish(&v);
}

/* RDPMC (if it is), read, RDPMC: never backwards, and nothing but their own code in between. */
static void reads_agree(void **state)
{
	uint64_t before, between, after;
	struct vcpu v;
	int fd;

	(void)state;
	need_counters();
	start_counting(&v, USER_ONLY | INSTRUCTIONS);
	fd = vpmu_perf_event_fd(v.source, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		before = total(&v, 0);
		between = read_event(fd);
		after = total(&v, 0);
		assert_in_range(between - before, 1, 2000);
		assert_in_range(after - between, 1, 2000);
		loop(1 + i * 10);
	}
	vcpu_finish(&v);
}

enum { READINGS = 4 };

/* The totals of the source, of the guest, of the kernel for the same event, and of a sibling. */
static void take_readings(struct vcpu *v, int sibling, uint64_t readings[READINGS])
{
	readings[0] = total(v, 0);
	readings[1] = get(v, PMC0);
	readings[2] = read_event(vpmu_perf_event_fd(v->source, 0));
	readings[3] = read_event(sibling);
}

static void measure(struct vcpu *v, int sibling, uint64_t rounds, uint64_t counts[READINGS])
{
	uint64_t before[READINGS], after[READINGS];

	take_readings(v, sibling, before);
	loop(rounds);
	take_readings(v, sibling, after);
	for (unsigned int i = 0; i < READINGS; i++)
		counts[i] = after[i] - before[i];
}

/* Do all readings say that so many more rounds are exactly so many more events? */
static bool counts_exactly(struct vcpu *v, int sibling, uint64_t rounds, uint64_t events)
{
	uint64_t once[READINGS], twice[READINGS];

	measure(v, sibling, rounds, once);
	measure(v, sibling, 2 * rounds, twice);
	for (unsigned int i = 0; i < READINGS; i++)
		if (twice[i] - once[i] != events)
			return false;
	return true;
}

static void counts_loop(uint64_t evtsel, uint64_t config, uint64_t per_round)
{
	int sibling = open_event(config);
	bool exact = false;
	struct vcpu v;

	assert_true(sibling >= 0);
	start_counting(&v, evtsel);
	/* Some machines count one more for each interrupt: one quiet time is enough. */
	for (unsigned int i = 0; i < 100 && !exact; i++)
		exact = counts_exactly(&v, sibling, 50000, 50000 * per_round);
	assert_true(exact);
	close(sibling);
	vcpu_finish(&v);
}

static void counts_instructions(void **state)
{
	(void)state;
	need_counters();
	counts_loop(USER_ONLY | INSTRUCTIONS, PERF_COUNT_HW_INSTRUCTIONS, PER_ROUND);
}

static void counts_branches(void **state)
{
	(void)state;
	need_counters();
	counts_loop(USER_ONLY | BRANCHES, PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 1);
}

/* A guest's handler. Returns what was counted past the overflow. */
static uint64_t reload(struct vcpu *v, uint64_t period)
{
	uint64_t late;

	assert_false(set_now(v, GLOBAL_CTRL, 0));
	assert_int_equal(get(v, GLOBAL_STATUS), 1);
	late = get(v, PMC0);
	set(v, A_PMC0, minus(period));
	set(v, STATUS_RESET, 1);
	assert_false(set_now(v, GLOBAL_CTRL, 1));
	return late;
}

/* signal: 0 to poll. */
static void check_sampling(int signal)
{
	enum { PERIOD = 100000, PERIODS = 200, CHUNK = 500 };
	uint64_t at_start, counted, stopped = 0, passed = 0, latest = 0, late, before;
	unsigned int pmis = 0;
	struct vcpu v;
	int fd;

	start(&v, signal);
	set(&v, A_PMC0, minus(PERIOD));
	set(&v, PERFEVTSEL0, USER_ONLY | INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	fd = vpmu_perf_event_fd(v.source, 0);
	at_start = total(&v, 0);
	while (pmis < PERIODS) {
		loop(CHUNK);
		if (!signal)
			vpmu_perf_event_poll(v.source);
		/* Only what the source hints at is looked at. */
		if (!vpmu_service(&v.pmu))
			continue;
		before = total(&v, 0);
		late = reload(&v, PERIOD);
		stopped += total(&v, 0) - before;
		passed += late;
		latest = late > latest ? late : latest;
		pmis++;
	}
	counted = total(&v, 0) - at_start;
	/* Each came within its own period, so there is one for each period. */
	assert_true(latest < PERIOD);
	assert_true(counted > PERIODS * PERIOD);
	assert_true(counted - stopped - passed < (PERIODS + 1) * PERIOD);
	assert_int_equal(vpmu_perf_event_fd(v.source, 0), fd);
	assert_int_equal(state_of(&v, 0).error, 0);
	vcpu_finish(&v);
}

static void samples_by_signal(void **state)
{
	(void)state;
	need_counters();
	check_sampling(overflow_signal());
}

static void samples_by_sigtrap(void **state)
{
	(void)state;
	need_counters();
	check_sampling(SIGTRAP);
}

static void samples_by_poll(void **state)
{
	(void)state;
	need_counters();
	check_sampling(0);
}

/*
 * On Intel's processors the kernel takes a period of 1 on branches for a wish to trace them,
 * and refuses it. The host's own code counts here: the counter overflows at once, and each
 * handler of a signal would overflow it some more times. So the host polls.
 */
static void shortest_periods(void **state)
{
	static const uint64_t events[] = { INSTRUCTIONS, BRANCHES };

	(void)state;
	need_counters();
	for (unsigned int i = 0; i < 20; i++) {
		bool is_due = false;
		struct vcpu v;

		start(&v, 0);
		set(&v, A_PMC0, minus(1 + i / 2));
		set(&v, PERFEVTSEL0, USER_ONLY | events[i % 2]);
		set(&v, GLOBAL_CTRL, 1);
		for (unsigned int times = 0; times < 1000 && !is_due; times++) {
			is_due = vpmu_service(&v.pmu);
			loop(10);
			vpmu_perf_event_poll(v.source);
		}
		assert_true(is_due);
		assert_int_equal(get(&v, GLOBAL_STATUS), 1);
		assert_int_equal(state_of(&v, 0).error, 0);
		vcpu_finish(&v);
	}
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* More counters than the machine can have at once: they take turns, and it is told. */
static void contention(void **state)
{
	struct vpmu_perf_event_state trouble;
	int others[24];
	uint64_t end, last = 0;
	struct vcpu v;
	bool told = false;

	(void)state;
	need_counters();
	start_counting(&v, USER_ONLY | BRANCHES);
	for (unsigned int i = 0; i < 24; i++)
		others[i] = open_event(PERF_COUNT_HW_BRANCH_INSTRUCTIONS);
	for (end = now_ms() + 20000; now_ms() < end && !told;) {
		loop(100000);
		assert_true(total(&v, 0) >= last);
		last = total(&v, 0);
		trouble = state_of(&v, 0);
		told = trouble.running_ns < trouble.enabled_ns && trouble.running_ns > 0;
	}
	assert_true(told);
	assert_int_equal(trouble.error, 0);
	for (unsigned int i = 0; i < 24; i++)
		if (others[i] >= 0)
			close(others[i]);
	vcpu_finish(&v);
}

static bool write_setting(const char *name, const char *value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	file = fopen(path, "w");
	if (!file)
		return false;
	fputs(value, file);
	return fclose(file) == 0;
}

/* Only in a guest that is thrown away are the machine's settings the test's to change. */
static bool limit_rate(void)
{
	/* At 0 and 100 percent the rate cannot be set. */
	return getenv("VPMU_THROW_AWAY_GUEST") &&
	       write_setting("perf_cpu_time_max_percent", "99") &&
	       write_setting("perf_event_max_sample_rate", "500");
}

static void unlimit_rate(void)
{
	write_setting("perf_event_max_sample_rate", "100000");
	write_setting("perf_cpu_time_max_percent", "0");
}

static void throttling(void **state)
{
	enum { PERIOD = 10000 };
	uint64_t end, counted, before;
	struct vcpu v;
	int sibling;

	(void)state;
	need_counters();
	if (!limit_rate()) {
		print_message("# only in a guest that is thrown away\n");
		skip();
	}
	start(&v, overflow_signal());
	set(&v, A_PMC0, minus(PERIOD));
	set(&v, PERFEVTSEL0, USER_ONLY | INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	sibling = open_event(PERF_COUNT_HW_INSTRUCTIONS);
	assert_true(sibling >= 0);
	for (end = now_ms() + 20000; now_ms() < end;) {
		loop(PERIOD);
		if (vpmu_service(&v.pmu))
			reload(&v, PERIOD);
		if (state_of(&v, 0).throttled > 3)
			break;
	}
	assert_true(state_of(&v, 0).throttled > 3);
	/* Once it gets a long period, it counts on as if nothing had been. */
	set_now(&v, A_PMC0, 0);
	before = read_event(sibling);
	counted = get(&v, PMC0);
	loop(1000000);
	counted = get(&v, PMC0) - counted;
	assert_in_range(counted, 1000000 * PER_ROUND, read_event(sibling) - before);
	unlimit_rate();
	close(sibling);
	vcpu_finish(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "probing finds the events that Linux has", probing, NULL, NULL, NULL },
		{ "totals are read from user space", user_reads, NULL, NULL, NULL },
		{ "totals from user space and the kernel's read agree, and never go backwards",
		  reads_agree, NULL, NULL, NULL },
		{ "a loop's instructions: the source, the guest, the kernel and a sibling agree",
		  counts_instructions, NULL, NULL, NULL },
		{ "a loop's branches: the source, the guest, the kernel and a sibling agree",
		  counts_branches, NULL, NULL, NULL },
		{ "sampling by signal gets a PMI in every period", samples_by_signal, NULL, NULL,
		  NULL },
		{ "sampling by SIGTRAP gets a PMI in every period", samples_by_sigtrap, NULL, NULL,
		  NULL },
		{ "sampling by poll gets a PMI in every period", samples_by_poll, NULL, NULL,
		  NULL },
		{ "a period of 1 brings its PMI, and so do other short ones", shortest_periods,
		  NULL, NULL, NULL },
		{ "counters that take turns are told, and never go backwards", contention, NULL,
		  NULL, NULL },
		{ "a throttled event is told, and counts on when it gets a new period", throttling,
		  NULL, NULL, NULL },
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
