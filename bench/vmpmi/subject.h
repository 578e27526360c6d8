/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A guest that samples so many events, and what has been measured of it. On the calling thread.
 */
#ifndef VPMU_BENCH_VMPMI_SUBJECT_H
#define VPMU_BENCH_VMPMI_SUBJECT_H

#include "bench/lib/measure.h"
#include "bench/vmexit/counters.h"
#include "bench/vmexit/pmu.h"
#include "bench/vmexit/vm.h"
#include "guest.h"
#include "probes.h"

/* Events that share counters take turns after so many PMIs: at 1 kHz each, as often as Linux's. */
#define SUBJECT_TURN 24

/* What is measured, one after the other. */
enum subject_step {
	STEP_EXIT, /* to user space and back: a part of each other one */
	STEP_PMI,
	STEP_TURN, /* each counter gets the next event */
	STEPS,
};

struct subject_figures {
	struct measure_samples instructions[STEPS]; /* of the host's kernel */
	/* Of so many PMIs, with the turns between them; and of so many turns. */
	uint64_t pmis, turns;
	uint64_t of_pmis[PROBES], of_turns[PROBES];
	/* Moves from one CPU to another, with a PMI after each. */
	uint64_t moves, of_moves[PROBES];
	int counter_error, probe_error[PROBES]; /* errno; 0: there are figures */
};

struct subject_plan {
	int kvm;
	const struct kvm_cpuid2 *cpuid;
	const struct pmu *pmu;
	unsigned int events, counters; /* more events than counters: they take turns */
	bool floor;                    /* no PMU: what else there is to be done at such a PMI */
	unsigned int rounds;           /* of all steps */
	unsigned int moves;
};

/* NULL, or one line that says what went wrong. */
const char *subject_measure(const struct subject_plan *plan, struct subject_figures *figures);
void subject_figures_free(struct subject_figures *figures);

#endif
