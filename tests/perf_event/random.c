/* SPDX-License-Identifier: BSD-2-Clause
 *
 * At random: what the guest sees and what goes uncounted while it is stopped is all that there was.
 */
#define _GNU_SOURCE
#include "fixture.h"
#include <sys/syscall.h>
#include <unistd.h>

/* A further event in the group of a counter's, which nobody starts or stops. */
static int open_sibling(struct vcpu *v, unsigned int counter)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	int fd;

	guest_event_describe(&attr);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, vpmu_perf_event_fd(v->source, counter),
			  PERF_FLAG_FD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static uint64_t read_sibling(int fd)
{
	uint64_t value = 0;

	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	return value;
}

struct walk {
	struct vcpu v;
	uint64_t random;
	int sibling;
	bool runs;
	uint64_t total;   /* the source's, at the last start or stop */
	uint64_t loaded;  /* the guest's value at the last start or reload */
	uint64_t seen;    /* by the guest */
	uint64_t stopped; /* counted while it was stopped */
};

static uint64_t draw(struct walk *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % below;
}

static uint64_t total_now(struct walk *w)
{
	uint64_t total = vpmu_perf_event_ops.total(w->v.source, 0);

	assert_true(total >= w->total);
	return total;
}

static void account_seen(struct walk *w)
{
	uint64_t value = get(&w->v, PMC0);

	w->seen += (value - w->loaded) & MASK_48;
	w->loaded = value;
}

static void walk_stop(struct walk *w)
{
	set_now(&w->v, GLOBAL_CTRL, 0);
	account_seen(w);
	w->total = total_now(w);
	w->runs = false;
}

static void walk_start(struct walk *w)
{
	uint64_t total = total_now(w);

	w->stopped += total - w->total;
	w->total = total;
	set_now(&w->v, GLOBAL_CTRL, 1);
	w->runs = true;
}

static void walk_reload(struct walk *w)
{
	if (w->runs)
		account_seen(w);
	w->loaded = minus(1 + draw(w, 30));
	set_now(&w->v, A_PMC0, w->loaded);
}

static void step(struct walk *w, const int cpus[2], bool moves)
{
	unsigned int kind = (unsigned int)draw(w, 64);

	if (kind < 40)
		happen(draw(w, 4));
	else if (kind < 48)
		w->runs ? walk_stop(w) : walk_start(w);
	else if (kind < 54)
		walk_reload(w);
	else if (kind < 56 && w->runs)
		account_seen(w);
	else if (kind == 56)
		total_now(w);
	else if (kind == 57 && moves)
		move_to(cpus[draw(w, 2)]);
	if (vpmu_service(&w->v.pmu))
		set(&w->v, STATUS_RESET, 1);
}

static void sibling_agrees(void **state)
{
	struct walk w = { .random = 20181120 };
	int cpus[2];
	bool moves;

	(void)state;
	need_events();
	moves = two_cpus(cpus);
	start(&w.v, overflow_signal());
	sample(&w.v, 10);
	walk_stop(&w);
	w.sibling = open_sibling(&w.v, 0);
	w.seen = 0;
	w.stopped = 0;
	/* Warm up, so that nothing but the guest faults any more. */
	for (unsigned int i = 0; i < 1000; i++)
		step(&w, cpus, moves);
	if (w.runs)
		walk_stop(&w);
	read_sibling(w.sibling);
	w.seen = w.stopped = 0;
	w.total = total_now(&w);
	{
		uint64_t start = read_sibling(w.sibling);

		assert_int_equal(total_now(&w), w.total);
		for (unsigned int i = 0; i < rounds(100000); i++)
			step(&w, cpus, moves);
		if (w.runs)
			walk_stop(&w);
		walk_start(&w);
		assert_int_equal(w.seen + w.stopped, read_sibling(w.sibling) - start);
		assert_true(w.seen > rounds(10000) && w.stopped > rounds(10000));
	}
	close(w.sibling);
	finish(&w.v);
}

int run_random_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("seen and counted while stopped equal a sibling event, at random",
			 sibling_agrees),
	};

	return cmocka_run_group_tests_name("random", tests, prepare, NULL);
}
