/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is opened for a counter: which event, at which levels, and for how long.
 */
#define _GNU_SOURCE
#include "fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void levels(void **state)
{
	int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct vcpu v;
	uint64_t before;

	(void)state;
	need_events();
	assert_true(zeros >= 0);
	start(&v, 0);
	set(&v, PERFEVTSEL0, (ALL_LEVELS | INSTRUCTIONS) & ~EVTSEL_INT);
	set(&v, PERFEVTSEL0 + 1, (USER_ONLY | INSTRUCTIONS) & ~EVTSEL_INT);
	set(&v, PERFEVTSEL0 + 2, (KERNEL_ONLY | INSTRUCTIONS) & ~EVTSEL_INT);
	assert_false(set_now(&v, GLOBAL_CTRL, 7));
	get(&v, PMC0 + 2);
	before = get(&v, PMC0 + 1);
	happen(20);
	assert_int_equal(get(&v, PMC0 + 1) - before, 20);
	assert_in_range(get(&v, PMC0), 20, 60);
	before = get(&v, PMC0 + 2);
	/* By the kernel, on the guest's behalf; it calls none of our functions. */
	assert_int_equal(read(zeros, happen_in_kernel(), 8), 8);
	if (guest_event == CALLS)
		assert_int_equal(get(&v, PMC0 + 2), before);
	else
		assert_in_range(get(&v, PMC0 + 2) - before, 1, SANITIZED ? 8 : 1);
	close(zeros);
	finish(&v);
}

static void binds_and_unbinds(void **state)
{
	unsigned int files;
	struct vcpu v;

	(void)state;
	need_events();
	files = open_files();
	start(&v, overflow_signal());
	for (unsigned int i = 0; i < 4; i++)
		set(&v, PERFEVTSEL0 + i, ALL_LEVELS | INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 0xf));
	assert_int_equal(open_files(), files + 4);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	assert_int_equal(vpmu_release_idle(&v.pmu), 3);
	assert_int_equal(open_files(), files + 1);
	assert_true(state_of(&v, 0).bound);
	assert_false(state_of(&v, 1).bound);
	vpmu_reset(&v.pmu);
	assert_int_equal(open_files(), files);
	set(&v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	/* Freed with a binding. */
	running = NULL;
	vpmu_perf_event_free(v.source);
	assert_int_equal(open_files(), files);
	happen_end();
}

/* Counts go on, the event is another, and it is where the thread is. */
static void check_asked_again(const int *cpus)
{
	struct vcpu v;
	uint64_t id;

	if (cpus)
		start_per_cpu(&v, overflow_signal());
	else
		start(&v, overflow_signal());
	sample(&v, 10);
	for (unsigned int i = 0; i < (SANITIZED ? 4 : 20); i++) {
		happen(4);
		id = event_id(&v, 0);
		if (cpus)
			move_to(cpus[i % 2]);
		vpmu_ask_again(&v.pmu);
		assert_false(vpmu_service(&v.pmu));
		assert_int_not_equal(event_id(&v, 0), id);
		id = event_id(&v, 0);
		vpmu_perf_event_enter(v.source);
		assert_int_equal(event_id(&v, 0), id);
		assert_int_equal(get(&v, PMC0), minus(6));
		happen(5);
		assert_false(vpmu_service(&v.pmu));
		happen(1);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(handle_pmi(&v, 10), 1);
	}
	assert_int_equal(state_of(&v, 0).error, 0);
	finish(&v);
}

static void asked_again(void **state)
{
	int cpus[2];

	(void)state;
	need_events();
	check_asked_again(NULL);
	if (two_cpus(cpus))
		check_asked_again(cpus);
}

static void refused_and_asked_again(void **state)
{
	struct rlimit before;
	struct vcpu v;
	int fd;

	(void)state;
	need_events();
	for (unsigned int per_cpu = 0; per_cpu < 2; per_cpu++) {
		if (per_cpu)
			start_per_cpu(&v, overflow_signal());
		else
			start(&v, overflow_signal());
		/* Warm that up, too. */
		vpmu_perf_event_ask_again(v.source);
		sample(&v, 10);
		vpmu_reset(&v.pmu);
		fd = dup(0);
		close(fd);
		before = limit(RLIMIT_NOFILE, (rlim_t)fd);
		sample(&v, 10);
		happen(20);
		assert_false(is_due(&v, true));
		assert_int_equal(get(&v, PMC0), minus(10));
		/* Nothing has changed: the answer is the same. */
		vpmu_ask_again(&v.pmu);
		assert_false(vpmu_service(&v.pmu));
		assert_int_equal(state_of(&v, 0).error, EMFILE);
		limit(RLIMIT_NOFILE, before.rlim_cur);
		assert_false(vpmu_service(&v.pmu));
		assert_false(state_of(&v, 0).bound);
		vpmu_perf_event_ask_again(v.source);
		assert_false(vpmu_service(&v.pmu));
		assert_true(state_of(&v, 0).bound);
		assert_int_equal(state_of(&v, 0).error, 0);
		vpmu_perf_event_enter(v.source);
		happen(9);
		assert_false(vpmu_service(&v.pmu));
		happen(1);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(get(&v, PMC0), 0);
		finish(&v);
	}
}

static const uint32_t all_events = (UINT32_C(1) << VPMU_EVENT_IDS) - 1;

static void probing(void **state)
{
	struct vpmu_perf_event_options options = { .map = map_event, .include_host = true };
	unsigned int files;

	(void)state;
	need_events();
	files = open_files();
	assert_int_equal(vpmu_perf_event_probe(&options), all_events);
	options.per_cpu = true;
	options.signal = overflow_signal();
	assert_int_equal(vpmu_perf_event_probe(&options), all_events);
	options.signal = 1000;
	assert_int_equal(vpmu_perf_event_probe(&options), 0);
	options.signal = 0;
	options.reserved[0] = 1;
	assert_int_equal(vpmu_perf_event_probe(&options), 0);
	options.reserved[0] = 0;
	/* What the kernel counts itself it cannot limit to the guest. */
	options.include_host = false;
	assert_int_equal(vpmu_perf_event_probe(&options), 0);
	assert_int_equal(open_files(), files);
}

/* Branches at user level only, cycles not at kernel level alone. */
static bool map_by_level(const struct vpmu_perf_event_options *options,
			 const struct vpmu_event *event, struct perf_event_attr *attr)
{
	(void)options;
	guest_event_describe(attr);
	if (event->id == VPMU_EVENT_BRANCHES)
		return !event->kernel;
	return event->id != VPMU_EVENT_CYCLES || event->user;
}

static void probing_levels(void **state)
{
	struct vpmu_perf_event_options options = { .map = map_by_level, .include_host = true };

	(void)state;
	need_events();
	assert_int_equal(vpmu_perf_event_probe(&options),
			 all_events & ~(UINT32_C(1) << VPMU_EVENT_BRANCHES) &
				 ~(UINT32_C(1) << VPMU_EVENT_CYCLES));
}

int run_binding_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("privilege levels are the thread's own", levels),
		sentence("a binding that is asked for again counts on, with an event of its own",
			 asked_again),
		sentence("one that was refused is bound when it is asked for again",
			 refused_and_asked_again),
		sentence("probing says which events have a binding, and leaves nothing open",
			 probing),
		sentence("an event that is not counted at each level is none to offer",
			 probing_levels),
		sentence("events come and go with bindings, and are closed with the source",
			 binds_and_unbinds),
	};

	return cmocka_run_group_tests_name("bindings", tests, prepare, NULL);
}
