/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Copying files and folders. Part of vpmu perf and of its guest's init.
 */
#define _GNU_SOURCE
#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static bool copy_data(int in, int out)
{
	static char data[65536];

	for (;;) {
		ssize_t n = read(in, data, sizeof(data));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		if (!write_all(out, data, (size_t)n))
			return false;
	}
}

static bool copy_file(const char *from, const char *to, mode_t mode)
{
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good = out >= 0 && copy_data(in, out) && !fchmod(out, mode & 0777);
	int error = errno;

	if (out >= 0 && close(out) && good) {
		good = false;
		error = errno;
	}
	if (in >= 0)
		close(in);
	errno = error;
	return good;
}

static bool copy_below(const char *from, const char *to, const char *name)
{
	char *below_from = NULL, *below_to = NULL;
	bool good = asprintf(&below_from, "%s/%s", from, name) >= 0 &&
		    asprintf(&below_to, "%s/%s", to, name) >= 0 && copy_tree(below_from, below_to);
	int error = errno;

	free(below_from);
	free(below_to);
	errno = error;
	return good;
}

static bool copy_folder(const char *from, const char *to, mode_t mode)
{
	bool good = !mkdir(to, mode & 0777) || errno == EEXIST;
	DIR *dir = good ? opendir(from) : NULL;
	struct dirent *entry;
	int error = errno;

	good = dir;
	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!copy_below(from, to, entry->d_name)) {
			good = false;
			error = errno;
		}
	}
	if (dir)
		closedir(dir);
	errno = error;
	return good;
}

bool copy_tree(const char *from, const char *to)
{
	struct stat st;

	if (lstat(from, &st))
		return false;
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, st.st_mode);
	if (S_ISDIR(st.st_mode))
		return copy_folder(from, to, st.st_mode);
	return true;
}
