/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the parts of a build are, and which QEMU serves: finding it, checking
 * it, and the words that start it.
 */
#ifndef VPMU_TOOLS_QEMU_H
#define VPMU_TOOLS_QEMU_H

#include "process/args.h"
#include "util.h"
#include <vpmu/vpmu.h>

/* Everything is found from where the vpmu command itself is: the build directory. */
struct paths {
	char *build;  /* absolute */
	char *plugin; /* hosts/qemu/libvpmu-qemu.so */
	char *qemu;   /* qemu: the root of the unpacked QEMU */
	char *kernel; /* kernel: a folder a version below it, with vmlinux, modules, release */
};

/* The command's own paths; the same at every call. Nothing needs to exist there. */
const struct paths *paths_get(void);

/* The versions of the unpacked kernels, such as "6.12", oldest first. */
struct args kernel_versions(void);

/* The release of one of them, or NULL if it is missing. */
char *kernel_release(const char *version);

struct qemu {
	struct args argv; /* how it is started: its loader if it needs one, itself, -L ... */
	char *path;       /* the QEMU itself */
	char *version;    /* "11.1.2" */
};

/*
 * Find a QEMU and see that it serves: an x86 system emulator, 11.1 or newer,
 * with plugins.
 *
 * named: a path (with a slash); or a name, looked up on PATH and then in the
 * unpacked QEMU; or NULL: qemu-system-x86_64 on PATH if it serves, else the
 * unpacked one. Returns NULL if *qemu is one that serves, or the reason in
 * one line. *qemu.path and .version are set as far as they are known.
 */
const char *qemu_find(const char *named, struct qemu *qemu);

/*
 * How the arguments after QEMU's name are meant, as far as the PMU is
 * concerned. Returns NULL, or in one line why it cannot be served with them.
 * *off is set if the arguments switch the guest's PMU off (-cpu ...,pmu=off).
 * pmu: the guest's, which its CPU has to be of; any guest CPU can have none.
 */
const char *qemu_check_arguments(const char *path, char *const *arguments,
				 const struct vpmu_config *pmu, bool *off);

#endif
