/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Room on this machine's disk for what a throw-away guest writes and its memory does not hold. It
 * takes what is used of it, and nobody else can open it: it has no name.
 */
#ifndef VPMU_TOOLS_GUEST_ROOM_H
#define VPMU_TOOLS_GUEST_ROOM_H

#include <stdbool.h>

/* A file descriptor of a swap device's content, to be read and written; -1 if there can be none. */
int room_open(const char *folder);

/* Whether the guest has written anything there. */
bool room_is_used(int room);

#endif
