/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The event that the guest's counters count, whatever the guest asks for: no machine lacks
 * it, and it is counted exactly. And the system calls that the source makes for it.
 */
#ifndef TESTS_PERF_EVENT_GUEST_EVENT_H
#define TESTS_PERF_EVENT_GUEST_EVENT_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <vpmu/perf_event.h>

/* The sanitizers' own memory causes page faults, and one of them holds signals back. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1, DELAYED_SIGNALS = 1 };
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { SANITIZED = 1, DELAYED_SIGNALS = 0 };
#else
enum { SANITIZED = 0, DELAYED_SIGNALS = 0 };
#endif

/* Sanitizers are slow: shorter runs. */
static inline unsigned int rounds(unsigned int number)
{
	return SANITIZED ? number / 20 : number;
}

/*
 * Minor page faults; with a sanitizer, writes to a breakpoint, or, where breakpoints never
 * trigger (some virtual machines), calls of a function with a uprobe.
 */
enum guest_event { FAULTS, WRITES, CALLS };

extern enum guest_event guest_event;

/* Finds out which. Why the machine has none of them; NULL: it has one. */
const char *guest_event_choose(void);

/* Say in attr what it is. */
void guest_event_describe(struct perf_event_attr *attr);
/* The same for a source's options. */
bool map_event(const struct vpmu_perf_event_options *options, const struct vpmu_event *event,
	       struct perf_event_attr *attr);

/* This thread's memory that happen() uses. */
void happen_start(void);
void happen_end(void);
/* The event happens n times. */
void happen(size_t n);
/* Memory in which the event happens when the kernel writes to it for the guest. */
void *happen_in_kernel(void);

/* This thread's system calls, counted on their way to the kernel, and the last event opened. */
struct calls {
	unsigned int opens, reads, periods, ioctls;
	struct perf_event_attr opened;
};

extern _Thread_local struct calls calls;

/* As on some machines, the kernel refuses periods shorter than this (EINVAL). */
extern _Thread_local uint64_t refused_below;

#endif
