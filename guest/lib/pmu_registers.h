/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU's registers as a table: numbers, and what becomes of a write, bit by bit.
 * SDM vol. 4; APM vol. 2, "Performance Monitoring Counters", and the PPR.
 */
#ifndef GUEST_PMU_REGISTERS_H
#define GUEST_PMU_REGISTERS_H

#include "pmu.h"

enum register_kind {
	REGISTER_COUNTER, /* general ones */
	REGISTER_SELECT,
	REGISTER_FIXED_COUNTER,
	REGISTER_FIXED_CONTROL,
	REGISTER_GLOBAL_CONTROL,
	REGISTER_STATUS,
	REGISTER_STATUS_CHANGE, /* what is written sets or clears status bits; reads as zero */
	REGISTER_DEBUG_CONTROL,
	REGISTER_INFORMATION, /* INUSE and PERF_CAPABILITIES */
	REGISTER_OTHERS,      /* shared with the rest of the processor, and not to be written */
};

enum register_writes {
	WRITES_KEPT,    /* the bits that are kept */
	WRITES_FAULT,   /* whatever is written */
	WRITES_IGNORED, /* the same */
	WRITES_ACT,     /* the bits that are kept do something */
	WRITES_SIGNED,  /* Intel's first counter registers: 32 bits, and copies of the last */
};

struct pmu_register {
	const char *name;
	enum register_kind kind;
	enum register_writes writes;
	uint32_t first;
	unsigned int stride;
	unsigned int numbers;   /* that belong to the row */
	unsigned int there;     /* those that this PMU has; the others are a #GP */
	uint64_t kept, ignored; /* any other bit is a #GP */
};

#define REGISTER_ROWS 16
extern struct pmu_register pmu_registers[REGISTER_ROWS];
extern unsigned int pmu_register_rows;

/* pmu_find() has been called. */
void pmu_registers_find(void);
/* The row of a number, and which one of it; null: it is none of the PMU's. */
const struct pmu_register *pmu_register_of(uint32_t msr, unsigned int *n);
/* What is there is as after RESET. */
bool pmu_register_is_reset(const struct pmu_register *row);
static inline uint32_t pmu_register_msr(const struct pmu_register *row, unsigned int n)
{
	return row->first + n * row->stride;
}

/* pmu_random.c: a register of the PMU's, whether it is there or not; RDPMC's ECX; a value for a
 * register. */
uint32_t pmu_random_msr(uint64_t *state);
uint32_t pmu_random_index(uint64_t *state);
uint64_t pmu_random_value(uint64_t *state, uint32_t msr);

#endif
