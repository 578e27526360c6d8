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
	PUMP_STATUS,       /* the job has ended; status is its wait status */
	PUMP_ERROR,        /* the guest could not do the job; the reason is on stderr */
	PUMP_GONE,         /* the guest has ended without a word */
	PUMP_NOT_RESTORED, /* so has one that waited for its job, before that ran */
	PUMP_SILENT,       /* the guest has not said a word, and will not */
	PUMP_NONSENSE,     /* the guest has sent what is no frame, or none at its place */
	PUMP_INTERRUPTED,  /* by a signal that was not for the job, or one after that */
};

/* Written by signal handlers. */
struct pump_signals {
	volatile sig_atomic_t number; /* of the last one that asks to end */
	volatile sig_atomic_t count;
	volatile sig_atomic_t resized; /* the terminal has another size */
};

/* What is on the host's side of the pump. */
struct pump_host {
	const char *job; /* strings, each ended by a NUL (init/init.c) */
	size_t job_size;
	const char *ahead; /* what the guest is to read ahead (files.h) */
	size_t ahead_size;
	bool restored; /* the guest waits for its job already */
	/* Called when it begins to wait, if it does not yet. */
	void (*waits)(void);
	bool input;    /* stdin is the job's */
	bool terminal; /* the job has one, which shows what is typed here */
	struct bring_out *bring_out;
	/* Sees what the job writes to stdout and stderr, by their numbers; may be NULL. */
	void (*printed)(int fd, const char *data, size_t size);
	/* Asked about once a second as long as the guest is silent: will it remain so? */
	bool (*is_dead)(void);
	int instead_of_term; /* the signal that the job gets for SIGTERM; 0: that one */
	struct pump_signals *signals;
	const sigset_t *mask; /* the signals let in while waiting, and only then */
};

/*
 * Send the job; move its output to stdout and stderr, its files to bring_out and stdin to it,
 * until it or something else ends. The first SIGINT or SIGTERM that comes while the job runs
 * is the job's.
 */
enum pump_end pump(int guest, const struct pump_host *host, int *status);

#endif
