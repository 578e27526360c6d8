/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A device that shows a guest this machine's files, read-only: virtio-fs, whose device is a process
 * beside QEMU (QEMU, docs/interop/vhost-user.rst). A file each: that protocol (server.c), the
 * guest's queues (queue.h), what it asks (requests.h), and which files it knows of (nodes.h).
 *
 * Made for runs that see what is there once, and read most of it once: the guest keeps whatever it
 * has been told, for good. So a file costs it a question for its name, which a list of its
 * folder answers for all of them, and one for its content; opening and closing costs none.
 */
#ifndef VPMU_TOOLS_FILES_SERVER_H
#define VPMU_TOOLS_FILES_SERVER_H

#include <stdbool.h>

/*
 * From now on this process can write no file, nor make or remove one, where its kernel has
 * Landlock (5.13). False: it could have, and has not.
 */
bool files_give_up_writing(void);

/* Serves QEMU's connection until its end. */
void files_serve(int connection);

#endif
