/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See initramfs.h. Only what a guest's first program needs: folders and plain
 * files, all owned by root.
 */
#define _GNU_SOURCE
#include "initramfs.h"
#include "tools/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ALIGNMENT 4u

/*
 * A microvm's firmware has its ACPI tables in the last page of memory, and QEMU loads the archive
 * as high as its own pages fit: the end of the last one, if it is not a whole one, onto the tables.
 */
#define PAGE 4096u

static void pad(struct initramfs *archive, size_t alignment)
{
	static const char zeros[PAGE];

	fwrite(zeros, 1, -(size_t)ftell(archive->file) % alignment, archive->file);
}

static void put(struct initramfs *archive, const void *data, size_t size)
{
	if (size)
		fwrite(data, size, 1, archive->file);
	pad(archive, ALIGNMENT);
}

static void add_entry(struct initramfs *archive, const char *name, unsigned int mode,
		      const void *data, size_t size)
{
	const unsigned int links = 1;

	archive->entries++;
	/* In order: inode, mode, uid, gid, links, time, size, 2 x device numbers, name, check. */
	fprintf(archive->file, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X",
		archive->entries, mode, 0u, 0u, links, 0u, size, 0u, 0u, 0u, 0u, strlen(name) + 1,
		0u);
	put(archive, name, strlen(name) + 1);
	put(archive, data, size);
}

void initramfs_open(struct initramfs *archive, const char *path)
{
	*archive = (struct initramfs){ .file = fopen(path, "we") };
	if (!archive->file)
		fail("%s: %s", path, strerror(errno));
}

void initramfs_add_folder(struct initramfs *archive, const char *name)
{
	add_entry(archive, name, S_IFDIR | 0755, NULL, 0);
}

void initramfs_add(struct initramfs *archive, const char *name, unsigned int mode, const void *data,
		   size_t size)
{
	add_entry(archive, name, S_IFREG | mode, data, size);
}

static void add_stream(struct initramfs *archive, const char *name, unsigned int mode, FILE *from)
{
	char *data = NULL;
	size_t have = 0, room = 0, n;

	do {
		if (room - have < 65536) {
			room = 2 * room + 65536;
			data = realloc(data, room);
			if (!data)
				fail("out of memory");
		}
		n = fread(data + have, 1, room - have, from);
		have += n;
	} while (n);
	initramfs_add(archive, name, mode, data, have);
	free(data);
}

void initramfs_add_file(struct initramfs *archive, const char *name, unsigned int mode,
			const char *path)
{
	FILE *from = fopen(path, "re");

	if (!from)
		fail("%s: %s", path, strerror(errno));
	add_stream(archive, name, mode, from);
	if (ferror(from))
		fail("%s cannot be read", path);
	fclose(from);
}

void initramfs_close(struct initramfs *archive)
{
	static const char trailer[] = "TRAILER!!!";
	bool bad;

	add_entry(archive, trailer, 0, NULL, 0);
	pad(archive, PAGE);
	bad = ferror(archive->file);
	if (fclose(archive->file) || bad)
		fail("the initramfs cannot be written: %s", strerror(errno));
}
