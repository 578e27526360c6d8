/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What commands have read of this machine's files in guests before (files/seen.h): kept in the
 * user's cache folder, for the next run of the same command in the same folder.
 */
#ifndef VPMU_TOOLS_GUEST_AHEAD_H
#define VPMU_TOOLS_GUEST_AHEAD_H

#include "process/args.h"

#include <stddef.h>

struct ahead {
	char *path; /* NULL: nothing is kept */
	char *key;
	char *texts; /* of the run before; NULL: there was none */
	size_t size;
};

struct ahead ahead_load(const struct args *words);

/* Keeps what the descriptor's file has. What cannot be kept is done without. */
void ahead_keep(const struct ahead *ahead, int fd);

#endif
