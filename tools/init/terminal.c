/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See terminal.h.
 */
#define _GNU_SOURCE
#include "terminal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define TTY_GROUP 5 /* Debian's, and udev's everywhere */

static int ours = -1, jobs = -1;

/* Nobody in the guest could let a suspended job go on. */
static void set_characters(void)
{
	struct termios modes;

	if (tcgetattr(jobs, &modes))
		return;
	modes.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(jobs, TCSANOW, &modes);
}

bool terminal_open(uid_t owner, const char *window)
{
	unsigned int rows, columns;
	int unlocked = 0;

	ours = open("/new/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ours < 0 || ioctl(ours, TIOCSPTLCK, &unlocked))
		return false;
	jobs = ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (jobs < 0 || fchown(jobs, owner, TTY_GROUP) || fchmod(jobs, 0620))
		return false;
	set_characters();
	if (window && sscanf(window, "%u:%u", &rows, &columns) == 2)
		terminal_resize(&(struct wire_window){ .rows = (uint16_t)rows,
						       .columns = (uint16_t)columns });
	return true;
}

int terminal_ours(void)
{
	return fcntl(ours, F_DUPFD_CLOEXEC, 0);
}

int terminal_jobs(void)
{
	return fcntl(jobs, F_DUPFD_CLOEXEC, 0);
}

void terminal_close_jobs(void)
{
	if (jobs >= 0)
		close(jobs);
	jobs = -1;
}

void terminal_control(void)
{
	ioctl(jobs, TIOCSCTTY, 0);
}

void terminal_resize(const struct wire_window *window)
{
	struct winsize size = { .ws_row = window->rows, .ws_col = window->columns };

	if (ours >= 0)
		ioctl(ours, TIOCSWINSZ, &size);
}

pid_t terminal_foreground(void)
{
	pid_t group = ours >= 0 ? tcgetpgrp(ours) : 0;

	return group > 0 ? group : 0;
}
