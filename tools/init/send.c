/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See send.h. What the job has written is walked component by component, never
 * through a symbolic link: it may have put one anywhere. Of symbolic links and
 * special files, of which some are overlayfs's marks of deletions, only the names go.
 */
#define _GNU_SOURCE
#include "send.h"
#include "port.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRATCH_LAYER "/scratch/upper"
#define MERGED        "/new"
#define OPAQUE        "trusted.overlay.opaque" /* a folder that hides the one that was there */

/* Where the walk is, as the job sees it. Longer than any path: it is not opened then. */
static char place[PATH_MAX + NAME_MAX + 2];

static void send_entry(uint8_t type, uint32_t mode, const char *name)
{
	char payload[sizeof(uint32_t) + NAME_MAX];
	size_t length = strnlen(name, NAME_MAX);

	memcpy(payload, &mode, sizeof(mode));
	memcpy(payload + sizeof(mode), name, length);
	port_put(type, payload, sizeof(mode) + length);
}

static struct wire_time time_of(const struct stat *st)
{
	return (struct wire_time){ .seconds = st->st_mtim.tv_sec,
				   .nanoseconds = st->st_mtim.tv_nsec };
}

static void send_end(uint64_t size, const struct stat *st)
{
	const struct wire_end end = { .size = size, .time = time_of(st) };

	port_put(WIRE_END, &end, sizeof(end));
}

static void send_leave(const struct stat *st)
{
	const struct wire_time time = time_of(st);

	port_put(WIRE_LEAVE, &time, sizeof(time));
}

/* From one offset to another, between which there is data. */
static void send_data(int fd, off_t from, off_t to, const char *name)
{
	char payload[WIRE_MAX];
	uint64_t offset;
	ssize_t n;

	for (; from < to; from += n) {
		size_t most = sizeof(payload) - sizeof(offset);

		n = pread(fd, payload + sizeof(offset),
			  to - from < (off_t)most ? (size_t)(to - from) : most, from);
		if (n <= 0)
			give_up("cannot read %s in the guest: %s", name, strerror(n ? errno : EIO));
		offset = (uint64_t)from;
		memcpy(payload, &offset, sizeof(offset));
		port_put(WIRE_DATA, payload, sizeof(offset) + (size_t)n);
	}
}

static void send_file(int fd, const struct stat *st, const char *name, const char *shown)
{
	off_t from, to = 0;

	send_entry(WIRE_FILE, st->st_mode & 07777, name);
	for (;;) {
		from = lseek(fd, to, SEEK_DATA);
		if (from < 0 && errno == ENXIO)
			break;
		to = from < 0 ? -1 : lseek(fd, from, SEEK_HOLE);
		if (to < 0)
			give_up("cannot read %s in the guest: %s", shown, strerror(errno));
		send_data(fd, from, to, shown);
	}
	send_end((uint64_t)st->st_size, st);
}

static void send_at(int folder, const char *at, const char *name, const char *shown);

/* One component after the other: the job may have put links anywhere. */
static int open_merged(const char *path)
{
	int fd = open(MERGED, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];

	for (path += strspn(path, "/"); fd >= 0 && *path; path += strspn(path, "/")) {
		size_t length = strcspn(path, "/");
		int next = -1;

		if (length <= NAME_MAX) {
			memcpy(name, path, length);
			name[length] = '\0';
			next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		close(fd);
		fd = next;
		path += length;
	}
	return fd;
}

/*
 * A folder of this machine's that the job has renamed has in the scratch layer only what is new,
 * and a word of where the rest is: all of it is sent then.
 */
static int whole_folder(int fd, const char *shown)
{
	char value[1];
	int merged;

	if (fgetxattr(fd, "trusted.overlay.redirect", value, 0) <= 0)
		return fd;
	merged = open_merged(place);
	if (merged < 0)
		give_up("cannot bring %s out of the guest: %s", shown, strerror(errno));
	close(fd);
	return merged;
}

/* Returns the place's length before. */
static size_t enter(const char *name)
{
	size_t length = strlen(place), more = strlen(name);

	if (length + 1 + more < sizeof(place)) {
		place[length] = '/';
		memcpy(place + length + 1, name, more + 1);
	}
	return length;
}

/* Takes the file descriptor. */
static void send_folder(int fd, const struct stat *st, const char *name, const char *shown)
{
	DIR *dir;
	struct dirent *entry;

	fd = whole_folder(fd, shown);
	dir = fdopendir(fd);
	if (!dir)
		give_up("cannot read %s in the guest: %s", shown, strerror(errno));
	send_entry(WIRE_FOLDER, st->st_mode & 07777, name);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			size_t length = enter(entry->d_name);

			send_at(fd, entry->d_name, entry->d_name, entry->d_name);
			place[length] = '\0';
		}
	send_leave(st);
	closedir(dir);
}

/* Overlayfs marks what was deleted by a device of this number. */
static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static void send_left(const struct stat *st, const char *name)
{
	send_entry(WIRE_LEFT, is_whiteout(st) ? 0 : st->st_mode & S_IFMT, name);
}

static bool is_opaque(int folder)
{
	char value;

	return fgetxattr(folder, OPAQUE, &value, 1) == 1 && value == 'y';
}

/* What is there in a folder, by a name that the host gets. shown: for people. */
static void send_at(int folder, const char *at, const char *name, const char *shown)
{
	struct stat st;
	int fd;

	if (fstatat(folder, at, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		send_left(&st, name);
		return;
	}
	fd = openat(folder, at, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		give_up("cannot bring %s out of the guest: %s", shown, strerror(errno));
	if (!S_ISDIR(st.st_mode)) {
		send_file(fd, &st, name, shown);
		close(fd);
		return;
	}
	if (is_opaque(fd))
		send_left(&st, name);
	send_folder(fd, &st, name, shown);
}

/* The folder that path's last component is in, and that component; -1: there is none. */
static int open_parent(const char *path, char last[NAME_MAX + 1])
{
	int fd = open(SCRATCH_LAYER, O_PATH | O_DIRECTORY | O_CLOEXEC);

	strcpy(last, ".");
	while (fd >= 0) {
		size_t length;
		int next;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (!length)
			return fd;
		next = openat(fd, last, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
		if (length > NAME_MAX || (length == 2 && !strncmp(path, "..", 2)))
			break;
		memcpy(last, path, length);
		last[length] = '\0';
		path += length;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

bool send_written(uint32_t which, const char *path)
{
	char last[NAME_MAX + 1];
	int folder = open_parent(path, last);
	struct stat st;
	bool is_there;

	if (folder < 0)
		return false;
	is_there = !fstatat(folder, last, &st, AT_SYMLINK_NOFOLLOW);
	if (is_there) {
		port_put(WIRE_NAMED, &which, sizeof(which));
		place[0] = '\0';
		enter(path);
		send_at(folder, last, "", path);
	}
	close(folder);
	return is_there && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

void send_special(uint32_t which, const char *path)
{
	char payload[WIRE_MAX];
	struct stat st;
	uint64_t offset = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return;
	port_put(WIRE_NAMED, &which, sizeof(which));
	send_entry(WIRE_FILE, 0644, "");
	while ((n = read(fd, payload + sizeof(offset), sizeof(payload) - sizeof(offset))) > 0) {
		memcpy(payload, &offset, sizeof(offset));
		port_put(WIRE_DATA, payload, sizeof(offset) + (size_t)n);
		offset += (uint64_t)n;
	}
	send_end(offset, &st);
	close(fd);
}

/* --- JIT maps ------------------------------------------------------------------------------ */

#define JIT_FOLDER "/tmp"

static bool is_jit_map(const char *name)
{
	static const char prefix[] = "perf-", suffix[] = ".map";
	size_t digits;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	digits = strspn(name + strlen(prefix), "0123456789");
	return digits && !strcmp(name + strlen(prefix) + digits, suffix);
}

/* The next one in a folder, or NULL. */
static const char *next_jit_map(DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)))
		if ((entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN) &&
		    is_jit_map(entry->d_name))
			return entry->d_name;
	return NULL;
}

static DIR *open_maps(const char *folder, struct stat *st)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || fstat(fd, st) ? NULL : fdopendir(fd);
}

void send_jit_maps(uint32_t which)
{
	struct stat st;
	DIR *dir = open_maps(SCRATCH_LAYER JIT_FOLDER, &st);
	const char *name = dir ? next_jit_map(dir) : NULL;

	if (name) {
		port_put(WIRE_NAMED, &which, sizeof(which));
		send_entry(WIRE_FOLDER, 0755, "");
		for (; name; name = next_jit_map(dir))
			send_at(dirfd(dir), name, name, name);
		send_leave(&st);
	}
	if (dir)
		closedir(dir);
}

static void place_map(int from, int to, const char *name)
{
	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	char data[16384];
	ssize_t n;

	while (in >= 0 && out >= 0 && (n = read(in, data, sizeof(data))) > 0)
		write_all(out, data, (size_t)n);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
}

void place_jit_maps(const char *folder)
{
	char path[PATH_MAX];
	struct stat st;
	int to = open("/new" JIT_FOLDER, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *name;
	DIR *dir;

	snprintf(path, sizeof(path), "/new%s", folder);
	dir = open_maps(path, &st);
	while (dir && to >= 0 && (name = next_jit_map(dir)))
		place_map(dirfd(dir), to, name);
	if (dir)
		closedir(dir);
	if (to >= 0)
		close(to);
}
