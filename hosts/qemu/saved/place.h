/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where PMUs lie while QEMU saves the guest: in the guest's own memory, which is a part of
 * each saved state. It is an ACPI table of QEMU's option -acpitable. Firmware reserves its
 * memory, and systems ignore a table that they do not know.
 */
#ifndef VPMU_QEMU_PLACE_H
#define VPMU_QEMU_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Look for the table. It is there once firmware has run, and stays where it is until
 * RESET. True: it is known where it is.
 */
bool place_find(void);
/* Is it where it was found? Its memory may have become another guest's, or firmware's. */
bool place_is_valid(void);
/* RESET: it may come to lie elsewhere. */
void place_forget(void);

/* Bytes of the table, from its header's end on. False: they are not all in the table. */
bool place_read(size_t offset, void *to, size_t size);
bool place_write(size_t offset, const void *from, size_t size);

#endif
