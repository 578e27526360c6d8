/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is made of the samples: figures of one exit.
 */
#ifndef VPMU_BENCH_VMEXIT_FIGURES_H
#define VPMU_BENCH_VMEXIT_FIGURES_H

#include "bench/lib/measure.h"

/* Of an event that the host counts. */
struct figures_count {
	double each;         /* of one exit; NAN: not counted */
	double small, large; /* of undisturbed batches */
	double undisturbed;  /* part of the batches that had just these, 0 to 1 */
	bool is_whole;
};

/*
 * From batches of two sizes, in exits; what does not depend on the number of exits cancels. An
 * interrupt adds to its batch, and each adds something else. So of each size that value counts
 * which batches agree on: the least one that comes at least half as often as the most frequent one.
 * Sorts the samples.
 */
struct figures_count figures_count(struct measure_samples *small, uint32_t small_exits,
				   struct measure_samples *large, uint32_t large_exits);

/* Percent that a figure is over the one with the PMU off. */
double figures_over(double figure, double off);

#endif
