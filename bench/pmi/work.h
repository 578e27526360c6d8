/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the guest of a replay does: work units, each some occurrences of one event
 * that perf counts the same wherever it runs.
 */
#ifndef VPMU_BENCH_PMI_WORK_H
#define VPMU_BENCH_PMI_WORK_H

#include "subject.h"

#include <linux/perf_event.h>
#include <stddef.h>

struct work_kind {
	const char *name;   /* of the event */
	uint64_t weight;    /* occurrences of the event in a unit */
	unsigned int units; /* between two PMIs */
	unsigned int slack; /* as many more may pass before a PMI counts as lost */
	bool exact;         /* nothing else on the thread is counted */
	struct perf_event_attr attr;
};

extern const struct work_kind work_kinds[EVENTS_KINDS];

/*
 * Make everything ready; NULL, or what is wrong. Holds an event of the kind open, which
 * counts nothing, unless alone is set: the kernel does a lot when the last of a kind is
 * closed and the first one opened (it rewrites its own code, or takes and frees what the
 * PMU needs), which happens only where the guest is the only one to count.
 */
const char *work_begin(enum subject_events events, bool alone);
/* Is there such an event for this user on this machine? NULL, or why not. */
const char *work_available(enum subject_events events);
void work_end(void);

/* Outside of what is measured: there is fresh memory for so many units. */
void work_prepare(unsigned int units);

/* One unit of EVENTS_SOFTWARE or EVENTS_HARDWARE. */
void work_unit(void);

#endif
