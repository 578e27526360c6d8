/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files of the guest on their way to the host.
 */
#ifndef VPMU_TOOLS_SEND_H
#define VPMU_TOOLS_SEND_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Send the file or folder at an absolute path, as far as the job has written it: it, or
 * what is below it, lies in the scratch layer. which: of the files and folders that
 * the user has named.
 * Nothing is sent if there is nothing; says whether there was something.
 */
bool send_written(uint32_t which, const char *path);

/* Send a file of the kernel's, whose size is unknown. */
void send_special(uint32_t which, const char *path);

/* Send what JIT compilers have left for perf, /tmp/perf-PID.map, as a folder. */
void send_jit_maps(uint32_t which);

/* Put such a folder's files, at this machine's absolute path, where perf looks for them. */
void place_jit_maps(const char *folder);

#endif
