/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files of the guest on their way to the host.
 */
#ifndef VPMU_TOOLS_SEND_H
#define VPMU_TOOLS_SEND_H

#include <stdint.h>

/*
 * Send the file or folder at an absolute path, as far as the job has written it: it, or
 * what is below it, lies in the scratch layer. which: of the files and folders that
 * the user has named.
 * Nothing is sent if there is nothing.
 */
void send_written(uint32_t which, const char *path);

#endif
