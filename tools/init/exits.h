/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How processes have ended that are not ours to wait for.
 */
#ifndef VPMU_TOOLS_EXITS_H
#define VPMU_TOOLS_EXITS_H

#include <sys/types.h>

/* Note from now on how each process of this PID namespace ends. Does nothing if it cannot. */
void exits_record(void);

/* The wait status of the last child of parent that a signal has ended; 0: there is none. */
int exits_by_signal(pid_t parent);

#endif
