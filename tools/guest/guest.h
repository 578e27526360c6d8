/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The throw-away guest of vpmu perf and vpmu exec: it has a PMU, sees this machine's
 * files, and runs one program. A file each: its options (options.c), the order of things
 * (run.c), the job and what the initramfs carries (job.c), how QEMU is started for it
 * (start.c), who shows it files (files.h); its streams (pump.h), the files that come out of it
 * (bring_out.h), what lies in a folder while it runs (scratch.c). What happens inside is
 * init/init.c.
 */
#ifndef VPMU_TOOLS_GUEST_H
#define VPMU_TOOLS_GUEST_H

#include "files.h"
#include "process/args.h"
#include "tools/pmu.h"
#include "tools/qemu.h"
#include "tools/util.h"

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

struct guest_options {
	struct pmu_options pmu;
	const char *qemu;     /* as for qemu_find() */
	const char *kernel;   /* a folder below paths_get()->kernel */
	const char *accel;    /* "tcg", or "kvm": this machine's, and the PMU is its, too */
	const char *cpu;      /* a model of QEMU's, with features */
	const char *cpus;     /* decimal, checked */
	const char *memory;   /* in QEMU's notation */
	const char *files;    /* how it sees this machine's: files.h */
	const char *tcg;      /* more properties of TCG; NULL: none */
	const char *append;   /* more kernel parameters; NULL: none */
	const char *console;  /* where the kernel's console goes; NULL: nowhere */
	struct args modules;  /* paths of more modules, each with ":parameters" or not */
	struct args out;      /* files and folders to bring out, as the user named them */
	bool out_all;         /* the working directory, too */
	struct args writable; /* folders that the guest may write in, as the user named them */
	bool regions;         /* the program says which parts of it count (vpmu/region.h) */
	bool deterministic;   /* nothing that changes from run to run reaches the program */
	bool strict;          /* what is not counted makes the run a failure */
	bool no_snapshot;     /* the guest boots, and is not kept */
	bool verbose;         /* say how long each phase takes */
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

/* The parts of that: take argv[*i] if it is one of them; check them when all are taken. */
bool guest_option_take(struct guest_options *options, char **argv, int *i);
void guest_options_settle(struct guest_options *options);

bool guest_has_kvm(const struct guest_options *options);
/* Bytes. */
uint64_t guest_memory(const struct guest_options *options);

/* What the guest is to run. */
struct guest_job {
	struct args words; /* the program's path, and its arguments */
	struct args out;   /* what it may write and is to be brought out then */
	/* Sees what it writes to stdout and stderr, by their numbers; NULL: nobody does. */
	void (*printed)(int fd, const char *data, size_t size);
	struct args profiles; /* those of out that are perf.data, of whatever name */
	bool kernel_symbols;  /* ... in which the guest's kernel may have samples */
	const char *maps; /* a folder of JIT maps that belong into the guest's /tmp; NULL: none */
	int instead_of_term; /* the signal that it gets for SIGTERM; 0: that one */
	bool child_signals;  /* a signal that ends a child of the program is its end, too */
	bool as_root;        /* it is root's in the guest, and not the caller's */
};

/*
 * What perf on this machine needs to read a profile, and finds in a guest only: beside it, under
 * its name and one of these. The guest kernel's symbols, and a folder with the JIT maps.
 */
#define GUEST_KALLSYMS ".kallsyms"
#define GUEST_MAPS     ".maps"

/* Runs it. Returns vpmu's exit status: the program's, if the guest came to that. */
int guest_run(struct guest_options *options, const struct guest_job *job);

/*
 * The parts of that. A folder for one run, removed with all that is in it. A run that was killed
 * leaves it; nothing in it is a secret.
 */
struct scratch {
	char *folder;
	char *initramfs;
	char *console; /* the kernel's console */
	char *log;     /* what QEMU itself says */
};

/* Make it, and remove those that runs of this user's have left which are no more. */
void scratch_make(struct scratch *scratch, const struct guest_options *options);
void scratch_remove(struct scratch *scratch);

/* What the guest is sent when it runs. out: all that is to be brought out, by index. */
char *job_words(const struct guest_options *options, const struct guest_job *job,
		const struct args *out, size_t *size);

/* What it starts with, and the files that this is made of. */
void job_write_initramfs(const struct guest_options *options, const char *path);
struct args job_initramfs_files(const struct guest_options *options);

/* The descriptors that QEMU inherits; -1: not this one. */
struct guest_parts {
	int files;    /* as files_start() has it */
	int memory;   /* a file in memory of the guest's size */
	int table;    /* pmu_state_table(), of a guest that may be saved or restored */
	int room;     /* room_open() */
	int port;     /* the guest's streams */
	int monitor;  /* by which it is saved */
	int incoming; /* what is to be restored comes from there */
};

/*
 * Returns QEMU's process, which ends in order at SIGTERM, with the plugin's last word in the
 * report. before: the signal mask that QEMU gets.
 */
pid_t guest_start(const struct guest_options *options, const struct qemu *qemu,
		  const struct scratch *scratch, const struct guest_parts *parts,
		  const sigset_t *before);

/* That of its snapshot (snapshot.h). files: those of the initramfs. */
char *guest_key(const struct guest_options *options, const struct qemu *qemu,
		const struct args *files);

#endif
