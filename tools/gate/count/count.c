/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu gate's program in the guest: runs a command and counts what it does, by process name, to
 * the last instruction (group.h). Started as root, for the kernel's tracepoints; the command is
 * the user's.
 *
 *     vpmu-count FILE UID GID GROUP,... COMMAND...
 *
 * The groups may be an empty word.
 */
#define _GNU_SOURCE
#include "group.h"
#include "user.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct process {
	char name[GROUP_NAME + 1];
	uint64_t counts[COUNT_EVENTS];
};

static struct process *processes;
static size_t process_count;

static __attribute__((noreturn)) void give_up(const char *what, const char *why)
{
	fprintf(stderr, "vpmu-count: %s: %s\n", what, why);
	exit(1);
}

static struct process *process_of(const char *name)
{
	for (size_t i = 0; i < process_count; i++)
		if (!strcmp(processes[i].name, name))
			return &processes[i];
	processes = realloc(processes, (process_count + 1) * sizeof(*processes));
	if (!processes)
		give_up(name, "no memory");
	memset(&processes[process_count], 0, sizeof(*processes));
	strcpy(processes[process_count].name, name);
	return &processes[process_count++];
}

/* Our own part, which is the fork of the command before it is the command, too, is none. */
static void take_slices(void)
{
	struct group_slice slice;
	bool lost = false;

	while (group_next(&slice, &lost)) {
		struct process *process;

		if (!slice.is_ours || !strcmp(slice.name, program_invocation_short_name))
			continue;
		process = process_of(slice.name);
		for (int i = 0; i < COUNT_EVENTS; i++)
			process->counts[i] += slice.counts[i];
	}
	if (lost)
		give_up("the counts", "some are lost");
}

static pid_t start(char **argv)
{
	pid_t child = fork();

	if (child)
		return child;
	start_as_user(argv + 2);
}

static int await(pid_t child, int counters)
{
	struct pollfd polled[] = {
		{ .fd = counters, .events = POLLIN },
		{ .fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN },
	};
	int status;

	if (polled[1].fd < 0)
		give_up("the command", strerror(errno));
	while (!polled[1].revents)
		if (poll(polled, 2, -1) > 0 && polled[0].revents)
			take_slices();
	waitpid(child, &status, 0);
	return status;
}

static void write_name(FILE *to, const char *name)
{
	for (; *name; name++)
		if (isprint((unsigned char)*name) && *name != '\\')
			fputc(*name, to);
		else
			fprintf(to, "\\x%02x", (unsigned char)*name);
	fputc('\n', to);
}

static void write_counts(const char *path, int status)
{
	FILE *to = fopen(path, "we");

	if (!to)
		give_up(path, strerror(errno));
	fprintf(to, "status %d\n", status);
	for (size_t i = 0; i < process_count; i++) {
		fprintf(to, "process");
		for (int event = 0; event < COUNT_EVENTS; event++)
			fprintf(to, " %llu", (unsigned long long)processes[i].counts[event]);
		fputc(' ', to);
		write_name(to, processes[i].name);
	}
	if (fclose(to))
		give_up(path, strerror(errno));
}

int main(int argc, char **argv)
{
	const char *why;
	int counters, status;
	pid_t child;

	if (argc < 6)
		give_up("usage", "vpmu-count FILE UID GID GROUP,... COMMAND...");
	counters = group_open(&why);
	if (counters < 0)
		give_up(why, errno ? strerror(errno) : "the kernel does not count them");
	child = start(argv);
	if (child < 0)
		give_up("the command", strerror(errno));
	status = await(child, counters);
	group_stop();
	take_slices();
	write_counts(argv[1], status);
	return 0;
}
