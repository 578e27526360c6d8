/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See event.h; perf_event_open(2), and the comments on struct
 * perf_event_mmap_page in linux/perf_event.h.
 */
#define _GNU_SOURCE
#include "event.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The control page, and one of records, which has to be a power of two of them. */
#define RECORD_PAGES 1

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t mapping_size(void)
{
	return page_size() * (1 + RECORD_PAGES);
}

static int send_signal(int fd, int signal)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };

	if (fcntl(fd, F_SETOWN_EX, &owner) < 0 || fcntl(fd, F_SETSIG, signal) < 0 ||
	    fcntl(fd, F_SETFL, O_ASYNC) < 0)
		return errno;
	return 0;
}

/*
 * The kernel sends it itself, on the thread's way back to user space. Records wake
 * nobody up then: that would take the interrupt that this way does without.
 */
static void ask_for_sigtrap(struct perf_event_attr *attr)
{
	attr->sigtrap = 1;
	attr->remove_on_exec = 1;
	attr->watermark = 1;
	attr->wakeup_watermark = UINT32_MAX;
}

/* So that it does not cause page faults later, which may be what is counted. */
static struct perf_event_mmap_page *fault_in(void *mapping)
{
	struct perf_event_mmap_page *page = mapping;

	*(volatile __u64 *)&page->data_tail = 0;
	(void)*((volatile char *)mapping + page_size());
	return page;
}

int vpmu_pe_event_open(struct event *event, const struct perf_event_attr *attr, int cpu, int signal,
		       int *trouble)
{
	struct perf_event_attr full = *attr;
	void *page;
	int error;

	full.size = sizeof(full);
	full.disabled = 1;
	full.sample_period = EVENT_IDLE_PERIOD;
	full.sample_type = PERF_SAMPLE_READ;
	full.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
	if (signal == SIGTRAP)
		ask_for_sigtrap(&full);
	*event = event_none();
	*trouble = 0;
	event->fd = (int)syscall(SYS_perf_event_open, &full, 0, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (event->fd < 0)
		return errno;
	page = mmap(NULL, mapping_size(), PROT_READ | PROT_WRITE, MAP_SHARED, event->fd, 0);
	if (page == MAP_FAILED)
		*trouble = errno;
	else
		event->page = fault_in(page);
	error = signal && signal != SIGTRAP ? send_signal(event->fd, signal) : 0;
	/* Last: what is done here may cause the very event, and is not the guest's. */
	if (!error && ioctl(event->fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		error = errno;
	if (error)
		vpmu_pe_event_close(event);
	return error;
}

void vpmu_pe_event_close(struct event *event)
{
	if (event->page)
		munmap(event->page, mapping_size());
	if (event->fd >= 0)
		close(event->fd);
	*event = event_none();
}

int vpmu_pe_event_read(const struct event *event, struct event_count *count)
{
	ssize_t size = read(event->fd, count, sizeof(*count));

	if (size == (ssize_t)sizeof(*count))
		return 0;
	return size < 0 ? errno : EIO;
}

#if defined(__x86_64__) || defined(__i386__)
static uint64_t rdpmc(uint32_t counter)
{
	uint32_t low, high;

	__asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(counter));
	return (uint64_t)high << 32 | low;
}

bool vpmu_pe_event_has_user_reads(const struct event *event)
{
	return event->page && event->page->cap_user_rdpmc;
}
#else
static uint64_t rdpmc(uint32_t counter)
{
	(void)counter;
	return 0;
}

bool vpmu_pe_event_has_user_reads(const struct event *event)
{
	(void)event;
	return false;
}
#endif

static int64_t sign_extend(uint64_t value, unsigned int width)
{
	return (int64_t)(value << (64 - width)) >> (64 - width);
}

bool vpmu_pe_event_read_user(const struct event *event, uint64_t *value)
{
	const volatile struct perf_event_mmap_page *page = event->page;
	uint32_t lock, index;

	if (!vpmu_pe_event_has_user_reads(event))
		return false;
	do {
		lock = page->lock;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		index = page->index;
		/* The event is not in a counter now, or may no longer be read this way. */
		if (!index || !page->cap_user_rdpmc)
			return false;
		*value = (uint64_t)page->offset +
			 (uint64_t)sign_extend(rdpmc(index - 1), page->pmc_width);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	} while (page->lock != lock);
	return true;
}

int vpmu_pe_event_set_period(const struct event *event, uint64_t period)
{
	int error = 0;

	if (event->software && ioctl(event->fd, PERF_EVENT_IOC_DISABLE, 0) < 0)
		error = errno;
	if (ioctl(event->fd, PERF_EVENT_IOC_PERIOD, &period) < 0)
		error = errno;
	if (event->software && ioctl(event->fd, PERF_EVENT_IOC_ENABLE, 0) < 0)
		error = errno;
	return error;
}

/* A record's bytes, which may go round the end of the records' space. */
static void copy_out(const struct event *event, uint64_t at, void *to, size_t size)
{
	const struct perf_event_mmap_page *page = event->page;
	const char *records = (const char *)page + page->data_offset;
	size_t space = (size_t)page->data_size;
	size_t start = (size_t)(at & (space - 1));
	size_t first = size < space - start ? size : space - start;

	memcpy(to, records + start, first);
	memcpy((char *)to + first, records, size - first);
}

static void take_record(const struct event *event, uint64_t at, uint32_t type,
			struct event_news *news)
{
	uint64_t body[2];

	/* Every kind that is looked into has at least these bytes. */
	copy_out(event, at + sizeof(struct perf_event_header), body, sizeof(body));
	switch (type) {
	case PERF_RECORD_SAMPLE:
		news->value = body[0];
		news->overflows++;
		break;
	case PERF_RECORD_LOST:
		news->lost += body[1];
		break;
	case PERF_RECORD_THROTTLE:
		news->throttles++;
		news->throttled = true;
		break;
	case PERF_RECORD_UNTHROTTLE:
		news->throttled = false;
		break;
	default:
		break;
	}
}

void vpmu_pe_event_take_records(struct event *event, struct event_news *news)
{
	struct perf_event_header header;
	uint64_t head;

	if (!event->page || !event_has_records(event))
		return;
	head = __atomic_load_n(&event->page->data_head, __ATOMIC_ACQUIRE);
	for (uint64_t at = event->tail; at < head; at += header.size) {
		copy_out(event, at, &header, sizeof(header));
		/* No kernel writes that; the rest could not be told apart. */
		if (header.size < sizeof(header))
			break;
		take_record(event, at, header.type, news);
	}
	__atomic_store_n(&event->tail, head, __ATOMIC_RELAXED);
	__atomic_store_n(&event->page->data_tail, head, __ATOMIC_RELEASE);
}
