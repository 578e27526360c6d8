/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who shows a throw-away guest this machine's files: a process of vpmu's beside QEMU
 * (tools/files/server.h), or QEMU itself over 9p, which is slower.
 */
#ifndef VPMU_TOOLS_GUEST_FILES_H
#define VPMU_TOOLS_GUEST_FILES_H

#include <signal.h>
#include <stddef.h>

/* What --files says. */
#define FILES_AUTO     "auto"
#define FILES_VIRTIOFS "virtiofs"
#define FILES_9P       "9p"

struct guest_job;
struct guest_options;

/*
 * Settles options->files. Returns the connection for QEMU to the process that is started, or -1 if
 * it is 9p. Fails with one line if it is to be virtiofs and cannot. before: its signal mask.
 */
int files_start(struct guest_options *options, const struct guest_job *job, const sigset_t *before);

/* What the guest is to read before the command starts; NULL: nothing. */
const char *files_ahead(size_t *size);

/*
 * The process ends by itself when QEMU does, and when this one does; with this one it ends in
 * order, and what the command has read is kept for the next time.
 */
void files_stop(void);

#endif
