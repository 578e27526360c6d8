/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How the benchmarks measure: the time stamp counter, one pinned CPU, warm-up,
 * candidates in turn, and what becomes of the samples. Knows nothing of what it
 * measures, and prints nothing.
 */
#ifndef VPMU_BENCH_LIB_MEASURE_H
#define VPMU_BENCH_LIB_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/*
 * The clock: ticks of the time stamp counter, which run at a constant rate that
 * need not be the core's; nanoseconds on machines that have none. Nothing before
 * measure_begin() is still going on after it, and nothing before measure_end()
 * is left out by it.
 */
static inline uint64_t measure_begin(void)
{
#if defined(__x86_64__)
	uint64_t now;

	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

static inline uint64_t measure_end(void)
{
#if defined(__x86_64__)
	unsigned int cpu;
	uint64_t now = __rdtscp(&cpu);

	_mm_lfence();
	return now;
#else
	return measure_begin();
#endif
}

/* Seconds of the monotonic clock: for what takes long. */
double measure_now(void);

/* Ticks per second; measured once, which takes some 20 ms. */
double measure_frequency(void);

/*
 * The core's own cycles per second at this moment, from a chain of dependent
 * additions, one a cycle; 0 where nobody knows how.
 */
double measure_core_frequency(void);

/* Ticks as nanoseconds. */
double measure_ns(double ticks);

/*
 * Keep the calling thread on a CPU; -1: the one that it is on. Returns the CPU, or
 * -1 with errno set.
 */
int measure_pin(int cpu);

/* Samples of one figure. Starts as all zero. */
struct measure_samples {
	double *values;
	size_t count;
	size_t room;
};

/* What becomes of them; by nearest rank. All 0 without samples. */
struct measure_statistics {
	size_t count;
	double minimum;
	double median;
	double p99;
};

void measure_add(struct measure_samples *samples, double value);
struct measure_statistics measure_statistics(struct measure_samples *samples);
void measure_free(struct measure_samples *samples);

/* What the machine's counters say, where it has them (user level, this thread). */
enum measure_counter {
	MEASURE_INSTRUCTIONS,
	MEASURE_BRANCH_MISSES,
	MEASURE_COUNTERS,
};

struct measure_counters {
	int fd[MEASURE_COUNTERS]; /* -1: there is none, see error */
	int error[MEASURE_COUNTERS];
	uint64_t value[MEASURE_COUNTERS]; /* between start and stop */
};

void measure_counters_open(struct measure_counters *counters);
void measure_counters_start(struct measure_counters *counters);
void measure_counters_stop(struct measure_counters *counters);
void measure_counters_close(struct measure_counters *counters);

/* One of several things that are measured in turn. */
struct measure_candidate {
	/* Do it count times; what is timed. */
	void (*run)(void *argument, unsigned long count);
	/* NULL, or what is to be done before each run, and is not timed. */
	void (*prepare)(void *argument);
	void *argument;
	/* Filled in: ticks, and counts where there are counters, each per time. */
	struct measure_samples ticks;
	bool counted[MEASURE_COUNTERS];
	double counts[MEASURE_COUNTERS];
};

struct measure_plan {
	unsigned int warm_up; /* rounds that are not looked at */
	unsigned int repeat;  /* rounds that are: samples of each candidate */
	unsigned long count;  /* passed to run */
	double seconds;       /* 0, or more rounds until that much time is over */
	/* NULL, or called after each round. */
	void (*progress)(void *argument, unsigned int done, unsigned int all);
	void *argument;
};

/*
 * Every round runs each candidate once, starting with another one each time, so
 * that what else happens on the machine meets them all. Counts come from a round
 * of their own, since reading a counter would disturb the times.
 */
void measure_run(const struct measure_plan *plan, struct measure_candidate *candidates,
		 size_t count);

#endif
