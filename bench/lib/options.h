/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What all benchmarks are told. The command line is tools/bench.c's; a
 * benchmark itself neither prints nor exits.
 */
#ifndef VPMU_BENCH_LIB_OPTIONS_H
#define VPMU_BENCH_LIB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bench guest: what it starts, all of one build. */
struct bench_guest_parts {
	char *const *qemu;    /* the words that start it */
	const char *cpu;      /* the guests', as QEMU's -cpu */
	const char *pmu;      /* theirs: one of --pmu's names */
	const char *plugin;   /* the file */
	const char *build;    /* the folder of guest/ and tests/programs/ */
	const char *vpmu;     /* the command itself */
	const char *no_linux; /* NULL, or why there are no Linux guests */
};

/* bench vmexit */
struct bench_vmexit {
	const char *exits, *states; /* lists of names; NULL: all */
	uint32_t leaf;              /* of CPUID */
	/* This processor's events of near calls and returns, as perf's raw ones; 0: not known. */
	uint64_t calls, returns;
};

struct bench_options {
	int cpu;             /* to run on, already done; for what is started besides */
	bool quick;          /* every figure once, roughly: for tests */
	unsigned int repeat; /* samples of each figure; 0: the benchmark's own choice */
	double seconds;      /* 0, or how long to go on at least, in all */
	/* bench pmi: traces to replay; without, those that are shipped. */
	const char *const *traces;
	size_t trace_count;
	const struct bench_guest_parts *guest;
	const struct bench_vmexit *vmexit;
	/* NULL, or called now and then: part of all is done. */
	void (*progress)(double part);
};

#endif
