/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starting programs, waiting for them and ending them.
 */
#ifndef VPMU_PROCESS_PROCESS_H
#define VPMU_PROCESS_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct process_start {
	char *const *argv; /* a name without a slash is looked up on PATH */
	/* What it gets as its standard streams; -1: /dev/null. */
	int in;
	int out;
	int err;
	bool own_group;       /* what the terminal sends is not for it */
	int death_signal;     /* sent to it when this process dies; 0: none */
	const sigset_t *mask; /* its signal mask; NULL: the caller's */
};

/* Its process; -1 with errno set if it cannot be started, for whatever reason. */
pid_t process_start(const struct process_start *start);

/* Wait for it for at most so long. False: it still runs. status: as waitpid() has it. */
bool process_wait(pid_t pid, double seconds, int *status);

/* End it: by SIGTERM, and by SIGKILL if it takes more than ten seconds over it. Its status. */
int process_stop(pid_t pid);

/* A status as a shell gives it: the exit status, or 128 + N if signal N ended it. */
int process_exit_status(int status);

/*
 * Run a command with stdin from /dev/null. Returns what it writes to stdout and stderr
 * together (the first 64 KiB, NUL terminated, allocated). *status: its exit status; -1 if it
 * could not be started, a signal ended it or it took more than so many seconds.
 */
char *process_output(char *const *argv, unsigned int seconds, int *status);

#endif
