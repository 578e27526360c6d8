/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See seen.h. What the guest makes up for it costs memory: there is an end to that.
 */
#define _GNU_SOURCE
#include "seen.h"
#include "nodes.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX  (4u << 20)
#define RANGES_MAX 200000u
#define NAMES_MAX  20000u

/* A list costs what so many names of the folder do. */
#define NAMES_PER_LIST 4u

struct seen_node {
	bool listed, named, linked;
	uint32_t names; /* asked for in it, one by one */
};

static struct seen_node *nodes;
static uint64_t room;

static struct range {
	uint64_t node, offset, size;
} * ranges;
static size_t range_count;

/* What is not there. */
static struct {
	uint64_t folder;
	char *name;
} * missing;
static size_t missing_count;

static struct seen_node *find(uint64_t node)
{
	uint64_t more = node < 2 * room ? 2 * room : node + 4096;
	struct seen_node *grown;

	if (node < room)
		return &nodes[node];
	grown = reallocarray(nodes, more, sizeof(*nodes));
	if (!grown)
		abort();
	memset(grown + room, 0, (more - room) * sizeof(*nodes));
	nodes = grown;
	room = more;
	return &nodes[node];
}

void seen_list(uint64_t folder)
{
	find(folder)->listed = true;
}

void seen_link(uint64_t node)
{
	find(node)->linked = true;
}

void seen_name(uint64_t folder, const char *name, uint64_t node)
{
	if (node) {
		find(folder)->names += !find(node)->named;
		find(node)->named = true;
		return;
	}
	if (missing_count == NAMES_MAX)
		return;
	if (!missing)
		missing = calloc(NAMES_MAX, sizeof(*missing));
	if (!missing)
		abort();
	missing[missing_count].folder = folder;
	missing[missing_count++].name = strdup(name);
}

void seen_content(uint64_t node, uint64_t offset, uint64_t size)
{
	if (range_count == RANGES_MAX)
		return;
	if (!ranges)
		ranges = calloc(RANGES_MAX, sizeof(*ranges));
	if (!ranges)
		abort();
	ranges[range_count++] = (struct range){ node, offset, size };
}

static void put(FILE *file, char what, uint64_t node, const char *name)
{
	char path[PATH_MAX];

	if (ftell(file) > (long)BYTES_MAX || !node_path(node, path))
		return;
	fprintf(file, "%c%s%s%s%c", what, path, name ? "/" : "", name ? name : "", 0);
}

/* Was most of it asked for? */
static bool is_worth_a_list(uint64_t folder)
{
	const struct listing *listing;

	if (nodes[folder].listed)
		return true;
	return nodes[folder].names > NAMES_PER_LIST && !node_list(folder, false, &listing) &&
	       listing->count <= NAMES_PER_LIST * nodes[folder].names;
}

static int by_place(const void *a, const void *b)
{
	const struct range *left = a, *right = b;

	if (left->node != right->node)
		return left->node < right->node ? -1 : 1;
	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* Those of one file; returns the first that is another's. */
static size_t put_ranges(FILE *file, size_t at)
{
	uint64_t node = ranges[at].node;

	put(file, 'r', node, NULL);
	while (at < range_count && ranges[at].node == node) {
		uint64_t start = ranges[at].offset, end = start;

		for (; at < range_count && ranges[at].node == node && ranges[at].offset <= end;
		     at++)
			if (ranges[at].offset + ranges[at].size > end)
				end = ranges[at].offset + ranges[at].size;
		fprintf(file, "%llu %llu ", (unsigned long long)start,
			(unsigned long long)(end - start));
	}
	fputc('\0', file);
	return at;
}

void seen_write(int fd)
{
	FILE *file = fdopen(fd, "w");

	if (!file)
		return;
	for (uint64_t i = NODE_ROOT; i < room; i++)
		if (is_worth_a_list(i)) {
			nodes[i].listed = true;
			put(file, 'd', i, NULL);
		}
	for (uint64_t i = NODE_ROOT; i < room; i++) {
		if (nodes[i].named && !nodes[node_folder(i)].listed)
			put(file, 'n', i, NULL);
		if (nodes[i].linked)
			put(file, 'l', i, NULL);
	}
	for (size_t i = 0; i < missing_count; i++)
		put(file, 'n', missing[i].folder, missing[i].name);
	if (range_count)
		qsort(ranges, range_count, sizeof(*ranges), by_place);
	for (size_t at = 0; at < range_count && ftell(file) <= (long)BYTES_MAX;)
		at = put_ranges(file, at);
	fclose(file);
}
