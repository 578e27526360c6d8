/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs a job with the same random numbers and the same time of day each time.
 */
#ifndef VPMU_TOOLS_FIXED_H
#define VPMU_TOOLS_FIXED_H

#include <stdbool.h>
#include <sys/types.h>

/* In the job's own process, before it gives up root. False: errno says why. */
bool fixed_enter(void);

/*
 * In the parent of that process: serve it and its descendants until it ends.
 * Once it is served, a byte goes to the gate. False: errno says why; else *status
 * is the job's wait status.
 */
bool fixed_serve(pid_t job, int gate, int *status);

/* Fill a file with random numbers that are the same each time. */
bool fixed_write(const char *path, size_t size);

#endif
