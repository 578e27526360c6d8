/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The code of guests that sample: 64-bit, at level 0, with a handler of NMIs that makes the
 * accesses of Linux's for AMD's PerfMonV2 (APM vol. 2, "Performance Monitoring Counters").
 */
#ifndef VPMU_BENCH_VMPMI_GUEST_H
#define VPMU_BENCH_VMPMI_GUEST_H

#include "bench/vmexit/guest.h"

/* In the guest's memory, beside what bench/vmexit/guest.h has: a struct guest_pmi. */
#define GUEST_PMI 0x7000
/* Its stack grows down from here. */
#define GUEST_STACK 0x9000

#ifndef __ASSEMBLER__

#define GUEST_EVENTS_MAX 10

/* An event that is counted in turns: its select, and its counter's low half while it is not. */
struct guest_event {
	uint32_t select, value;
};

/* What the code is told. */
struct guest_pmi {
	uint32_t counters; /* that count */
	uint32_t all;      /* their bits */
	uint32_t period;   /* less than 2^31 */
	uint32_t events;   /* that share the counters */
	uint32_t first;    /* the event of the first counter */
	uint32_t rotate;   /* not 0: before anything else each counter gets the next event */
	uint32_t control, status, clear; /* registers */
	uint32_t select, counter;        /* those of the first counter; others follow two by two */
	struct guest_event event[GUEST_EVENTS_MAX];
};

_Static_assert(offsetof(struct guest_pmi, rotate) == 20 &&
		       offsetof(struct guest_pmi, counter) == 40 &&
		       offsetof(struct guest_pmi, event) == 44 && sizeof(struct guest_event) == 8,
	       "the code has these offsets");

/*
 * Does as many PMIs as GUEST_TURNS says, and then writes to GUEST_DONE_PORT. The other one has no
 * PMU: it sends itself an NMI, whose handler makes as many accesses, to registers that KVM ignores.
 */
extern const char guest_sampling[], guest_sampling_end[];
extern const char guest_floor[], guest_floor_end[];

#endif
#endif
