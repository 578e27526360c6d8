/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See signals.h.
 */
#define _GNU_SOURCE
#include "signals.h"
#include "terminal.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * The job is what first leads a session. Its number need not be known here: processes of ours may
 * be between.
 */
static pid_t find_job(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 1 && getsid(pid) == pid && (!found || pid < found))
			found = pid;
	}
	if (dir)
		closedir(dir);
	return found;
}

void signal_job(int number)
{
	pid_t group = terminal_foreground();

	if (!group)
		group = find_job();
	if (group > 0)
		kill(-group, number);
}
