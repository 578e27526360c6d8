/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a throw-away guest comes to wait for its job: it boots, and is kept as a snapshot if it can
 * be (snapshot.h); or it is restored from one.
 */
#ifndef VPMU_TOOLS_GUEST_LAUNCH_H
#define VPMU_TOOLS_GUEST_LAUNCH_H

#include "guest.h"

struct launched {
	pid_t qemu;
	int streams;   /* an end of the guest's port */
	bool restored; /* it waits for its job already */
};

/* Fails with one line. before: the signal mask of what is started. */
struct launched launch(struct guest_options *options, const struct guest_job *job,
		       const struct qemu *qemu, const struct scratch *scratch,
		       const sigset_t *before);

/* The guest begins to wait for its job: now it is saved, unless a signal comes. */
void launch_save(void);

/* What the guest was restored from is no good: the next one boots. */
void launch_discard(void);

/* Ends the guest, and what serves it files. */
void launch_end(void);

#endif
