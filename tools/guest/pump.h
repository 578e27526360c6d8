/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The host's end of the throw-away guest's streams (init/wire.h).
 */
#ifndef VPMU_TOOLS_PUMP_H
#define VPMU_TOOLS_PUMP_H

#include "bring_out.h"

#include <signal.h>
#include <stdbool.h>

enum pump_end {
	PUMP_STATUS,      /* the job has ended; status is its wait status */
	PUMP_ERROR,       /* the guest could not do the job; the reason is on stderr */
	PUMP_GONE,        /* the guest has ended without a word */
	PUMP_NONSENSE,    /* the guest has sent what is no frame, or none at its place */
	PUMP_INTERRUPTED, /* *stop was set */
	PUMP_CLOSED,      /* nobody reads stdout or stderr any more */
};

/*
 * Move the job's output to stdout and stderr, its files to bring_out and, if input is set,
 * stdin to the job, until the job or something else ends. *stop is set by a signal handler;
 * the signals in *mask are let in only while waiting.
 */
enum pump_end pump(int guest, bool input, struct bring_out *bring_out,
		   const volatile sig_atomic_t *stop, const sigset_t *mask, int *status);

#endif
