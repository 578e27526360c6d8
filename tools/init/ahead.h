/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an earlier run of the same command has read of this machine's files (files/seen.h) is read
 * before it starts: all of it at once, which costs far less than one after the other.
 */
#ifndef VPMU_INIT_AHEAD_H
#define VPMU_INIT_AHEAD_H

#include <stddef.h>

/* texts: as seen_write() writes them. root: where the files are. */
void ahead_read(const char *texts, size_t size, const char *root);

#endif
