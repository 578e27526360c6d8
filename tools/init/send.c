/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See send.h. What the job has written is walked component by component, never
 * through a symbolic link: it may have put one anywhere. Symbolic links and
 * special files, of which some are overlayfs's marks of deletions, stay here.
 */
#define _GNU_SOURCE
#include "send.h"
#include "port.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRATCH_LAYER "/scratch/upper"
#define MERGED        "/new"

/* Where the walk is, as the job sees it. Longer than any path: it is not opened then. */
static char place[PATH_MAX + NAME_MAX + 2];

static void send_entry(uint8_t type, mode_t mode, const char *name)
{
	char payload[sizeof(uint32_t) + NAME_MAX];
	uint32_t bits = mode & 07777;
	size_t length = strnlen(name, NAME_MAX);

	memcpy(payload, &bits, sizeof(bits));
	memcpy(payload + sizeof(bits), name, length);
	port_send(type, payload, sizeof(bits) + length);
}

static void send_number(uint8_t type, uint64_t number)
{
	port_send(type, &number, sizeof(number));
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
		port_send(WIRE_DATA, payload, sizeof(offset) + (size_t)n);
	}
}

static void send_file(int fd, const struct stat *st, const char *name, const char *shown)
{
	off_t from, to = 0;

	send_entry(WIRE_FILE, st->st_mode, name);
	for (;;) {
		from = lseek(fd, to, SEEK_DATA);
		if (from < 0 && errno == ENXIO)
			break;
		to = from < 0 ? -1 : lseek(fd, from, SEEK_HOLE);
		if (to < 0)
			give_up("cannot read %s in the guest: %s", shown, strerror(errno));
		send_data(fd, from, to, shown);
	}
	send_number(WIRE_END, (uint64_t)st->st_size);
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
	send_entry(WIRE_FOLDER, st->st_mode, name);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			size_t length = enter(entry->d_name);

			send_at(fd, entry->d_name, entry->d_name, entry->d_name);
			place[length] = '\0';
		}
	port_send(WIRE_LEAVE, "", 0);
	closedir(dir);
}

/* What is there in a folder, by a name that the host gets. shown: for people. */
static void send_at(int folder, const char *at, const char *name, const char *shown)
{
	struct stat st;
	int fd;

	if (fstatat(folder, at, &st, AT_SYMLINK_NOFOLLOW) ||
	    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	fd = openat(folder, at, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		give_up("cannot bring %s out of the guest: %s", shown, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		send_folder(fd, &st, name, shown);
		return;
	}
	send_file(fd, &st, name, shown);
	close(fd);
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

void send_written(uint32_t which, const char *path)
{
	char last[NAME_MAX + 1];
	int folder = open_parent(path, last);

	if (folder < 0)
		return;
	port_send(WIRE_NAMED, &which, sizeof(which));
	place[0] = '\0';
	enter(path);
	send_at(folder, last, "", path);
	close(folder);
}
