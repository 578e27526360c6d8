/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Copying files and folders, on the host and in the throw-away guest alike.
 */
#ifndef VPMU_TOOLS_COPY_H
#define VPMU_TOOLS_COPY_H

#include <stdbool.h>

/*
 * Copy the file or folder from to to, with its mode and what is below it.
 * Symbolic links and special files are left out. Returns false, with errno
 * set, if something could not be copied; what could be is.
 */
bool copy_tree(const char *from, const char *to);

#endif
