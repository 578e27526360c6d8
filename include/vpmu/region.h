/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counting a part of a program: between these two calls, and not before and after them. It is
 * perf that counts (perf stat, perf record); vpmu perf --regions starts it so. Header only, for
 * programs with a C library; it links to nothing.
 *
 * perf is told through two named pipes, by its own option --control. Their names are in the
 * environment variable VPMU_CONTROL, separated by a comma. Without vpmu the same is:
 *
 *	mkfifo control answer
 *	export VPMU_CONTROL=control,answer
 *	perf stat -D -1 --control fifo:control,answer -- PROGRAM
 */
#ifndef VPMU_REGION_H
#define VPMU_REGION_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Send perf a command of its --control, which ends with a newline, and wait until it has
 * followed it. The two below are all that most programs need.
 *
 * Returns 0, or -1 with errno set: ENOENT if nobody has said where perf listens.
 *
 * Context: any thread, but one at a time. It may block, and keeps two file descriptors.
 */
static inline int vpmu_region_say(const char *command)
{
	static int control = -1, answer = -1;
	const char *names = getenv("VPMU_CONTROL");
	const char *comma = names ? strchr(names, ',') : NULL;
	size_t length = comma ? (size_t)(comma - names) : 0;
	char name[256], got = 0;

	if (!length || length >= sizeof(name)) {
		errno = ENOENT;
		return -1;
	}
	memcpy(name, names, length);
	name[length] = '\0';
	if (control < 0)
		control = open(name, O_WRONLY);
	if (answer < 0)
		answer = open(comma + 1, O_RDONLY);
	if (control < 0 || answer < 0)
		return -1;
	length = strlen(command);
	if (write(control, command, length) != (ssize_t)length)
		return -1;
	while (got != '\n')
		if (read(answer, &got, 1) != 1 && errno != EINTR)
			return -1;
	return 0;
}

/*
 * What follows is counted. Returns 0, or -1 with errno set if nobody counts: a program need not
 * care.
 *
 * Context: any thread, but one at a time. It may block.
 */
static inline int vpmu_region_begin(void)
{
	return vpmu_region_say("enable\n");
}

/*
 * What follows is not. Returns as vpmu_region_begin().
 *
 * Context: any thread, but one at a time. It may block.
 */
static inline int vpmu_region_end(void)
{
	return vpmu_region_say("disable\n");
}

#ifdef __cplusplus
}
#endif

#endif
