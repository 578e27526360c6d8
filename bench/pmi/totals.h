/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A source that counts nothing by itself: totals in memory that its owner moves.
 * It shows what the library costs without any kernel behind it.
 */
#ifndef VPMU_BENCH_PMI_TOTALS_H
#define VPMU_BENCH_PMI_TOTALS_H

#include "bench/lib/registers.h"

struct totals {
	struct vpmu *pmu;
	uint64_t bound; /* a set of counters */
	uint64_t total[COUNTERS];
	uint64_t alarm[COUNTERS];
};

extern const struct vpmu_source_ops totals_ops;

/* The event has happened for these counters. Says whether an alarm has gone off. */
bool totals_add(struct totals *totals, uint64_t counters, uint64_t times);

#endif
