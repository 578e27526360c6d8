/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The parts of vpmu perf: its options, and the throw-away guest it starts.
 */
#ifndef VPMU_TOOLS_PERF_H
#define VPMU_TOOLS_PERF_H

#include "pmu.h"
#include "process/args.h"
#include "util.h"

#include <signal.h>

struct perf_options {
	struct pmu_options pmu;
	const char *qemu;    /* as for qemu_find() */
	const char *kernel;  /* a folder below paths_get()->kernel */
	const char *cpu;     /* a model of QEMU's, with features */
	const char *cpus;    /* decimal, checked */
	const char *memory;  /* in QEMU's notation */
	const char *tcg;     /* more properties of TCG; NULL: none */
	const char *append;  /* more kernel parameters; NULL: none */
	const char *console; /* where the kernel's console goes; NULL: nowhere */
	struct args out;     /* files and folders to bring out, as the user named them */
	bool out_all;        /* the working directory, too */
	bool deterministic;  /* nothing that changes from run to run reaches the command */
};

/* A folder for one run, removed with all that is in it when the command exits. */
struct scratch {
	char *folder;
	char *initramfs;
	char *console; /* the kernel's console */
	char *log;     /* what QEMU itself says */
};

/*
 * Where perf is and what it is asked to do: argv of the job in the guest.
 * release: of the guest's kernel; NULL if it is not known.
 */
void job_write(const struct perf_options *options, char *const *argv, const char *release,
	       const char *path);

/*
 * Start the guest with one end of its streams in *streams. Returns QEMU's process, which
 * ends in order at SIGTERM, with the plugin's last word in the report. before: the signal
 * mask that QEMU gets.
 */
pid_t perf_guest_start(const struct perf_options *options, const struct scratch *scratch,
		       const sigset_t *before, int *streams);

#endif
