/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See work.h.
 */
#define _GNU_SOURCE
#include "work.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Pages that are touched before they are given back. */
#define PAGES 16384

/* Of a loop of two instructions. */
#define ROUNDS 500

const struct work_kind work_kinds[EVENTS_KINDS] = {
	[EVENTS_MEMORY] = { .name = "additions in memory", .weight = 1, .units = 4, .exact = true },
	[EVENTS_SOFTWARE] = { .name = "minor page faults",
			      .weight = 1,
			      .units = 4,
			      .slack = 4,
			      .exact = true,
			      .attr = { .type = PERF_TYPE_SOFTWARE,
					.config = PERF_COUNT_SW_PAGE_FAULTS_MIN } },
	/*
	 * The replay's own instructions are counted, too, by counters that overflow several
	 * PMIs later: the guest's own must be many more, or overflows come in another order.
	 */
	[EVENTS_HARDWARE] = { .name = "user instructions",
			      .weight = 2 * ROUNDS,
			      .units = 400,
			      .slack = 400,
			      .attr = { .type = PERF_TYPE_HARDWARE,
					.config = PERF_COUNT_HW_INSTRUCTIONS } },
};

static struct {
	enum subject_events events;
	int anchor;
	char *pages;
	size_t page_size;
	size_t next;
} work = { .anchor = -1 };

static int open_anchor(enum subject_events events)
{
	struct perf_event_attr attr = work_kinds[events].attr;

	attr.size = sizeof(attr);
	attr.disabled = 1;
	attr.exclude_kernel = 1;
	attr.exclude_hv = 1;
	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static const char *why_not(int error)
{
	switch (error) {
	case ENOENT:
	case EOPNOTSUPP:
	case ENODEV:
		return "this machine has no such counters";
	case EACCES:
	case EPERM:
		return "perf_event_open is not permitted to this user";
	default:
		return strerror(error);
	}
}

const char *work_available(enum subject_events events)
{
	int fd = events == EVENTS_MEMORY ? -1 : open_anchor(events);

	if (events == EVENTS_MEMORY)
		return NULL;
	if (fd < 0)
		return why_not(errno);
	close(fd);
	return NULL;
}

const char *work_begin(enum subject_events events, bool alone)
{
	const char *error = work_available(events);

	if (error)
		return error;
	work.events = events;
	if (events == EVENTS_MEMORY)
		return NULL;
	work.anchor = alone ? -1 : open_anchor(events);
	if (events == EVENTS_HARDWARE)
		return NULL;
	work.page_size = (size_t)sysconf(_SC_PAGESIZE);
	work.next = PAGES;
	work.pages =
		mmap(NULL, PAGES * work.page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (work.pages == MAP_FAILED) {
		work.pages = NULL;
		work_end();
		return "there is no room for the pages that are to be touched";
	}
	/* A huge page would be one fault; where there are none this fails. */
	madvise(work.pages, PAGES * work.page_size, MADV_NOHUGEPAGE);
	return NULL;
}

void work_end(void)
{
	if (work.pages)
		munmap(work.pages, PAGES * work.page_size);
	if (work.anchor >= 0)
		close(work.anchor);
	work.pages = NULL;
	work.anchor = -1;
}

void work_prepare(unsigned int units)
{
	if (work.events != EVENTS_SOFTWARE || PAGES - work.next >= units)
		return;
	madvise(work.pages, PAGES * work.page_size, MADV_DONTNEED);
	work.next = 0;
}

static void loop(void)
{
#if defined(__x86_64__)
	unsigned long rounds = ROUNDS;

	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds));
#else
	for (volatile unsigned long rounds = ROUNDS; rounds; rounds--)
		;
#endif
}

void work_unit(void)
{
	if (work.events == EVENTS_SOFTWARE)
		(void)*(volatile char *)(work.pages + work.next++ * work.page_size);
	else
		loop();
}
