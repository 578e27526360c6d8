/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How long the phases of a run take, for --verbose.
 */
#ifndef VPMU_TOOLS_GUEST_PHASES_H
#define VPMU_TOOLS_GUEST_PHASES_H

#include <stdbool.h>
#include <stdint.h>

/* The first phase begins. */
void phases_begin(void);

/* A phase ends, and the next one begins. name: a constant text. */
void phases_end(const char *name);

/*
 * A part of the phase that goes on has ended in the guest, by the guest's monotonic clock. Its part
 * before that began when the guest's clock did; or is not known, where the guest was restored.
 */
void phases_guest(const char *name, int64_t nanoseconds);
void phases_guest_restored(void);

/* One line each, on stderr. */
void phases_print(void);

#endif
