/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See watchdog.h. By the time that QEMU has had on a processor, not by the clock: a busy machine
 * makes a guest slow, and a guest that waits for nothing uses none.
 */
#define _GNU_SOURCE
#include "watchdog.h"
#include "tools/util.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A guest starts with about 4 s of a processor; under a KVM that is emulated, with some 60. */
#define MOST_BUSY 600.0

/* Seconds without as much as a hundredth of a processor. */
#define MOST_IDLE 30.0
#define IDLE      0.01

static pid_t process;
static double busy;  /* seconds on a processor that were seen, ... */
static gint64 since; /* ... at this time */

/* Of all its threads. -1: unknown. */
static double seconds_busy(void)
{
	FILE *file = fopen(text("/proc/%d/stat", (int)process), "re");
	unsigned long user, system;
	char line[1024];
	const char *at = NULL;

	if (file && fgets(line, sizeof(line), file))
		at = strrchr(line, ')');
	if (file)
		fclose(file);
	/* Behind the name: state, 10 numbers, and the two. */
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			  &system) != 2)
		return -1;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

void watchdog_begin(pid_t qemu)
{
	process = qemu;
	busy = 0;
	since = g_get_monotonic_time();
}

bool watchdog_is_dead(void)
{
	double now = seconds_busy();
	double passed = (double)(g_get_monotonic_time() - since) / G_USEC_PER_SEC;

	if (now < 0)
		return false;
	if (now - busy > IDLE * MOST_IDLE) {
		busy = now;
		since = g_get_monotonic_time();
		return now > MOST_BUSY;
	}
	return passed > MOST_IDLE;
}
