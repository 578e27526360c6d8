/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A group of perf events of one CPU, which the kernel writes into a ring each time that the CPU
 * switches tasks or a task gets another name. So what is between two of these is one task's, under
 * one name, to the last instruction.
 */
#ifndef VPMU_TOOLS_GATE_GROUP_H
#define VPMU_TOOLS_GATE_GROUP_H

#include "count.h"

#include <stdbool.h>
#include <stdint.h>

/* The size of a task's name in the kernel. */
#define GROUP_NAME 16

/* What a task has counted until it was left, or was named anew. */
struct group_slice {
	char name[GROUP_NAME + 1];
	bool is_ours; /* the task is in the caller's PID namespace */
	uint64_t counts[COUNT_EVENTS];
};

/* Open it, and begin to count. Returns the file descriptor to poll, or -1 with a text in *why. */
int group_open(const char **why);

/* The next slice that is in the ring; false: there is none. *lost: some could not be written. */
bool group_next(struct group_slice *slice, bool *lost);

void group_stop(void);

#endif
