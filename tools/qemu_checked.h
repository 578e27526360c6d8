/* SPDX-License-Identifier: BSD-2-Clause
 *
 * QEMUs that have been found to serve, by the user's cache folder: to start one twice for that
 * takes longer than all else that a guest needs which does not boot.
 */
#ifndef VPMU_TOOLS_QEMU_CHECKED_H
#define VPMU_TOOLS_QEMU_CHECKED_H

/* Its version, if this very file has been found to serve; or NULL. */
char *qemu_checked(const char *path);

/* A script is not kept: what it starts may become another program. */
void qemu_keep_checked(const char *path, const char *version);

#endif
