/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads that move between processors, with events that follow them and events that do not.
 */
#define _GNU_SOURCE
#include "fixture.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static void moved_thread(void **state)
{
	struct vpmu_perf_event_state now;
	struct vcpu v;
	int cpus[2];
	uint64_t id;

	(void)state;
	need_events();
	need_two_cpus(cpus);
	start(&v, overflow_signal());
	sample(&v, 5);
	id = event_id(&v, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		happen(2);
		assert_false(vpmu_service(&v.pmu));
		move_to(cpus[i % 2]);
		happen(1);
		vpmu_perf_event_enter(v.source);
		assert_false(vpmu_service(&v.pmu));
		happen(1);
		assert_false(vpmu_service(&v.pmu));
		happen(1);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(get(&v, PMC0), 0);
		assert_int_equal(handle_pmi(&v, 5), 1);
	}
	assert_int_equal(event_id(&v, 0), id);
	now = state_of(&v, 0);
	assert_int_equal(now.renewed, 0);
	assert_int_equal(now.uncounted_ns, 0);
	assert_int_equal(now.enabled_ns, now.running_ns);
	finish(&v);
}

static void moved_binding(void **state)
{
	struct vpmu_perf_event_state now, last = { 0 };
	struct vcpu v;
	int cpus[2];

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[1]);
	start_per_cpu(&v, overflow_signal());
	sample(&v, 5);
	sample_exactly(&v, 5, 10, false);
	assert_int_equal(state_of(&v, 0).uncounted_ns, 0);
	for (unsigned int i = 0; i < rounds(1000); i++) {
		happen(2);
		assert_false(vpmu_service(&v.pmu));
		move_to(cpus[i % 2]);
		/* Not counted, and nothing else is not. */
		happen(i % 3);
		vpmu_perf_event_enter(v.source);
		vpmu_perf_event_enter(v.source);
		assert_false(vpmu_service(&v.pmu));
		now = state_of(&v, 0);
		assert_int_equal(now.renewed, i + 1);
		assert_true(now.uncounted_ns > last.uncounted_ns);
		assert_true(now.uncounted_ns <= now.enabled_ns - last.running_ns);
		last = now;
		assert_int_equal(get(&v, PMC0), minus(3));
		happen(2);
		assert_false(vpmu_service(&v.pmu));
		happen(1);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(get(&v, PMC0), 0);
		assert_int_equal(handle_pmi(&v, 5), 1);
	}
	finish(&v);
}

static void unmoved_binding(void **state)
{
	struct vcpu v;
	uint64_t id;
	int cpus[2];

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, overflow_signal());
	sample(&v, 3);
	id = event_id(&v, 0);
	for (unsigned int i = 0; i < 100; i++) {
		vpmu_perf_event_enter(v.source);
		sample_exactly(&v, 3, 1, false);
	}
	assert_int_equal(event_id(&v, 0), id);
	assert_int_equal(state_of(&v, 0).renewed, 0);
	assert_int_equal(state_of(&v, 0).uncounted_ns, 0);
	finish(&v);
}

static void bound_after_move(void **state)
{
	struct vcpu v;
	int cpus[2];
	uint64_t id;

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, overflow_signal());
	vpmu_perf_event_enter(v.source);
	move_to(cpus[1]);
	sample(&v, 3);
	id = event_id(&v, 0);
	vpmu_perf_event_enter(v.source);
	assert_int_equal(event_id(&v, 0), id);
	sample_exactly(&v, 3, 5, false);
	finish(&v);
}

static void bound_elsewhere(void **state)
{
	struct vcpu v;
	int cpus[2];

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, overflow_signal());
	vpmu_perf_event_enter(v.source);
	move_to(cpus[1]);
	sample(&v, 3);
	move_to(cpus[0]);
	vpmu_perf_event_enter(v.source);
	assert_int_equal(state_of(&v, 0).renewed, 1);
	sample_exactly(&v, 3, 5, false);
	finish(&v);
}

static void failed_renewal(void **state)
{
	struct rlimit files;
	struct vcpu v;
	int cpus[2];
	int fd;

	(void)state;
	need_events();
	need_two_cpus(cpus);
	move_to(cpus[0]);
	start_per_cpu(&v, 0);
	sample(&v, 1000);
	happen(10);
	/* Only the old event's place is free. */
	fd = dup(0);
	close(fd);
	files = limit(RLIMIT_NOFILE, (rlim_t)fd);
	move_to(cpus[1]);
	vpmu_perf_event_enter(v.source);
	happen(10);
	assert_int_equal(get(&v, PMC0), minus(980));
	assert_int_equal(state_of(&v, 0).renewed, 1);
	/* Not even that. */
	limit(RLIMIT_NOFILE, 0);
	move_to(cpus[0]);
	vpmu_perf_event_enter(v.source);
	happen(10);
	assert_int_equal(get(&v, PMC0), minus(980));
	assert_false(state_of(&v, 0).bound);
	assert_int_equal(state_of(&v, 0).error, EMFILE);
	limit(RLIMIT_NOFILE, files.rlim_cur);
	/* It counts again after the next move. */
	move_to(cpus[1]);
	vpmu_perf_event_enter(v.source);
	happen(10);
	assert_int_equal(get(&v, PMC0), minus(970));
	assert_true(state_of(&v, 0).bound);
	finish(&v);
}

static void moved_sigtrap(void **state)
{
	struct vcpu v;
	int cpus[2];

	(void)state;
	need_sigtrap();
	need_two_cpus(cpus);
	move_to(cpus[1]);
	start_per_cpu(&v, SIGTRAP);
	sample(&v, 5);
	sample_exactly(&v, 5, 10, false);
	for (unsigned int i = 0; i < 100; i++) {
		move_to(cpus[i % 2]);
		vpmu_perf_event_enter(v.source);
		sample_exactly(&v, 5, 2, false);
	}
	assert_int_equal(state_of(&v, 0).renewed, 100);
	finish(&v);
}

int run_move_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("a thread that moves 1,000 times loses and doubles nothing; nothing is "
			 "renewed",
			 moved_thread),
		sentence("a binding to a CPU is renewed once a move; only what ran before it is "
			 "uncounted",
			 moved_binding),
		sentence("a binding to a CPU that the thread does not leave is not renewed",
			 unmoved_binding),
		sentence("a binding made after a move is not renewed for it", bound_after_move),
		sentence("a binding made away from where the guest is entered is renewed there",
			 bound_elsewhere),
		sentence("a renewal that fails is told, and keeps what was counted",
			 failed_renewal),
		sentence("a binding to a CPU sends SIGTRAP after each move", moved_sigtrap),
	};

	return cmocka_run_group_tests_name("moves", tests, prepare, NULL);
}
