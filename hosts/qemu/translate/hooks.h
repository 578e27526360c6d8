/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Addresses at which a block gets a hook when it is translated: an access may have
 * to be finished there.
 */
#ifndef VPMU_QEMU_HOOKS_H
#define VPMU_QEMU_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

void hooks_init(void);
/* A block that begins at this linear address gets a hook, and none without is left. */
void hooks_add(uint64_t vaddr);
/* A block is translated at this address: does it get a hook? */
bool hooks_wanted(uint64_t vaddr);
/* No translation is left. */
void hooks_flushed(void);

#endif
