/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What this thread does in the host's kernel, by perf events: the guest's own code and user space
 * are not counted.
 */
#ifndef VPMU_BENCH_VMEXIT_COUNTERS_H
#define VPMU_BENCH_VMEXIT_COUNTERS_H

#include "bench/lib/options.h"

#include <stdint.h>

enum counters_event {
	COUNTERS_INSTRUCTIONS,
	COUNTERS_BRANCHES,
	COUNTERS_CALLS,
	COUNTERS_RETURNS,
	COUNTERS_EVENTS,
};

struct counters {
	int fd[COUNTERS_EVENTS];    /* -1: there is none */
	int error[COUNTERS_EVENTS]; /* errno then; 0: the processor is not known to count it */
};

/* Counts nothing yet. wanted: NULL: instructions alone. */
void counters_open(struct counters *counters, const struct bench_vmexit *wanted);
void counters_start(struct counters *counters);
void counters_stop(struct counters *counters);
/* False: the counters were not there all the time. Those that are absent are 0. */
bool counters_read(const struct counters *counters, uint64_t values[COUNTERS_EVENTS]);
void counters_close(struct counters *counters);

#endif
