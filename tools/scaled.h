/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which of perf stat's counts are extrapolated: events that are more than the counters take
 * turns, and perf multiplies what it has seen. It says so only by a percentage behind each, or
 * in a field of it. What it prints is read here in passing, in each of its forms.
 */
#ifndef VPMU_TOOLS_SCALED_H
#define VPMU_TOOLS_SCALED_H

#include <stdbool.h>
#include <stddef.h>

struct scaled {
	char separator[16]; /* of -x; empty: none was asked for */
	bool begun;         /* the command's own output has ended, perf's has begun */
	char line[1024];    /* of a longer one the rest is left out */
	size_t have;
	unsigned int events; /* lines of those that have not been counted all the time */
	double least;        /* percent */
};

/* words: the perf command and what is behind it. */
void scaled_begin(struct scaled *scaled, char *const *words);

/* More of perf's output. */
void scaled_take(struct scaled *scaled, const char *data, size_t size);

/* No more comes: warn about what was seen. */
void scaled_end(struct scaled *scaled);

#endif
