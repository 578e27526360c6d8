/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See snapshot.h. A file is a header, the places of the guest's pages that are not all zeros, what
 * QEMU has saved, and these pages. It is written under another name, and renamed when it is whole.
 */
#define _GNU_SOURCE
#define XXH_INLINE_ALL
#include "snapshot.h"
#include "tools/util.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define PAGE      4096u
#define KEY_SIZE  64 /* digits */
#define NEW       ".new"
#define STATE_MAX (64u << 20) /* bytes of what QEMU saves: it is a few */

/* What is kept: those used last. */
#define MOST_FILES 16
#define MOST_BYTES (UINT64_C(2) << 30)

struct header {
	char key[KEY_SIZE];
	uint64_t memory_size;
	uint64_t extents; /* how many */
	uint64_t state_size;
	uint64_t file_size;
	uint64_t sum; /* of all that follows */
};

/* Pages that follow each other. In bytes. */
struct extent {
	uint64_t at, size;
};

/* The new one. */
static char *new_path;
static int new_fd = -1;
static char new_key[KEY_SIZE + 1];

/* NULL: snapshots cannot be kept. Whatever is in the folder must be this user's own. */
static const char *get_folder(void)
{
	static char *folder;
	struct stat st;

	if (!folder)
		folder = text("%s/vpmu/starts", g_get_user_cache_dir());
	if (g_mkdir_with_parents(folder, 0700) || lstat(folder, &st) || !S_ISDIR(st.st_mode) ||
	    st.st_uid != geteuid() || st.st_mode & 022)
		return NULL;
	return folder;
}

static bool is_own_file(int fd, struct stat *st)
{
	return !fstat(fd, st) && S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
	       !(st->st_mode & 077);
}

/* --- restoring ----------------------------------------------------------------------------- */

static bool is_good(const struct header *header, const char *key, uint64_t memory_size,
		    uint64_t file_size)
{
	return !memcmp(header->key, key, KEY_SIZE) && header->memory_size == memory_size &&
	       header->file_size == file_size && header->state_size < STATE_MAX &&
	       header->extents < memory_size / PAGE &&
	       file_size >= sizeof(*header) + header->state_size +
				    header->extents * sizeof(struct extent);
}

int snapshot_open(const char *key, uint64_t memory_size)
{
	const char *folder = get_folder();
	struct header header;
	struct stat st;
	int fd;

	if (!folder)
		return -1;
	fd = open(text("%s/%s", folder, key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (is_own_file(fd, &st) && read(fd, &header, sizeof(header)) == sizeof(header) &&
	    is_good(&header, key, memory_size, (uint64_t)st.st_size)) {
		futimens(fd, NULL);
		return fd;
	}
	warn("the guest cannot be restored from its snapshot, which is damaged or not this user's "
	     "alone: it boots");
	close(fd);
	snapshot_remove(key);
	return -1;
}

/* Until QEMU has taken it all. */
static bool hand_over(int pipe, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(pipe, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static bool fill(int memory, const struct header *header, const char *file)
{
	const struct extent *extents = (const void *)(file + sizeof(*header));
	const char *data =
		file + sizeof(*header) + header->extents * sizeof(*extents) + header->state_size;
	uint64_t left = (uint64_t)(file + header->file_size - data);

	for (uint64_t i = 0; i < header->extents; i++) {
		uint64_t at = extents[i].at, size = extents[i].size;

		if (size > left || at > header->memory_size || size > header->memory_size - at)
			return false;
		for (ssize_t n; size; size -= (uint64_t)n, at += (uint64_t)n, data += n) {
			n = pwrite(memory, data, size, (off_t)at);
			if (n <= 0)
				return false;
		}
		left -= extents[i].size;
	}
	return !left;
}

bool snapshot_restore(int snapshot, int memory, int pipe)
{
	const struct header *header;
	const char *file, *state;
	struct stat st;
	bool good;

	if (fstat(snapshot, &st))
		return false;
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, snapshot, 0);
	if (file == MAP_FAILED)
		return false;
	header = (const void *)file;
	state = file + sizeof(*header) + header->extents * sizeof(struct extent);
	good = XXH3_64bits(header + 1, header->file_size - sizeof(*header)) == header->sum &&
	       fill(memory, header, file) && hand_over(pipe, state, header->state_size);
	munmap((void *)(uintptr_t)file, (size_t)st.st_size);
	close(pipe);
	return good;
}

/* --- saving -------------------------------------------------------------------------------- */

static bool is_at(int fd, const char *path)
{
	struct stat here, there;

	return !fstat(fd, &here) && !lstat(path, &there) && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

/* Whoever has its lock makes it, and who is killed leaves it without one. */
bool snapshot_begin(const char *key)
{
	const char *folder = get_folder();

	if (!folder)
		return false;
	new_path = text("%s/%s" NEW, folder, key);
	new_fd = open(new_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	/* It may have been finished, or removed, before it was locked here. */
	if (new_fd >= 0 && !flock(new_fd, LOCK_EX | LOCK_NB) && is_at(new_fd, new_path) &&
	    !ftruncate(new_fd, 0)) {
		memcpy(new_key, key, KEY_SIZE);
		return true;
	}
	if (new_fd >= 0)
		close(new_fd);
	new_fd = -1;
	return false;
}

void snapshot_remove_new(void)
{
	if (new_fd < 0)
		return;
	unlink(new_path);
	close(new_fd);
	new_fd = -1;
}

static bool is_zero(const char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* The pages from at to end, of which all are there. */
static void add_pages(GArray *extents, const char *memory, uint64_t at, uint64_t end)
{
	for (; at < end; at += PAGE) {
		struct extent *last =
			extents->len ? &g_array_index(extents, struct extent, extents->len - 1)
				     : NULL;
		const struct extent extent = { at, PAGE };

		if (is_zero(memory + at))
			continue;
		if (last && last->at + last->size == at)
			last->size += PAGE;
		else
			g_array_append_val(extents, extent);
	}
}

static GArray *find_pages(int memory, const char *at, uint64_t size)
{
	GArray *extents = g_array_new(FALSE, FALSE, sizeof(struct extent));
	off_t start = 0;

	while ((start = lseek(memory, start, SEEK_DATA)) >= 0 && (uint64_t)start < size) {
		off_t end = lseek(memory, start, SEEK_HOLE);

		if (end < 0)
			break;
		add_pages(extents, at, (uint64_t)start, (uint64_t)end);
		start = end;
	}
	return extents;
}

/* Writes a part, and adds it to the sum. */
static bool put(FILE *file, XXH3_state_t *sum, const void *data, size_t size)
{
	XXH3_64bits_update(sum, data, size);
	return fwrite(data, 1, size, file) == size;
}

static bool put_memory(FILE *file, XXH3_state_t *sum, const char *memory, const GArray *extents)
{
	bool good = true;

	for (guint i = 0; good && i < extents->len; i++) {
		const struct extent *extent = &g_array_index(extents, struct extent, i);

		good = put(file, sum, memory + extent->at, extent->size);
	}
	return good;
}

static bool put_all(FILE *file, struct header *header, const char *memory, const GArray *extents,
		    const char *state)
{
	XXH3_state_t *sum = XXH3_createState();
	bool good;

	XXH3_64bits_reset(sum);
	good = fwrite(header, sizeof(*header), 1, file) == 1 &&
	       put(file, sum, extents->data, extents->len * sizeof(struct extent)) &&
	       put(file, sum, state, header->state_size) &&
	       put_memory(file, sum, memory, extents) && !fflush(file);
	header->file_size = (uint64_t)ftello(file);
	header->sum = XXH3_64bits_digest(sum);
	XXH3_freeState(sum);
	return good && pwrite(fileno(file), header, sizeof(*header), 0) == sizeof(*header);
}

static bool write_new(int memory, uint64_t size, const char *state, size_t state_size)
{
	const char *at = mmap(NULL, size, PROT_READ, MAP_SHARED, memory, 0);
	FILE *file = fdopen(dup(new_fd), "w");
	GArray *extents;
	struct header header = { .memory_size = size, .state_size = state_size };
	bool good;

	if (at == MAP_FAILED || !file)
		return false;
	extents = find_pages(memory, at, size);
	memcpy(header.key, new_key, KEY_SIZE);
	header.extents = extents->len;
	good = put_all(file, &header, at, extents, state);
	munmap((void *)(uintptr_t)at, size);
	g_array_free(extents, TRUE);
	return !fclose(file) && good;
}

/* --- what is kept -------------------------------------------------------------------------- */

struct kept {
	char *path;
	struct timespec used;
	uint64_t size;
};

static int compare_used(const void *a, const void *b)
{
	const struct timespec *x = &((const struct kept *)a)->used;
	const struct timespec *y = &((const struct kept *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? 1 : -1;
	return (x->tv_nsec < y->tv_nsec) - (x->tv_nsec > y->tv_nsec);
}

/* One that nobody makes any more. */
static void sweep_new(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && is_at(fd, path))
		unlink(path);
	if (fd >= 0)
		close(fd);
}

static void sweep(const char *folder)
{
	GArray *all = g_array_new(FALSE, FALSE, sizeof(struct kept));
	GDir *dir = g_dir_open(folder, 0, NULL);
	const char *name;
	uint64_t size = 0;

	while (dir && (name = g_dir_read_name(dir))) {
		struct kept kept = { .path = text("%s/%s", folder, name) };
		struct stat st;

		if (g_str_has_suffix(name, NEW))
			sweep_new(kept.path);
		else if (strlen(name) == KEY_SIZE && !lstat(kept.path, &st)) {
			kept.used = st.st_mtim;
			kept.size = (uint64_t)st.st_blocks * 512;
			g_array_append_val(all, kept);
		}
	}
	if (dir)
		g_dir_close(dir);
	g_array_sort(all, compare_used);
	for (guint i = 0; i < all->len; i++) {
		const struct kept *kept = &g_array_index(all, struct kept, i);

		size += kept->size;
		if (i >= MOST_FILES || size > MOST_BYTES)
			unlink(kept->path);
	}
	g_array_free(all, TRUE);
}

bool snapshot_finish(int memory, uint64_t memory_size, const char *state)
{
	const char *folder = get_folder();
	char *data = NULL;
	gsize size = 0;
	bool good = folder && g_file_get_contents(state, &data, &size, NULL) && size < STATE_MAX &&
		    write_new(memory, memory_size, data, size) &&
		    !rename(new_path, text("%s/%s", folder, new_key));

	g_free(data);
	if (!good) {
		snapshot_remove_new();
		return false;
	}
	close(new_fd);
	new_fd = -1;
	sweep(folder);
	return true;
}

void snapshot_remove(const char *key)
{
	const char *folder = get_folder();

	if (folder)
		unlink(text("%s/%s", folder, key));
}
