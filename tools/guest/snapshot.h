/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Guests that have started once, kept in the user's cache folder: a file each, which is what QEMU
 * saves of the machine, and the guest's memory. A guest is saved when it waits for its job: there
 * is nothing of a job in it. A file is good for the same configuration (snapshot_key.c) alone.
 */
#ifndef VPMU_TOOLS_GUEST_SNAPSHOT_H
#define VPMU_TOOLS_GUEST_SNAPSHOT_H

#include "process/args.h"

#include <stdbool.h>
#include <stdint.h>

/* Of the words that QEMU is started with, and the files named, as they are now. Hexadecimal. */
char *snapshot_key(const struct args *words, const struct args *files);

/* The descriptor of one that is whole, to all appearances; -1: there is none. */
int snapshot_open(const char *key, uint64_t memory_size);

/*
 * Fills the guest's memory, and hands QEMU the rest over the pipe, whose end it closes. False: it
 * is damaged.
 */
bool snapshot_restore(int snapshot, int memory, int pipe);

/*
 * A new one is made by one run at a time. False: it cannot be made here, or another run makes it.
 * snapshot_remove_new() leaves nothing of one that is not finished.
 */
bool snapshot_begin(const char *key);
bool snapshot_finish(int memory, uint64_t memory_size, const char *state);
void snapshot_remove_new(void);

void snapshot_remove(const char *key);

#endif
