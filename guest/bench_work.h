/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs that vpmu bench guest times: the same code in the bare-metal
 * guest and in a Linux program. No libc, no system call, no floating point.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>

struct bench_work {
	const char *name;
	/* One turn: some milliseconds in an emulated guest. Returns what was computed. */
	uint64_t (*run)(void);
};

extern const struct bench_work bench_works[];
extern const size_t bench_works_count;

#endif
