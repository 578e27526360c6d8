/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tells a guest that is slow to start from one that never will.
 */
#ifndef VPMU_TOOLS_WATCHDOG_H
#define VPMU_TOOLS_WATCHDOG_H

#include <stdbool.h>
#include <sys/types.h>

/* qemu: its process, which has just been started. */
void watchdog_begin(pid_t qemu);

/* It has not said a word yet: will it never? */
bool watchdog_is_dead(void);

#endif
