/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The throw-away guest of vpmu perf and vpmu exec: it has a PMU, sees this machine's
 * files, and runs one program. A file each: its options (options.c), the order of things
 * and the cleaning up (run.c), what its initramfs carries (job.c), how QEMU is started for
 * it (start.c), who shows it files (files.h); its streams (pump.h), the files that come out of it (bring_out.h). What
 * happens inside is init/init.c.
 */
#ifndef VPMU_TOOLS_GUEST_H
#define VPMU_TOOLS_GUEST_H

#include "files.h"
#include "process/args.h"
#include "tools/pmu.h"
#include "tools/util.h"

#include <signal.h>

struct guest_options {
	struct pmu_options pmu;
	const char *qemu;    /* as for qemu_find() */
	const char *kernel;  /* a folder below paths_get()->kernel */
	const char *accel;   /* "tcg", or "kvm": this machine's, and the PMU is its, too */
	const char *cpu;     /* a model of QEMU's, with features */
	const char *cpus;    /* decimal, checked */
	const char *memory;  /* in QEMU's notation */
	const char *files;   /* how it sees this machine's: files.h */
	const char *tcg;     /* more properties of TCG; NULL: none */
	const char *append;  /* more kernel parameters; NULL: none */
	const char *console; /* where the kernel's console goes; NULL: nowhere */
	struct args modules; /* paths of more modules, each with ":parameters" or not */
	struct args out;     /* files and folders to bring out, as the user named them */
	bool out_all;        /* the working directory, too */
	bool deterministic;  /* nothing that changes from run to run reaches the program */
};

#define GUEST_OPTIONS_DEFAULT                                                                      \
	{                                                                                          \
		.pmu = PMU_OPTIONS_DEFAULT, .accel = "tcg", .kernel = "6.1", .cpus = "1",          \
		.memory = "2G", .files = FILES_AUTO                                                \
	}

/* The lines of --help about them. */
extern const char guest_usage[];

/*
 * Take the options that begin at argv[1], up to "--" or the first word that is none. Returns
 * the index of the word behind them, or 0 if they were to print usage, which is done then.
 * Fails with one line, which names the command argv[0], if one is unknown or no good.
 */
int guest_options_take(struct guest_options *options, char **argv, const char *usage);

bool guest_has_kvm(const struct guest_options *options);

/* What the guest is to run. */
struct guest_job {
	struct args words;  /* the program's path, and its arguments */
	struct args out;    /* what it may write and is to be brought out then */
	bool child_signals; /* a signal that ends a child of the program is its end, too */
};

/* Runs it. Returns vpmu's exit status: the program's, if the guest came to that. */
int guest_run(struct guest_options *options, const struct guest_job *job);

/* The parts of that. A folder for one run, removed with all that is in it. */
struct scratch {
	char *folder;
	char *initramfs;
	char *console; /* the kernel's console */
	char *log;     /* what QEMU itself says */
};

/* out: all that is to be brought out, by index. */
void job_write(const struct guest_options *options, const struct guest_job *job,
	       const struct args *out, const char *path);

/*
 * Start the guest with one end of its streams in *streams. Returns QEMU's process, which
 * ends in order at SIGTERM, with the plugin's last word in the report. files: as files_start()
 * has it; it is QEMU's then. before: the signal mask that QEMU gets.
 */
pid_t guest_start(const struct guest_options *options, const struct scratch *scratch, int files,
		  const sigset_t *before, int *streams);

#endif
