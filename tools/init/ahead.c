/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See ahead.h. What is not there any more is passed over.
 */
#define _GNU_SOURCE
#include "ahead.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* As much as Linux reads ahead at a time. */
#define CHUNK (128u << 10)

/* Of the memory's parts, content gets one at most. */
#define PARTS 4u

static uint64_t left;

static void list(const char *path)
{
	static char names[65536];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	while (syscall(SYS_getdents64, fd, names, sizeof(names)) > 0)
		;
	close(fd);
}

/* It does not wait for any. */
static void read_ranges(const char *path, const char *numbers)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *end;

	for (; fd >= 0; numbers = end) {
		uint64_t offset = strtoull(numbers, &end, 10), size;

		if (end == numbers)
			break;
		numbers = end;
		size = strtoull(numbers, &end, 10);
		for (; size && left; offset += CHUNK) {
			uint64_t part = size < CHUNK ? size : CHUNK;

			readahead(fd, (off_t)offset, part);
			size -= part;
			left -= part < left ? part : left;
		}
	}
	close(fd);
}

static void do_one(char what, const char *path, const char *numbers)
{
	char target[PATH_MAX];
	struct stat st;

	switch (what) {
	case 'd':
		list(path);
		break;
	case 'n':
		lstat(path, &st);
		break;
	case 'l':
		/* What it says is for the kernel to remember. */
		if (readlink(path, target, sizeof(target)) < 0)
			return;
		break;
	case 'r':
		read_ranges(path, numbers);
		break;
	}
}

void ahead_read(const char *texts, size_t size, const char *root)
{
	const char *end = texts + size;
	char path[PATH_MAX];
	struct sysinfo info;

	left = sysinfo(&info) ? 0 : (uint64_t)info.totalram * info.mem_unit / PARTS;
	while (texts < end) {
		char what = *texts;
		int length = snprintf(path, sizeof(path), "%s%s", root, what ? texts + 1 : "");

		texts += strlen(texts) + 1;
		if (length < PATH_MAX)
			do_one(what, path, what == 'r' && texts < end ? texts : "");
		if (what == 'r' && texts < end)
			texts += strlen(texts) + 1;
	}
}
