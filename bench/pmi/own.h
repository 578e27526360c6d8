/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The library's own part of a PMI: a plan over totals in memory, by direct calls, with
 * nothing of the replay engine between the two readings of the clock.
 */
#ifndef VPMU_BENCH_PMI_OWN_H
#define VPMU_BENCH_PMI_OWN_H

#include "replay.h"

/* Starts as all zero; runs are added up. Times are ticks. */
struct own {
	size_t pmis;
	size_t lost;
	struct measure_samples pmi; /* service at the overflow, then each access and its service */
	struct measure_samples service; /* service at the overflow alone */
};

/* plan: made for EVENTS_MEMORY. PMIs of the warm-up are not among the samples. */
void own_run(const struct plan *plan, size_t warm_up, struct own *own);
void own_free(struct own *own);

#endif
