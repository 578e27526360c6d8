/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing an initramfs: a cpio archive in the "newc" form (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst).
 */
#ifndef VPMU_TOOLS_INITRAMFS_H
#define VPMU_TOOLS_INITRAMFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct initramfs {
	FILE *file;
	unsigned int entries;
};

/* Each fails with one line if the archive cannot be written or a file cannot be read. */
void initramfs_open(struct initramfs *archive, const char *path);
void initramfs_add_folder(struct initramfs *archive, const char *name);
void initramfs_add(struct initramfs *archive, const char *name, unsigned int mode, const void *data,
		   size_t size);
void initramfs_add_file(struct initramfs *archive, const char *name, unsigned int mode,
			const char *path);
void initramfs_close(struct initramfs *archive);

#endif
