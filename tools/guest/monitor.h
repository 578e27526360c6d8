/* SPDX-License-Identifier: BSD-2-Clause
 *
 * QEMU's monitor (QEMU, docs/interop/qmp-spec.rst), as far as a guest is saved by it.
 */
#ifndef VPMU_TOOLS_GUEST_MONITOR_H
#define VPMU_TOOLS_GUEST_MONITOR_H

#include <signal.h>
#include <stdbool.h>

/*
 * Saves all of a guest but its memory in a file; it is stopped then. False: it is not saved, as
 * QEMU does not, or a signal has come. mask: the signals let in while waiting.
 */
bool monitor_save(int connection, const char *path, const sigset_t *mask);

/* Lets it go on. */
bool monitor_continue(int connection, const sigset_t *mask);

#endif
