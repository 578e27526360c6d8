/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A source that counts nothing by itself: totals in memory that its owner moves.
 * It shows what the library costs without any kernel behind it.
 */
#ifndef VPMU_BENCH_PMI_TOTALS_H
#define VPMU_BENCH_PMI_TOTALS_H

#include <vpmu/vpmu.h>

#define TOTALS 64 /* as many as GLOBAL_CTRL has bits */

struct totals {
	struct vpmu *pmu;
	uint64_t bound; /* GLOBAL_CTRL's layout */
	uint64_t total[TOTALS];
	uint64_t alarm[TOTALS];
};

extern const struct vpmu_source_ops totals_ops;

/* The event has happened for these counters. Says whether an alarm has gone off. */
bool totals_add(struct totals *totals, uint64_t counters, uint64_t times);

#endif
