/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program for vpmu bench guest to time: those of guest/bench_work.h, system
 * calls, and processes. Prints "turn NAME TICKS" for each turn, by the time stamp
 * counter, and "pmis NAME N": PMIs that the kernel has had meanwhile, where it says so.
 */
#define _GNU_SOURCE
#include "bench_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define TURNS_MAX 1000
#define CALLS     5000
#define PROCESSES 10

static uint64_t run_syscalls(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < CALLS; i++)
		sum += (uint64_t)syscall(SYS_getppid);
	return sum;
}

static uint64_t run_processes(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < PROCESSES; i++) {
		int status = -1;
		pid_t pid = fork();

		if (!pid)
			_exit(1);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			exit(1);
		sum += (uint64_t)status;
	}
	return sum;
}

static const struct bench_work own[] = {
	{ "syscalls", run_syscalls },
	{ "processes", run_processes },
};

static const struct bench_work *find(const char *name)
{
	for (size_t i = 0; i < bench_works_count; i++)
		if (!strcmp(bench_works[i].name, name))
			return &bench_works[i];
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!strcmp(own[i].name, name))
			return &own[i];
	return NULL;
}

/* The line "PMI:" of /proc/interrupts, over all processors. */
static unsigned long pmis(void)
{
	FILE *file = fopen("/proc/interrupts", "re");
	unsigned long sum = 0;
	char line[4096];

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strstr(line, "PMI:"), *end;

		for (at = at ? at + 4 : NULL; at; at = end) {
			unsigned long n = strtoul(at, &end, 10);

			if (end == at)
				break;
			sum += n;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

static uint64_t now(void)
{
	uint64_t ticks;

	_mm_lfence();
	ticks = __rdtsc();
	_mm_lfence();
	return ticks;
}

static void measure(const struct bench_work *work, int turns)
{
	static uint64_t ticks[TURNS_MAX];
	volatile uint64_t sum = work->run() + work->run();
	unsigned long before = pmis();

	for (int i = 0; i < turns; i++) {
		uint64_t from = now();

		sum += work->run();
		ticks[i] = now() - from;
	}
	before = pmis() - before;
	(void)sum;
	for (int i = 0; i < turns; i++)
		printf("turn %s %lu\n", work->name, ticks[i]);
	printf("pmis %s %lu\n", work->name, before);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int turns = argc > 2 ? atoi(argv[1]) : 0;

	for (int i = 2; i < argc; i++)
		if (!find(argv[i]))
			turns = 0;
	if (turns < 1 || turns > TURNS_MAX) {
		fprintf(stderr, "usage: bench_guest TURNS PROGRAM...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		measure(find(argv[i]), turns);
	return 0;
}
