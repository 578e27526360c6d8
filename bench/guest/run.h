/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs that the guest benchmark starts and talks to by lines: QEMU, the
 * vpmu command, valgrind. Whatever happens, none of them outlives the benchmark.
 */
#ifndef VPMU_BENCH_GUEST_RUN_H
#define VPMU_BENCH_GUEST_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* A growing list of words, with NULL at its end. Starts as all zero. */
struct words {
	char **v;
	size_t count;
};

void words_add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
void words_add_all(struct words *words, char *const *more);
void words_free(struct words *words);

/* Starts as all zero. */
struct process {
	pid_t pid;    /* 0: it does not run */
	int to;       /* its stdin */
	int from;     /* its stdout */
	FILE *errors; /* its stderr */
	char text[8192];
	size_t used;
	size_t given; /* of text, the line handed out last */
};

/*
 * Between these two SIGINT, SIGTERM, SIGHUP and SIGQUIT end nothing but what waits
 * below; run_end() then lets the signal that came take its course.
 */
void run_begin(void);
void run_end(void);
/* Such a signal has come. */
bool run_stopped(void);

/* NULL, or why it cannot be started. */
const char *process_start(struct process *process, char *const *argv);
/* False: it is gone. */
bool process_say(struct process *process, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The next line, without its end; NULL: its end, a signal, or that many seconds are over. */
const char *process_line(struct process *process, double seconds);
/* End it and wait for it. Its exit status, or -1 if a signal ended it. */
int process_end(struct process *process);
/* What it said last on stderr, warnings of QEMU's CPU model left out; for an error. */
const char *process_complaint(struct process *process);
void process_free(struct process *process);

#endif
