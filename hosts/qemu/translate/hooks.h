/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hooks: callbacks at the start of blocks. A vCPU that has something to do before it
 * goes on at an address has a hook put there, and sets score.hook_pending.
 */
#ifndef VPMU_QEMU_HOOKS_H
#define VPMU_QEMU_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

void hooks_init(void);
/* When this returns, every block that begins at this linear address has a hook. */
void hooks_add(uint64_t vaddr);
/* A block is being translated at this linear address: does it get a hook? */
bool hooks_wanted(uint64_t vaddr);
/* QEMU has thrown all translations away. */
void hooks_flushed(void);

#endif
