/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals at any moment, lost ones, late ones, and those of others.
 */
#define _GNU_SOURCE
#include "fixture.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void foreign_signal(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 3);
	assert_false(vpmu_perf_event_signal(v.source, -1));
	assert_false(vpmu_perf_event_signal(v.source, 0));
	assert_false(vpmu_perf_event_signal(v.source, 100000));
	assert_true(vpmu_perf_event_signal(v.source, vpmu_perf_event_fd(v.source, 0)));
	/* A hint without cause is no overflow. */
	assert_false(vpmu_service(&v.pmu));
	sample_exactly(&v, 3, 5, false);
	finish(&v);
	start(&v, 0);
	sample(&v, 3);
	/* One without a name is the source's if something has overflowed since the last. */
	assert_false(vpmu_perf_event_signal(v.source, -1));
	happen(3);
	assert_true(vpmu_perf_event_signal(v.source, -1));
	assert_false(vpmu_perf_event_signal(v.source, -1));
	assert_true(vpmu_service(&v.pmu));
	assert_false(vpmu_perf_event_signal(v.source, -1));
	finish(&v);
}

struct flood {
	pid_t thread;
	atomic_bool stop;
	atomic_ulong sent;
};

/* Overflow signals that nobody sent, of events that exist and of others. */
static void *flooding(void *opaque)
{
	struct flood *flood = opaque;
	siginfo_t info = { .si_signo = overflow_signal(), .si_code = SI_QUEUE };

	for (int i = 0; !atomic_load(&flood->stop); i++) {
		info.si_value.sival_int = i % 16;
		if (i % 3)
			syscall(SYS_rt_tgsigqueueinfo, getpid(), flood->thread, overflow_signal(),
				&info);
		else
			syscall(SYS_tgkill, getpid(), flood->thread, overflow_signal());
		atomic_fetch_add(&flood->sent, 1);
		/* In bursts: the guest has to get on, too. */
		if (i % 8 == 0)
			usleep(DELAYED_SIGNALS ? 1000 : 20);
	}
	return NULL;
}

static void signals_at_any_moment(void **state)
{
	struct flood flood = { .thread = gettid() };
	pthread_t thread;
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample_and_rebind(&v, 8);
	assert_int_equal(pthread_create(&thread, NULL, flooding, &flood), 0);
	sample_and_rebind(&v, rounds(2000));
	atomic_store(&flood.stop, true);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&flood.sent) > 0);
	assert_int_equal(state_of(&v, 0).error, 0);
	finish(&v);
}

/*
 * An event of the test's own that sends SIGTRAP every second time: signals that are none
 * of the source's business, at the guest's every other event. Its file.
 */
static int open_rattle(void)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.sample_period = 2,
		.sigtrap = 1,
		.remove_on_exec = 1,
	};
	int fd;

	guest_event_describe(&attr);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void *flooding_sigtrap(void *opaque)
{
	struct flood *flood = opaque;

	while (!atomic_load(&flood->stop)) {
		syscall(SYS_tgkill, getpid(), flood->thread, SIGTRAP);
		/* In bursts: the guest has to get on, too. */
		if (atomic_fetch_add(&flood->sent, 1) % 8 == 0)
			usleep(20);
	}
	return NULL;
}

static void sigtrap_at_any_moment(void **state)
{
	struct flood flood = { .thread = gettid() };
	/* A sanitizer that holds signals back takes SIGTRAP for the thread's own doing. */
	bool floods = !DELAYED_SIGNALS;
	pthread_t thread;
	unsigned int before;
	struct vcpu v;
	int rattle;

	(void)state;
	need_sigtrap();
	start(&v, SIGTRAP);
	sample_and_rebind(&v, 8);
	rattle = open_rattle();
	if (floods)
		assert_int_equal(pthread_create(&thread, NULL, flooding_sigtrap, &flood), 0);
	before = atomic_load(&v.signals);
	sample_and_rebind(&v, rounds(2000));
	assert_true(atomic_load(&v.signals) - before > rounds(2000));
	if (floods) {
		atomic_store(&flood.stop, true);
		pthread_join(thread, NULL);
		assert_true(atomic_load(&flood.sent) > 0);
	}
	close(rattle);
	assert_int_equal(state_of(&v, 0).error, 0);
	finish(&v);
}

/* What the kernel sends when a user's signals are too many to be queued. */
static void unqueued_signal(void **state)
{
	struct rlimit before;
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, overflow_signal());
	sample(&v, 5);
	before = limit(RLIMIT_SIGPENDING, 0);
	sample_exactly(&v, 5, 20, false);
	limit(RLIMIT_SIGPENDING, before.rlim_cur);
	assert_true(atomic_load(&v.unqueued) >= 20);
	finish(&v);
}

/* A signal that was held back comes for everything that has overflowed meanwhile. */
static void blocked_sigtrap(void **state)
{
	struct vcpu v;
	sigset_t set_of_one;

	(void)state;
	need_sigtrap();
	sigemptyset(&set_of_one);
	sigaddset(&set_of_one, SIGTRAP);
	start(&v, SIGTRAP);
	sample(&v, 5);
	sample_exactly(&v, 5, 3, false);
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(pthread_sigmask(SIG_BLOCK, &set_of_one, NULL), 0);
		happen(5);
		assert_false(vpmu_service(&v.pmu));
		assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set_of_one, NULL), 0);
		assert_true(vpmu_service(&v.pmu));
		assert_int_equal(get(&v, PMC0), 0);
		assert_int_equal(handle_pmi(&v, 5), 1);
	}
	finish(&v);
}

static void *guest_thread(void *opaque)
{
	struct vcpu v;

	(void)opaque;
	start(&v, overflow_signal());
	sample_and_rebind(&v, 8);
	sample_and_rebind(&v, rounds(500));
	sample(&v, 3);
	sample_exactly(&v, 3, 2000, false);
	finish(&v);
	return NULL;
}

static void two_threads(void **state)
{
	pthread_t thread[2];

	(void)state;
	need_events();
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, guest_thread, NULL), 0);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

int run_signal_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("a signal of no event of the source is none of its business",
			 foreign_signal),
		sentence("signals at any moment lose no overflow", signals_at_any_moment),
		sentence("SIGTRAPs at any moment lose no overflow", sigtrap_at_any_moment),
		sentence("an overflow whose signal cannot be queued is told by SIGIO",
			 unqueued_signal),
		sentence("an overflow whose SIGTRAP is held back is found when it comes",
			 blocked_sigtrap),
		sentence("two threads have a PMU each", two_threads),
	};

	return cmocka_run_group_tests_name("signals", tests, prepare, NULL);
}
