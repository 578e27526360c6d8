/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See sampler.h.
 */
#define _GNU_SOURCE
#include "sampler.h"

#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static pid_t thread;
static void (*on_overflow)(int fd, uint32_t number);

/* perf's attr.sig_data, for which the C library's siginfo has no name: it follows the address. */
static uint32_t number_of(const siginfo_t *info)
{
	unsigned long data;

	memcpy(&data, &info->si_addr + 1, sizeof(data));
	return (uint32_t)data;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	int error = errno;

	(void)context;
	if (number == SIGTRAP)
		on_overflow(-1, number_of(info));
	else
		on_overflow(number == SIGIO ? -1 : info->si_fd, SAMPLER_UNKNOWN);
	errno = error;
}

static int open_event(struct perf_event_attr *attr)
{
	attr->size = sizeof(*attr);
	return (int)syscall(SYS_perf_event_open, attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int find_signal(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.exclude_kernel = 1,
		.sigtrap = 1,
		.remove_on_exec = 1,
	};
	int fd = open_event(&attr);

	if (fd < 0)
		return SIGRTMIN;
	close(fd);
	return SIGTRAP;
}

int sampler_signal(void)
{
	static int signal;

	if (!signal)
		signal = find_signal();
	return signal;
}

bool sampler_prepare(void (*handler)(int fd, uint32_t number))
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	thread = gettid();
	on_overflow = handler;
	return !sigaction(sampler_signal(), &action, NULL) && !sigaction(SIGIO, &action, NULL);
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* The page, if totals can be read by it. */
static struct perf_event_mmap_page *map_page(int fd)
{
	struct perf_event_mmap_page *page = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (page->cap_user_rdpmc)
		return page;
	munmap(page, page_size());
	return NULL;
}

/* An overflow is a signal to this thread that names the event. */
static bool ask_for_signal(int fd)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = thread };

	return !fcntl(fd, F_SETOWN_EX, &owner) && !fcntl(fd, F_SETSIG, SIGRTMIN) &&
	       !fcntl(fd, F_SETFL, O_ASYNC | O_RDONLY);
}

bool sampler_open(struct sampler *sampler, uint32_t number, enum subject_events events,
		  uint64_t period, bool page)
{
	struct perf_event_attr attr = work_kinds[events].attr;
	bool traps = sampler_signal() == SIGTRAP;

	attr.sample_period = period;
	attr.exclude_kernel = 1;
	attr.exclude_hv = 1;
	attr.sigtrap = traps;
	attr.remove_on_exec = traps;
	attr.sig_data = number;
	*sampler = SAMPLER_NONE;
	sampler->fd = open_event(&attr);
	if (sampler->fd < 0)
		return false;
	if (!traps && !ask_for_signal(sampler->fd)) {
		sampler_close(sampler);
		return false;
	}
	if (page && events == EVENTS_HARDWARE)
		sampler->page = map_page(sampler->fd);
	return true;
}

void sampler_close(struct sampler *sampler)
{
	if (sampler->page)
		munmap(sampler->page, page_size());
	if (sampler->fd >= 0)
		close(sampler->fd);
	*sampler = SAMPLER_NONE;
}

static uint64_t read_total(const struct sampler *sampler)
{
	uint64_t total = 0;

	if (read(sampler->fd, &total, sizeof(total)) != sizeof(total))
		return 0;
	return total;
}

#if defined(__x86_64__)
/* The kernel's protocol for the page: again if it has changed meanwhile. */
static uint64_t page_total(const struct perf_event_mmap_page *page)
{
	uint64_t total;
	uint32_t lock;

	do {
		uint32_t index;

		lock = __atomic_load_n(&page->lock, __ATOMIC_ACQUIRE);
		index = __atomic_load_n(&page->index, __ATOMIC_RELAXED);
		total = (uint64_t)__atomic_load_n(&page->offset, __ATOMIC_RELAXED);
		if (index) {
			unsigned int unused = 64u - page->pmc_width;
			uint64_t counter = (uint64_t)__rdpmc((int)index - 1);

			total += (uint64_t)((int64_t)(counter << unused) >> unused);
		}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&page->lock, __ATOMIC_RELAXED) != lock);
	return total;
}
#endif

uint64_t sampler_total(const struct sampler *sampler)
{
#if defined(__x86_64__)
	if (sampler->page)
		return page_total(sampler->page);
#endif
	return read_total(sampler);
}

bool sampler_period(const struct sampler *sampler, uint64_t period)
{
	return !ioctl(sampler->fd, PERF_EVENT_IOC_PERIOD, &period);
}

void sampler_disable(const struct sampler *sampler)
{
	ioctl(sampler->fd, PERF_EVENT_IOC_DISABLE, 0);
}

void sampler_enable(const struct sampler *sampler)
{
	ioctl(sampler->fd, PERF_EVENT_IOC_ENABLE, 0);
}
