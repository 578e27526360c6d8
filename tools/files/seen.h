/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a guest has asked for. The next run of the same command asks for most of it again, and
 * gets it all at once, before the command starts (init/ahead.h).
 */
#ifndef VPMU_TOOLS_FILES_SEEN_H
#define VPMU_TOOLS_FILES_SEEN_H

#include <stdint.h>

void seen_list(uint64_t folder);
/* node 0: there is nothing of that name. */
void seen_name(uint64_t folder, const char *name, uint64_t node);
void seen_link(uint64_t node);
void seen_content(uint64_t node, uint64_t offset, uint64_t size);

/*
 * Writes all of it: texts, each ended by a NUL, that begin with what is to be done with the path
 * behind: 'd' list, 'n' look up, 'l' read the link, 'r' read; behind 'r' comes a text of
 * numbers, offset and size in turns.
 */
void seen_write(int fd);

#endif
