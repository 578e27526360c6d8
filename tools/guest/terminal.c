/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See terminal.h.
 */
#define _GNU_SOURCE
#include "terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool entered;

int terminal_output(void)
{
	return isatty(STDOUT_FILENO) ? STDOUT_FILENO : isatty(STDERR_FILENO) ? STDERR_FILENO : -1;
}

bool terminal_size(struct wire_window *window)
{
	int fd = terminal_output();
	struct winsize size;

	if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size))
		return false;
	*window = (struct wire_window){ .rows = size.ws_row, .columns = size.ws_col };
	return true;
}

bool terminal_may_read(void)
{
	return !isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void terminal_enter(void)
{
	struct termios raw;

	if (entered || !terminal_may_read() || tcgetattr(STDIN_FILENO, &before))
		return;
	raw = before;
	cfmakeraw(&raw);
	entered = !tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

/* From the background this would stop us; it must not. */
void terminal_leave(void)
{
	sigset_t stops, mask;

	if (!entered)
		return;
	entered = false;
	sigemptyset(&stops);
	sigaddset(&stops, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stops, &mask);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

bool terminal_is_interrupt(char typed)
{
	return entered && (cc_t)typed == before.c_cc[VINTR];
}
