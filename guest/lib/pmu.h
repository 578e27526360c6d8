/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU as a test guest uses it: its MSRs, what CPUID says of it, and
 * measured calls. SDM vol. 3, "Performance Monitoring"; vol. 4 for the MSRs.
 */
#ifndef GUEST_PMU_H
#define GUEST_PMU_H

#include "guest.h"

enum {
	MSR_PMC0 = 0x0c1,
	MSR_PERFEVTSEL0 = 0x186,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_DEBUGCTL = 0x1d9,
	MSR_FIXED_CTR0 = 0x309,
	MSR_PERF_CAPABILITIES = 0x345,
	MSR_FIXED_CTR_CTRL = 0x38d,
	MSR_GLOBAL_STATUS = 0x38e,
	MSR_GLOBAL_CTRL = 0x38f,
	MSR_GLOBAL_OVF_CTRL = 0x390, /* GLOBAL_STATUS_RESET from version 4 on */
	MSR_GLOBAL_STATUS_SET = 0x391,
	MSR_GLOBAL_INUSE = 0x392,
	MSR_A_PMC0 = 0x4c1,
};

/* PERFEVTSEL */
enum {
	SEL_USR = 1 << 16,
	SEL_OS = 1 << 17,
	SEL_EDGE = 1 << 18,
	SEL_PC = 1 << 19,
	SEL_INT = 1 << 20,
	SEL_ANY = 1 << 21,
	SEL_EN = 1 << 22,
	SEL_INV = 1 << 23,
	SEL_ALL = SEL_USR | SEL_OS | SEL_EN,
};
#define SEL_CMASK(n) ((uint64_t)(n) << 24)

/* Select and unit mask, as in PERFEVTSEL's low 16 bits. */
enum event {
	EVENT_CYCLES = 0x003c,
	EVENT_INSTRUCTIONS = 0x00c0,
	EVENT_REF_CYCLES = 0x013c,
	EVENT_LLC_REFERENCES = 0x4f2e,
	EVENT_LLC_MISSES = 0x412e,
	EVENT_BRANCHES = 0x00c4,
	EVENT_BRANCH_MISSES = 0x00c5,
	EVENT_SKYLAKE_CONDITIONAL = 0x01c4,
	EVENT_SKYLAKE_CALLS = 0x02c4,
	EVENT_SKYLAKE_ALL_BRANCHES = 0x04c4,
	EVENT_SKYLAKE_RETURNS = 0x08c4,
	EVENT_SKYLAKE_FAR_BRANCHES = 0x40c4,
	EVENT_SKYLAKE_LOADS = 0x81d0,
	EVENT_SKYLAKE_STORES = 0x82d0,
	EVENT_SKYLAKE_INTERRUPTS = 0x01cb,
	EVENT_SKYLAKE_BRANCH_MISSES = 0x04c5,
	EVENT_SKYLAKE_L1D_REPLACEMENT = 0x0151,
	EVENT_SKYLAKE_L1I_MISSES = 0x0283,
	EVENT_SKYLAKE_OFFCORE_0 = 0x01b7,
	EVENT_SKYLAKE_OFFCORE_1 = 0x01bb,
	EVENT_SKYLAKE_L1D_LOAD_MISSES = 0x08d1,
	EVENT_SKYLAKE_DTLB_MISSES = 0x0e08,
};

/* FIXED_CTR_CTRL, one counter's four bits. */
enum { FIXED_OS = 1, FIXED_USR = 2, FIXED_ANY = 4, FIXED_PMI = 8, FIXED_ALL = 3 };
#define FIXED_FIELD(counter, bits) ((uint64_t)(bits) << 4 * (counter))
#define FIXED_BIT(counter)         (1ull << (32 + (counter)))
#define RDPMC_FIXED                0x40000000

/* GLOBAL_STATUS and its relatives, beside the counters' bits. */
#define STATUS_TOPA    (1ull << 55)
#define STATUS_LBR_FRZ (1ull << 58)
#define STATUS_CTR_FRZ (1ull << 59)
#define STATUS_ASCI    (1ull << 60)
#define STATUS_UNCORE  (1ull << 61)
#define STATUS_BUFFER  (1ull << 62)
#define STATUS_CHANGED (1ull << 63)
#define INUSE_PMI      (1ull << 63)

#define DEBUGCTL_FREEZE_PERFMON_ON_PMI (1ull << 12)
#define CAPABILITIES_FW_WRITE          (1ull << 13)

/* What CPUID says; pmu_find() fills it. */
struct pmu {
	unsigned int version, general, general_width, fixed, fixed_width;
	uint32_t unavailable; /* EBX, with the bits past its length set */
	bool full_width;      /* PERF_CAPABILITIES.FW_WRITE */
	bool any_thread_gone; /* EDX[15] */
};

extern struct pmu pmu;

/* False: there is none. */
bool pmu_find(void);
/* A test guest that needs a PMU calls this first; without one there is one failed verdict. */
void pmu_need(void);
uint64_t pmu_all(void); /* all counters' bits in GLOBAL_CTRL */
uint64_t pmu_general_mask(void);
uint64_t pmu_value_mask(void); /* of a general counter */
/* Everything off, all counters, selects and status bits zero. */
void pmu_clear(void);

/* One counter of either kind: general from 0, fixed from 32. */
uint64_t counter_read(unsigned int counter);
void counter_write(unsigned int counter, uint64_t value);
uint32_t counter_index(unsigned int counter); /* for RDPMC */
/* Let a counter count an event (a fixed one its own); the flags are PERFEVTSEL's. */
void counter_program(unsigned int counter, enum event event, uint64_t flags);

/*
 * WRMSR enable to msr, call, WRMSR disable to the same MSR. What runs while
 * counting, beside the function: the call itself, three moves, and the
 * disabling WRMSR.
 */
enum { MEASURE_INSTRUCTIONS = 5, MEASURE_BRANCHES = 1 };
struct measure {
	uint64_t enable, disable;
	void (*function)(void *);
	void *argument;
	uint32_t msr;
};
void measured_call(const struct measure *measure);

/* The usual one: by GLOBAL_CTRL, all counters. */
void measure_all(void (*function)(void *), void *argument);

#endif
