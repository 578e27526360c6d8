/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One perf event of the baselines: the stand-in of work.h on this thread, sampling,
 * with an overflow signal. As few system calls as there can be.
 *
 * The signal is SIGTRAP where the kernel has events that send it: the cheapest, but several
 * overflows may be one. Else it is a file's realtime signal: these are queued.
 */
#ifndef VPMU_BENCH_PMI_SAMPLER_H
#define VPMU_BENCH_PMI_SAMPLER_H

#include "subject.h"

struct perf_event_mmap_page;

struct sampler {
	int fd;
	struct perf_event_mmap_page *page; /* NULL: totals are read by a system call */
};

#define SAMPLER_NONE ((struct sampler){ .fd = -1 })

static inline bool sampler_is_open(const struct sampler *sampler)
{
	return sampler->fd >= 0;
}

/* SIGTRAP or SIGRTMIN. */
int sampler_signal(void);

#define SAMPLER_UNKNOWN UINT32_MAX

/*
 * On the thread that will use samplers: from now on overflows go to this handler. A SIGTRAP
 * has the number of one sampler that has overflowed (and fd is -1), a realtime signal its
 * fd (and number is SAMPLER_UNKNOWN). Where the kernel could not queue one it says so by
 * SIGIO, which has neither.
 */
bool sampler_prepare(void (*handler)(int fd, uint32_t number));

/*
 * Overflows after period occurrences, and after each period more. number: the caller's
 * name for it. page: read the total from user space if the kernel allows it.
 */
bool sampler_open(struct sampler *sampler, uint32_t number, enum subject_events events,
		  uint64_t period, bool page);
void sampler_close(struct sampler *sampler);
uint64_t sampler_total(const struct sampler *sampler);
bool sampler_period(const struct sampler *sampler, uint64_t period);
void sampler_disable(const struct sampler *sampler);
void sampler_enable(const struct sampler *sampler);

#endif
