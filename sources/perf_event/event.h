/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One perf event of the kernel: opened, read, given a period, closed. Knows
 * nothing of counters and alarms. Not for hosts.
 */
#ifndef VPMU_PERF_EVENT_EVENT_H
#define VPMU_PERF_EVENT_EVENT_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A period that is as good as none, and what an event starts with: minutes, at
 * the pace of instructions. So an alarm further away needs no system call.
 */
#define EVENT_IDLE_PERIOD (UINT64_C(1) << 40)

struct event {
	int fd; /* -1: there is no event */
	/*
	 * The kernel counts it, not a processor; whoever opens it says so. Such an event
	 * overflows once more after the old period when it gets a new one while it runs.
	 */
	bool software;
	struct perf_event_mmap_page *page; /* and the records behind it; NULL: the kernel refused */
	uint64_t tail;                     /* read by signal handlers, too */
};

/* The layout of read_format: the value, and its times in nanoseconds. */
struct event_count {
	uint64_t value;
	uint64_t enabled;
	uint64_t running;
};

/* What the records of an event say. */
struct event_news {
	uint64_t value; /* when it last overflowed; 0: never */
	uint64_t overflows;
	uint64_t throttles;
	uint64_t lost;
	bool throttled; /* stopped by the kernel until it gets a period or the next tick comes */
};

/*
 * Open what attr says on the calling thread, wherever it runs (cpu: -1) or
 * only while it is on cpu. signal: sent to the thread at each overflow, SIGTRAP as
 * an event's own (attr.sigtrap), others as a file's; 0: none.
 * Returns 0 or an errno value; *event is then as event_none(). *trouble: why it has
 * no page; 0 if it has one.
 */
int vpmu_pe_event_open(struct event *event, const struct perf_event_attr *attr, int cpu, int signal,
		       int *trouble);
void vpmu_pe_event_close(struct event *event);

static inline struct event event_none(void)
{
	return (struct event){ .fd = -1 };
}

/* By a system call. 0 or an errno value. */
int vpmu_pe_event_read(const struct event *event, struct event_count *count);
/* By RDPMC. False: not now, or never; vpmu_pe_event_read() then. */
bool vpmu_pe_event_read_user(const struct event *event, uint64_t *value);
/* May the kernel let vpmu_pe_event_read_user() succeed? */
bool vpmu_pe_event_has_user_reads(const struct event *event);

/*
 * Overflow after this many more, and again after each so many. No counts are
 * lost. Safe in a signal handler that does not interrupt it. 0 or an errno value.
 */
int vpmu_pe_event_set_period(const struct event *event, uint64_t period);

/* Take in the records that have come since the last time, and add them to *news. */
void vpmu_pe_event_take_records(struct event *event, struct event_news *news);

/*
 * How far the records have got, those that have been taken in included; of an event
 * with a page. This and what follows is safe anywhere on the thread.
 */
static inline uint64_t event_records(const struct event *event)
{
	return __atomic_load_n(&event->page->data_head, __ATOMIC_ACQUIRE);
}

/* Are there records that have not been taken in? */
static inline bool event_has_records(const struct event *event)
{
	return event_records(event) != __atomic_load_n(&event->tail, __ATOMIC_RELAXED);
}

/* May there be no room for the next record? */
static inline bool event_is_full(const struct event *event)
{
	return event_records(event) - __atomic_load_n(&event->tail, __ATOMIC_RELAXED) >
	       event->page->data_size / 2;
}

#endif
