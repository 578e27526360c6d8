/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See measure.h.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <glib.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

double measure_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct moment {
	double ticks;
	double seconds;
};

/* Both clocks at one moment: of some tries the one that took least. */
static struct moment both_clocks(void)
{
	struct moment best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t before = measure_begin();
		double seconds = measure_now();
		uint64_t after = measure_end();

		if (after - before < least) {
			least = after - before;
			best = (struct moment){ (double)before + (double)least / 2, seconds };
		}
	}
	return best;
}

double measure_frequency(void)
{
	static double frequency;
	struct moment from;
	struct moment to;

	if (frequency > 0)
		return frequency;
	from = both_clocks();
	do {
		to = both_clocks();
	} while (to.seconds - from.seconds < 0.02);
	frequency = (to.ticks - from.ticks) / (to.seconds - from.seconds);
	return frequency;
}

double measure_core_frequency(void)
{
#if defined(__x86_64__)
	enum { ADDITIONS = 100 * 4096 };
	uint64_t least = UINT64_MAX;

	for (int try = 0; try < 20; try++) {
		uint64_t from = measure_begin();
		uint64_t took;
		uint64_t sum = from;

		/* Of a register to itself: one that no processor does ahead of time. */
		for (int i = 0; i < ADDITIONS / 100; i++)
			__asm__ volatile(".rept 100\n\tadd %0, %0\n\t.endr" : "+r"(sum) : : "cc");
		took = measure_end() - from;
		if (took < least)
			least = took;
	}
	return measure_frequency() * ADDITIONS / (double)least;
#else
	return 0;
#endif
}

double measure_ns(double ticks)
{
	return ticks / measure_frequency() * 1e9;
}

int measure_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		cpu = sched_getcpu();
	if (cpu < 0)
		return -1;
	if (cpu >= CPU_SETSIZE) {
		errno = EINVAL;
		return -1;
	}
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -1 : cpu;
}

void measure_add(struct measure_samples *samples, double value)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? samples->room * 2 : 64;
		samples->values = g_renew(double, samples->values, samples->room);
	}
	samples->values[samples->count++] = value;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

/* The smallest sample that percent of all do not exceed. */
static double nearest_rank(const struct measure_samples *samples, size_t percent)
{
	size_t rank = (samples->count * percent + 99) / 100;

	return samples->values[rank ? rank - 1 : 0];
}

struct measure_statistics measure_statistics(struct measure_samples *samples)
{
	if (!samples->count)
		return (struct measure_statistics){ 0 };
	qsort(samples->values, samples->count, sizeof(*samples->values), by_value);
	return (struct measure_statistics){
		.count = samples->count,
		.minimum = samples->values[0],
		.median = nearest_rank(samples, 50),
		.p99 = nearest_rank(samples, 99),
	};
}

void measure_free(struct measure_samples *samples)
{
	free(samples->values);
	*samples = (struct measure_samples){ 0 };
}

static const uint64_t counter_events[MEASURE_COUNTERS] = {
	[MEASURE_INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
	[MEASURE_BRANCH_MISSES] = PERF_COUNT_HW_BRANCH_MISSES,
};

void measure_counters_open(struct measure_counters *counters)
{
	for (int i = 0; i < MEASURE_COUNTERS; i++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_HARDWARE,
			.size = sizeof(attr),
			.config = counter_events[i],
			.disabled = 1,
			.exclude_kernel = 1,
			.exclude_hv = 1,
		};

		counters->fd[i] =
			(int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
		counters->error[i] = counters->fd[i] < 0 ? errno : 0;
		counters->value[i] = 0;
	}
}

void measure_counters_start(struct measure_counters *counters)
{
	for (int i = 0; i < MEASURE_COUNTERS; i++) {
		if (counters->fd[i] < 0)
			continue;
		ioctl(counters->fd[i], PERF_EVENT_IOC_RESET, 0);
		ioctl(counters->fd[i], PERF_EVENT_IOC_ENABLE, 0);
	}
}

void measure_counters_stop(struct measure_counters *counters)
{
	for (int i = 0; i < MEASURE_COUNTERS; i++)
		if (counters->fd[i] >= 0)
			ioctl(counters->fd[i], PERF_EVENT_IOC_DISABLE, 0);
	for (int i = 0; i < MEASURE_COUNTERS; i++) {
		if (counters->fd[i] < 0)
			continue;
		if (read(counters->fd[i], &counters->value[i], sizeof(counters->value[i])) !=
		    (ssize_t)sizeof(counters->value[i]))
			counters->value[i] = 0;
	}
}

void measure_counters_close(struct measure_counters *counters)
{
	for (int i = 0; i < MEASURE_COUNTERS; i++) {
		if (counters->fd[i] >= 0)
			close(counters->fd[i]);
		counters->fd[i] = -1;
	}
}

static void prepare(struct measure_candidate *candidate)
{
	if (candidate->prepare)
		candidate->prepare(candidate->argument);
}

static void run_once(struct measure_candidate *candidate, unsigned long count, bool keep)
{
	uint64_t from;
	uint64_t took;

	prepare(candidate);
	from = measure_begin();
	candidate->run(candidate->argument, count);
	took = measure_end() - from;
	if (keep)
		measure_add(&candidate->ticks, (double)took / (double)count);
}

/* What starting and stopping the counters themselves counts is taken off. */
static void count_once(struct measure_candidate *candidate, struct measure_counters *counters,
		       unsigned long count)
{
	uint64_t own[MEASURE_COUNTERS];

	prepare(candidate);
	measure_counters_start(counters);
	measure_counters_stop(counters);
	memcpy(own, counters->value, sizeof(own));
	measure_counters_start(counters);
	candidate->run(candidate->argument, count);
	measure_counters_stop(counters);
	for (int i = 0; i < MEASURE_COUNTERS; i++) {
		uint64_t value = counters->value[i];

		candidate->counted[i] = counters->fd[i] >= 0;
		candidate->counts[i] =
			value > own[i] ? (double)(value - own[i]) / (double)count : 0;
	}
}

static void count_all(struct measure_candidate *candidates, size_t count, unsigned long times)
{
	struct measure_counters counters;

	measure_counters_open(&counters);
	for (size_t i = 0; i < count; i++)
		count_once(&candidates[i], &counters, times);
	measure_counters_close(&counters);
}

void measure_run(const struct measure_plan *plan, struct measure_candidate *candidates,
		 size_t count)
{
	double end = measure_now() + plan->seconds;
	unsigned int all = plan->warm_up + plan->repeat;

	for (unsigned int round = 0;
	     round < all || (plan->seconds > 0 && round < UINT32_MAX && measure_now() < end);
	     round++) {
		for (size_t i = 0; i < count; i++)
			run_once(&candidates[(round + i) % count], plan->count,
				 round >= plan->warm_up);
		if (plan->progress)
			plan->progress(plan->argument, round + 1 < all ? round + 1 : all, all);
	}
	count_all(candidates, count, plan->count);
}
