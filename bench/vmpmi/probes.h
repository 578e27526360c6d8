/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What KVM does with perf events while this thread runs a guest, and how often it exits: probes
 * of kernel functions, and KVM's tracepoint of exits, both counted by perf.
 */
#ifndef VPMU_BENCH_VMPMI_PROBES_H
#define VPMU_BENCH_VMPMI_PROBES_H

#include <stdint.h>

enum probe {
	PROBE_CREATED,
	PROBE_RELEASED,
	PROBE_PAUSED,
	PROBE_PERIODS,
	PROBE_PROGRAMMED,
	PROBE_EXITS,
	PROBE_MSR,
	PROBE_RDPMC,
	PROBE_NMI,
	PROBE_IRET,
	PROBE_INTERRUPT,
	PROBE_IO,
	PROBES,
};

struct probe_kind {
	const char *key, *title; /* of a column */
	const char *function;    /* of the kernel; NULL: the tracepoint's */
	const char *reason;      /* of exits, as the tracepoint's filter has it; NULL: all */
};
extern const struct probe_kind probe_kinds[PROBES];

struct probes {
	int fd[PROBES]; /* -1: there is none */
	int error[PROBES];
};

/* How often the timer interrupts the calling thread, from now on; -1: not known. */
int probes_open_interrupts(void);

/* Of the calling thread; they count from now on. */
void probes_open(struct probes *probes);
/* Those that are absent are 0. */
void probes_read(const struct probes *probes, uint64_t counts[PROBES]);
void probes_close(struct probes *probes);

#endif
