/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the throw-away guest sends of its files (init/wire.h), written where the
 * user has asked for it and nowhere else: the guest may say anything.
 *
 *  - A name is one component of a path. No symbolic link below what the user has named is
 *    followed, and none is written; nor are devices, pipes, sockets.
 *  - A file is written beside its place and then put there. So a file with other hard links
 *    is not changed in those places, and one is there whole or not at all.
 *  - A file that exists keeps its owner and its permissions, without set-user-ID and
 *    set-group-ID. A new one has the guest's permissions as far as the umask lets it.
 */
#ifndef VPMU_TOOLS_BRING_OUT_H
#define VPMU_TOOLS_BRING_OUT_H

#include "process/args.h"

#include <stdbool.h>
#include <stdint.h>

struct bring_out;

/* named: the files and folders that may come, as the user has named them. */
struct bring_out *bring_out_new(const struct args *named);

/* A frame of the guest's. False: it makes no sense at this place. */
bool bring_out_take(struct bring_out *bring_out, uint8_t type, const char *data, size_t size);

/* Has this one of the named come? */
bool bring_out_came(const struct bring_out *bring_out, size_t which);

/* No more comes. What is not complete is removed. False: something could not be written. */
bool bring_out_end(struct bring_out *bring_out);

/*
 * The name of a file as the guest is to be asked for it: absolute, and with the real names
 * of the folders on the way, which are those in the guest's scratch layer.
 */
char *bring_out_real_name(const char *name);

#endif
