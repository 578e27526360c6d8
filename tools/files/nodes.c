/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See nodes.h. What stands at a place may change while the guest runs: whatever is not the same
 * file any more is refused as stale.
 */
#define _GNU_SOURCE
#include "nodes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define OPEN_FILES 64
#define LISTINGS   8

struct node {
	char *name;
	uint64_t folder; /* its node; 0: the root's */
	dev_t device;
	ino_t inode;
	bool closed;   /* the guest has its own in there */
	uint32_t next; /* of the same hash; 0: none */
};

/* By number; 0 is none. */
static struct node *nodes;
static uint64_t node_count, node_room;

/* By folder and name: a power of two of them, as many as there are nodes at least. */
static uint32_t *table;
static size_t table_size;

static struct {
	uint64_t node;
	int fd;
} open_files[OPEN_FILES];

static struct listing listings[LISTINGS];
static size_t next_listing;

static void *grow(void *memory, size_t count, size_t size)
{
	void *grown = reallocarray(memory, count, size);

	/* The guest has asked for more than there is: it ends with this. */
	if (!grown)
		abort();
	return grown;
}

static char *copy(const char *name)
{
	char *copied = strdup(name);

	if (!copied)
		abort();
	return copied;
}

static size_t hash(uint64_t folder, const char *name)
{
	uint64_t value = folder * 0x9e3779b97f4a7c15u;

	for (; *name; name++)
		value = (value ^ (unsigned char)*name) * 0x100000001b3u;
	return (size_t)(value ^ value >> 32) & (table_size - 1);
}

static void link_node(uint32_t number)
{
	size_t at = hash(nodes[number].folder, nodes[number].name);

	nodes[number].next = table[at];
	table[at] = number;
}

static void grow_tables(void)
{
	node_room = node_room ? 2 * node_room : 4096;
	nodes = grow(nodes, node_room, sizeof(*nodes));
	free(table);
	table_size = node_room;
	table = calloc(table_size, sizeof(*table));
	if (!table)
		abort();
	for (uint64_t i = NODE_ROOT + 1; i < node_count; i++)
		link_node((uint32_t)i);
}

static uint64_t add(uint64_t folder, const char *name, const struct stat *st, bool closed)
{
	if (node_count == node_room)
		grow_tables();
	nodes[node_count] = (struct node){ .name = copy(name),
					   .folder = folder,
					   .device = st->st_dev,
					   .inode = st->st_ino,
					   .closed = closed };
	if (folder)
		link_node((uint32_t)node_count);
	return node_count++;
}

static void begin(void)
{
	const struct stat none = { 0 };
	struct stat st;

	if (node_count)
		return;
	for (size_t i = 0; i < OPEN_FILES; i++)
		open_files[i].fd = -1;
	if (stat("/", &st))
		st = none;
	add(0, "", &none, false);
	add(0, "", &st, false);
}

static bool exists(uint64_t node)
{
	begin();
	return node >= NODE_ROOT && node < node_count;
}

/* "" is the root's. False: it is too long. */
static bool path_of(uint64_t node, char path[PATH_MAX])
{
	char *at = path + PATH_MAX - 1;

	*at = '\0';
	for (; node > NODE_ROOT; node = nodes[node].folder) {
		size_t length = strlen(nodes[node].name);

		if ((size_t)(at - path) < length + 1)
			return false;
		at -= length;
		memcpy(at, nodes[node].name, length);
		*--at = '/';
	}
	memmove(path, at, strlen(at) + 1);
	return true;
}

bool node_path(uint64_t node, char path[PATH_MAX])
{
	return exists(node) && path_of(node, path);
}

uint64_t node_folder(uint64_t node)
{
	return exists(node) ? nodes[node].folder : 0;
}

/* These show this machine's kernel and processes; the guest has its own. */
static bool is_closed(uint64_t folder, const struct stat *st, const char *path)
{
	struct statfs fs;

	if (st->st_dev == nodes[folder].device || !S_ISDIR(st->st_mode) || statfs(path, &fs))
		return false;
	return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC;
}

static bool is_same(const struct node *node, const struct stat *st)
{
	return node->device == st->st_dev && node->inode == st->st_ino;
}

static uint64_t find_or_add(uint64_t folder, const char *name, const struct stat *st,
			    const char *path)
{
	for (uint32_t i = table[hash(folder, name)]; i; i = nodes[i].next)
		if (nodes[i].folder == folder && is_same(&nodes[i], st) &&
		    !strcmp(nodes[i].name, name))
			return i;
	return add(folder, name, st, is_closed(folder, st, path));
}

static bool is_name(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/') &&
	       strlen(name) <= NAME_MAX;
}

int node_find(uint64_t folder, const char *name, uint64_t *node, struct stat *st)
{
	char path[PATH_MAX];
	size_t length;

	if (!exists(folder) || !is_name(name))
		return EINVAL;
	if (nodes[folder].closed)
		return ENOENT;
	if (!path_of(folder, path))
		return ENAMETOOLONG;
	length = strlen(path);
	if (length + 1 + strlen(name) >= PATH_MAX)
		return ENAMETOOLONG;
	path[length] = '/';
	strcpy(path + length + 1, name);
	if (fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		return errno;
	*node = find_or_add(folder, name, st, path);
	return 0;
}

int node_stat(uint64_t node, struct stat *st)
{
	char path[PATH_MAX];

	if (!exists(node))
		return ESTALE;
	if (!path_of(node, path))
		return ENAMETOOLONG;
	if (lstat(*path ? path : "/", st))
		return errno;
	return node == NODE_ROOT || is_same(&nodes[node], st) ? 0 : ESTALE;
}

/* A file or a folder that is still what it was. A pipe or a device is never opened. */
static int open_node(uint64_t node, mode_t type, int flags, int *fd)
{
	char path[PATH_MAX];
	struct stat st;
	int error = 0;

	if (!path_of(node, path))
		return ENAMETOOLONG;
	error = node_stat(node, &st);
	if (error)
		return error;
	if ((st.st_mode & S_IFMT) != type)
		return EINVAL;
	*fd = open(*path ? path : "/",
		   flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0)
		return errno;
	if (fstat(*fd, &st) || (node != NODE_ROOT && !is_same(&nodes[node], &st)))
		error = ESTALE;
	if (error)
		close(*fd);
	return error;
}

int node_open(uint64_t node, int *fd)
{
	size_t at = node % OPEN_FILES;
	int error;

	if (!exists(node))
		return ESTALE;
	if (open_files[at].fd >= 0 && open_files[at].node == node) {
		*fd = open_files[at].fd;
		return 0;
	}
	error = open_node(node, S_IFREG, 0, fd);
	if (error)
		return error;
	if (open_files[at].fd >= 0)
		close(open_files[at].fd);
	open_files[at].node = node;
	open_files[at].fd = *fd;
	return 0;
}

int node_read_link(uint64_t node, char *target, size_t room, size_t *length)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n;
	int error = node_stat(node, &st);

	if (error)
		return error;
	if (!path_of(node, path))
		return ENAMETOOLONG;
	n = readlink(path, target, room);
	if (n < 0)
		return errno;
	*length = (size_t)n;
	return 0;
}

static void free_listing(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->entries[i].name);
	free(listing->entries);
	*listing = (struct listing){ .folder = 0 };
}

static void add_entry(struct listing *listing, const struct dirent *entry)
{
	/* There is room for a power of two; it doubles when it is full. */
	if (!(listing->count & (listing->count - 1)))
		listing->entries = grow(listing->entries, listing->count ? 2 * listing->count : 1,
					sizeof(*listing->entries));
	listing->entries[listing->count++] = (struct listing_entry){ .name = copy(entry->d_name),
								     .inode = entry->d_ino,
								     .type = entry->d_type };
}

static int read_folder(uint64_t folder, struct listing *listing)
{
	struct dirent *entry;
	DIR *dir;
	int fd, error = open_node(folder, S_IFDIR, O_DIRECTORY, &fd);

	if (error)
		return error;
	dir = fdopendir(fd);
	if (!dir)
		return errno;
	while ((entry = readdir(dir)))
		if (!nodes[folder].closed || !is_name(entry->d_name))
			add_entry(listing, entry);
	closedir(dir);
	listing->folder = folder;
	return 0;
}

int node_list(uint64_t folder, bool again, const struct listing **listing)
{
	struct listing *to = NULL;
	int error;

	if (!exists(folder))
		return ESTALE;
	for (size_t i = 0; i < LISTINGS; i++)
		if (listings[i].folder == folder)
			to = &listings[i];
	*listing = to;
	if (to && !again)
		return 0;
	if (!to) {
		to = &listings[next_listing];
		next_listing = (next_listing + 1) % LISTINGS;
	}
	free_listing(to);
	error = read_folder(folder, to);
	*listing = to;
	return error;
}
