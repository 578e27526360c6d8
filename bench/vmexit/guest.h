/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The code of the tiny guests: 64-bit, at level 0, without interrupts. Each writes its MSRs,
 * and then does one instruction that exits, in a loop, and takes the time of each turn.
 */
#ifndef VPMU_BENCH_VMEXIT_GUEST_H
#define VPMU_BENCH_VMEXIT_GUEST_H

/* The guest's memory: physical addresses, which are its virtual ones. The code has some of them. */
#define GUEST_CODE   0x1000
#define GUEST_PML4   0x2000
#define GUEST_PDPT   0x3000
#define GUEST_PD     0x4000
#define GUEST_WRITES 0x5000  /* struct guest_write, until one of MSR 0 */
#define GUEST_TURNS  0x6000  /* 32 bits: how many turns are to be done */
#define GUEST_TICKS  0x10000 /* 32 bits for each turn: ticks of the time stamp counter */
#define GUEST_MEMORY 0x20000
#define GUEST_MMIO   0x200000 /* no memory is there */

#define GUEST_TURNS_MAX ((GUEST_MEMORY - GUEST_TICKS) / 4)

/* Written when the MSRs are, and when all turns are done. */
#define GUEST_DONE_PORT 0x10
/* Where the guest that does port accesses does them. */
#define GUEST_PORT 0x80

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_write {
	uint32_t msr;
	uint32_t low, high;
};

/* One instruction that exits. */
struct guest_exit {
	const char *name; /* as an option has it */
	const char *what; /* as a table has it */
	const char *code, *end;
	unsigned int turn; /* instructions in a turn */
	bool needs_pmu;    /* without a PMU it is #GP */
	bool no_irqchip;   /* with KVM's own interrupt controller it is no exit */
};

enum { GUEST_EXITS = 7 };
extern const struct guest_exit guest_exits[GUEST_EXITS];

#endif
#endif
