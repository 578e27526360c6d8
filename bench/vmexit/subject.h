/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A guest that exits by one instruction, with its PMU in one state, and what has been measured of
 * it. It has a thread of its own: KVM counts for a guest with perf events of the thread that runs
 * it, and would count the other guests of that thread as well.
 */
#ifndef VPMU_BENCH_VMEXIT_SUBJECT_H
#define VPMU_BENCH_VMEXIT_SUBJECT_H

#include "bench/lib/measure.h"
#include "counters.h"
#include "pmu.h"
#include "vm.h"

#include <pthread.h>
#include <semaphore.h>

/* Exits between two looks at the host's counters: what is more with the larger one is the exits'.
 */
enum subject_batch { BATCH_SMALL, BATCH_LARGE, BATCHES };
extern const uint32_t subject_turns[BATCHES];

enum subject_work {
	SUBJECT_START, /* the guest, and its counters */
	SUBJECT_TIME,  /* some exits */
	SUBJECT_COUNT, /* what the host's kernel does in batches of exits */
	SUBJECT_END,
};

/* What is to be known of the exits of all rounds; the caller's. */
struct subject_figures {
	struct measure_samples ticks; /* one an exit */
	struct measure_samples counts[BATCHES][COUNTERS_EVENTS];
	bool counted[COUNTERS_EVENTS];
	int counter_error[COUNTERS_EVENTS];
	uint64_t own[BATCHES]; /* what the guest's counter has counted in a batch */
};

struct subject {
	struct vm_plan plan;
	struct guest_write writes[PMU_WRITES];
	uint32_t counter; /* the guest's; 0: none counts */
	const struct bench_vmexit *wanted;
	struct subject_figures *figures;
	/* Its own. */
	struct vm vm;
	struct counters counters;
	pthread_t thread;
	bool has_thread;
	sem_t go, done;
	enum subject_work work;
	const char *error;
};

/*
 * NULL, or one line that says what went wrong. After SUBJECT_START, even one that went wrong, there
 * has to be a SUBJECT_END.
 */
const char *subject_do(struct subject *subject, enum subject_work work);

#endif
