/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which of this machine's files a guest knows of: each has a number, and is found again by where
 * it was. No file is held open for that.
 */
#ifndef VPMU_TOOLS_FILES_NODES_H
#define VPMU_TOOLS_FILES_NODES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define NODE_ROOT 1u

/* Those of int return 0, or an errno. */

/* A name in a folder, and what is there. */
int node_find(uint64_t folder, const char *name, uint64_t *node, struct stat *st);

/* Where it is; "" is the root's. False: it is too long, or there is no such node. */
bool node_path(uint64_t node, char path[PATH_MAX]);
/* 0: the root's. */
uint64_t node_folder(uint64_t node);

int node_stat(uint64_t node, struct stat *st);

/* A regular file's descriptor, which stays the callee's: it is good until the next call. */
int node_open(uint64_t node, int *fd);

/* Without its end marked. */
int node_read_link(uint64_t node, char *target, size_t room, size_t *length);

/* What is in a folder. */
struct listing {
	uint64_t folder;
	size_t count;
	struct listing_entry {
		char *name;
		uint64_t inode;
		unsigned char type; /* DT_... */
	} * entries;
};

/* The list stays the callee's: it is good until the next call. again: as it is now. */
int node_list(uint64_t folder, bool again, const struct listing **listing);

#endif
