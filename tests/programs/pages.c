/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A loop that touches a page in each turn, which is there or is to come by a page
 * fault. In two threads, for rr: pages threads there|fresh. Or sampled by its conditional
 * branches, of which perf's raw event is given: pages signals there|fresh 1c4. Counts before
 * and in the loop and each signal's turn are printed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE         4096ul
#define THREAD_PAGES 3000ul
#define SIGNAL_PAGES 5000ul
#define PERIOD       1000

static int there;
static int event;
static volatile long long turns[SIGNAL_PAGES];
static volatile unsigned int signals;

static char *new_pages(unsigned long count)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (there ? MAP_POPULATE : 0);
	char *pages = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

/* The turns that are left are in R8. */
static void touch(char *page, unsigned long count)
{
	register unsigned long left __asm__("r8") = count;

	__asm__ volatile("1: movb $1, (%0)\n\t"
			 "add $4096, %0\n\t"
			 "dec %1\n\t"
			 "jnz 1b"
			 : "+r"(page), "+r"(left)
			 :
			 : "memory", "cc");
}

static void *thread(void *unused)
{
	char *pages = new_pages(THREAD_PAGES);

	if (pages)
		touch(pages, THREAD_PAGES);
	return unused;
}

static int run_threads(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, thread, NULL))
			return 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* Without a conditional branch, which would be counted. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;

	(void)number, (void)info;
	turns[signals++] = interrupted->uc_mcontext.gregs[REG_R8];
}

static int open_event(unsigned long config)
{
	const struct f_owner_ex owner = { F_OWNER_TID, gettid() };
	struct perf_event_attr attr = {
		.type = PERF_TYPE_RAW,
		.size = sizeof(attr),
		.config = config,
		.sample_period = PERIOD,
		.disabled = 1,
		.exclude_kernel = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd < 0 || fcntl(fd, F_SETFL, O_ASYNC) || fcntl(fd, F_SETSIG, SIGUSR1) ||
	    fcntl(fd, F_SETOWN_EX, &owner))
		return -1;
	return fd;
}

static int run_signals(unsigned long config)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	char *pages = new_pages(SIGNAL_PAGES);
	uint64_t before, after;

	event = open_event(config);
	if (event < 0 || !pages || sigaction(SIGUSR1, &action, NULL))
		return 1;
	ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
	if (read(event, &before, sizeof(before)) != sizeof(before))
		return 1;
	touch(pages, SIGNAL_PAGES);
	if (read(event, &after, sizeof(after)) != sizeof(after))
		return 1;
	ioctl(event, PERF_EVENT_IOC_DISABLE, 0);
	printf("%llu before, %llu in it, turns left", (unsigned long long)before,
	       (unsigned long long)(after - before));
	for (unsigned int i = 0; i < signals; i++)
		printf(" %lld", turns[i]);
	putchar('\n');
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	there = !strcmp(argv[2], "there");
	return argc == 3 ? run_threads() : run_signals(strtoul(argv[3], NULL, 16));
}
