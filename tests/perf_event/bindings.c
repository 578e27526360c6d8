/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is opened for a counter: which event, at which levels, and for how long.
 */
#define _GNU_SOURCE
#include "fixture.h"
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

int run_binding_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("privilege levels are the thread's own", levels),
		sentence("events come and go with bindings, and are closed with the source",
			 binds_and_unbinds),
	};

	return cmocka_run_group_tests_name("bindings", tests, prepare, NULL);
}
