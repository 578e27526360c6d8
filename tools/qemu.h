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

/*
 * Everything is found from where the vpmu command itself is: the build directory. In a bundle
 * (tools/bundle) the dynamic loader that has started it lies beside it, with libraries of its own.
 */
struct paths {
	char *build;  /* absolute */
	char *plugin; /* hosts/qemu/libvpmu-qemu.so */
	char *qemu;   /* qemu: the root of the unpacked QEMU */
	char *kernel; /* kernel: a folder a version below it, with vmlinux, modules, release */
	char *loader; /* a bundle's, for what is in libraries; NULL where this is none */
	char *libraries;
	char *perf; /* a bundle's */
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
 * unpacked one. In a bundle the unpacked one comes first: it has the plugin's
 * libraries. Returns NULL if *qemu is one that serves, or the reason in
 * one line. *qemu.path and .version are set as far as they are known.
 */
const char *qemu_find(const char *named, struct qemu *qemu);

/* A guest's PMU, and the CPU that has it. */
struct qemu_guest {
	const char *pmu;    /* one of ARGUMENTS_PMUS; or PMU_AUTO: what the CPU would have */
	uint32_t signature; /* CPUID.1:EAX without the stepping */
};

/*
 * How the arguments after QEMU's name are meant, as far as the PMU is concerned. Settles
 * guest->pmu, which may be PMU_AUTO before ("off" if the arguments switch it off: -cpu
 * ...,pmu=off), and says guest->signature. Returns NULL, or in one line why it cannot be
 * served with them: the CPU has to be one of the PMU's vendor; any CPU can have none.
 */
const char *qemu_settle_guest(const char *path, char *const *arguments, struct qemu_guest *guest);

#endif
