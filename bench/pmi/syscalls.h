/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The system calls of a replay, counted from outside: by ptrace, in a child process.
 * Returns from signal handlers are system calls, too, and counted.
 */
#ifndef VPMU_BENCH_PMI_SYSCALLS_H
#define VPMU_BENCH_PMI_SYSCALLS_H

#include "replay.h"

enum syscall_kind {
	SYSCALL_OPEN, /* perf_event_open */
	SYSCALL_CLOSE,
	SYSCALL_IOCTL,
	SYSCALL_READ,
	SYSCALL_FCNTL,
	SYSCALL_MAP,    /* mmap, munmap */
	SYSCALL_RETURN, /* rt_sigreturn */
	SYSCALL_OTHER,
	SYSCALL_KINDS,
};

extern const char *const syscall_names[SYSCALL_KINDS];

struct syscalls {
	size_t pmis; /* that are timed: their calls are those of PHASE_PMI */
	size_t lost, spurious, other;
	size_t calls[PHASE_KINDS][SYSCALL_KINDS];
};

/* NULL, or what is wrong (one line, static). */
const char *syscalls_count(const struct plan *plan, const struct subject_ops *ops,
			   const struct replay_options *options, struct syscalls *syscalls);

/* All calls of a phase. */
size_t syscalls_in(const struct syscalls *syscalls, enum replay_phase phase);

#endif
