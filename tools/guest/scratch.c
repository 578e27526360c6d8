/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The folder of one run of a throw-away guest. A file in it is locked as long as the run lives:
 * that tells a folder that nobody needs any more from another run's.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "vpmu-"
#define RANDOM "XXXXXX"
#define LOCK   ".vpmu-run"

static int lock = -1;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void remove_tree(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static bool is_ours(int fd, mode_t type)
{
	struct stat st;

	return !fstat(fd, &st) && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid();
}

/* Without the lock it is no folder of a run, or one that is just being made. */
static void sweep_one(int base, const char *name, const char *path)
{
	int folder = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = folder < 0 ? -1 : openat(folder, LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && is_ours(folder, S_IFDIR) && is_ours(fd, S_IFREG) &&
	    !flock(fd, LOCK_EX | LOCK_NB))
		remove_tree(path);
	if (fd >= 0)
		close(fd);
	if (folder >= 0)
		close(folder);
}

static void sweep(const char *base)
{
	DIR *dir = opendir(base);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *path;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
		    strlen(entry->d_name) != strlen(PREFIX RANDOM))
			continue;
		path = text("%s/%s", base, entry->d_name);
		sweep_one(dirfd(dir), entry->d_name, path);
		free(path);
	}
	if (dir)
		closedir(dir);
}

/* Another run may have swept it away between its making and its lock. */
static bool take_lock(const char *folder)
{
	char *path = text("%s/" LOCK, folder);
	struct stat st;

	lock = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (lock < 0)
		fail("%s: %s", path, strerror(errno));
	free(path);
	if (!flock(lock, LOCK_EX) && !fstat(lock, &st) && st.st_nlink)
		return true;
	close(lock);
	return false;
}

void scratch_make(struct scratch *scratch, const struct guest_options *options)
{
	const char *base = getenv("TMPDIR");

	base = base && *base ? base : "/tmp";
	sweep(base);
	do {
		scratch->folder = text("%s/" PREFIX RANDOM, base);
		if (!mkdtemp(scratch->folder)) {
			const char *folder = scratch->folder;

			scratch->folder = NULL;
			fail("%s: %s", folder, strerror(errno));
		}
	} while (!take_lock(scratch->folder));
	scratch->initramfs = text("%s/initramfs", scratch->folder);
	scratch->log = text("%s/log", scratch->folder);
	scratch->console = options->console ? text("%s", options->console)
					    : text("%s/console", scratch->folder);
}

void scratch_remove(struct scratch *scratch)
{
	if (scratch->folder)
		remove_tree(scratch->folder);
	scratch->folder = NULL;
	if (lock >= 0)
		close(lock);
	lock = -1;
}
