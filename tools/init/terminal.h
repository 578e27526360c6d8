/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The job's terminal: a pseudo-terminal, of which the user's own is the other side.
 */
#ifndef VPMU_TOOLS_TERMINAL_INIT_H
#define VPMU_TOOLS_TERMINAL_INIT_H

#include "wire.h"

#include <stdbool.h>
#include <sys/types.h>

/* Make it; it belongs to owner. window: "ROWS:COLUMNS", or NULL. False: errno says why. */
bool terminal_open(uid_t owner, const char *window);

/* A file descriptor of either side; the job's side is closed here once the job has it. */
int terminal_ours(void);
int terminal_jobs(void);
void terminal_close_jobs(void);

/* In the first process of a session: it is the session's. */
void terminal_control(void);

void terminal_resize(const struct wire_window *window);

/* The process group in its foreground; 0: there is no terminal, or none. */
pid_t terminal_foreground(void);

#endif
