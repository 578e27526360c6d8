/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs that the guest benchmark starts and talks to by lines: QEMU, the
 * vpmu command, valgrind. Whatever happens, none of them outlives the benchmark.
 */
#ifndef VPMU_BENCH_GUEST_SESSION_H
#define VPMU_BENCH_GUEST_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Starts as all zero. */
struct session {
	pid_t pid;    /* 0: the program does not run */
	int to;       /* its stdin */
	int from;     /* its stdout */
	FILE *errors; /* its stderr */
	char text[8192];
	size_t used;     /* bytes of text that have been read */
	size_t returned; /* of them, those of the line returned last */
};

/*
 * Between these two SIGINT, SIGTERM, SIGHUP and SIGQUIT end no process: session_line()
 * returns, and interrupted() is true. interrupt_release() then lets the signal that came
 * take its course.
 */
void interrupt_catch(void);
void interrupt_release(void);
bool interrupted(void);

/* NULL, or why it cannot be started. */
const char *session_start(struct session *session, char *const *argv);
/* False: it is gone. */
bool session_say(struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The next line, without its end; NULL: its end, a signal, or that many seconds are over. */
const char *session_line(struct session *session, double seconds);
/* End it and wait for it. Its exit status, or -1 if a signal ended it. */
int session_end(struct session *session);
/* What it said last on stderr, warnings of QEMU's CPU model left out; for an error. */
const char *session_complaint(struct session *session);
void session_free(struct session *session);

#endif
