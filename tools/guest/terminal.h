/* SPDX-License-Identifier: BSD-2-Clause
 *
 * This machine's terminal while the guest's program has one, too: what is typed goes there as
 * it is, and there it means what it means.
 */
#ifndef VPMU_TOOLS_TERMINAL_H
#define VPMU_TOOLS_TERMINAL_H

#include "tools/init/wire.h"

#include <stdbool.h>

/* Of stdout and stderr the first that is on a terminal, or -1. */
int terminal_output(void);

/* False: there is none whose size is known. */
bool terminal_size(struct wire_window *window);

/* stdin is no terminal, or one that would not stop us for reading it in the background. */
bool terminal_may_read(void);

/*
 * Hand what is typed on stdin over, all of it, from now on. If this process ends, however it is
 * that a handler of its own sees, it is as before.
 */
void terminal_enter(void);
void terminal_leave(void);

/* Is this the character by which the terminal's user interrupts, while it is handed over? */
bool terminal_is_interrupt(char typed);

#endif
