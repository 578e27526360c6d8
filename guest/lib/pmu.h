/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU as a test guest uses it, Intel's and AMD's: its MSRs, what CPUID says of it, and
 * measured calls. SDM vol. 3, "Performance Monitoring"; vol. 4 for the MSRs. APM vol. 2,
 * "Performance Monitoring Counters".
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

/* AMD's: of PerfMonV2, of the K7's four counters, and of the core extension's, each second one. */
enum {
	MSR_AMD_GLOBAL_STATUS = 0xc0000300,
	MSR_AMD_GLOBAL_CTRL = 0xc0000301,
	MSR_AMD_GLOBAL_STATUS_CLR = 0xc0000302,
	MSR_AMD_GLOBAL_STATUS_SET = 0xc0000303,
	MSR_K7_SELECT0 = 0xc0010000,
	MSR_K7_COUNTER0 = 0xc0010004,
	MSR_PERF_CTL0 = 0xc0010200,
	MSR_PERF_CTR0 = 0xc0010201,
};

/* PERFEVTSEL */
enum {
	SEL_USR = 1 << 16,
	SEL_OS = 1 << 17,
	SEL_PC = 1 << 19,
	SEL_INT = 1 << 20,
	SEL_ANY = 1 << 21,
	SEL_EN = 1 << 22,
	SEL_INV = 1 << 23,
	SEL_ALL = SEL_USR | SEL_OS | SEL_EN,
};
#define SEL_CMASK(n) ((uint64_t)(n) << 24)

/* AMD's event selects, bits above these. */
#define SEL_GUEST_ONLY (1ull << 40)
#define SEL_HOST_ONLY  (1ull << 41)

/* What can be counted; pmu.c has the encodings, by vendor. */
enum event {
	EVENT_CYCLES,
	EVENT_INSTRUCTIONS,
	EVENT_REF_CYCLES,
	EVENT_LLC_REFERENCES,
	EVENT_LLC_MISSES,
	EVENT_BRANCHES,
	EVENT_BRANCH_MISSES,
	EVENT_CONDITIONAL,
	EVENT_CALLS,
	EVENT_RETURNS,
	EVENT_FAR_BRANCHES,
	EVENT_LOADS,
	EVENT_STORES,
	EVENT_INTERRUPTS,
	/* Skylake's own. */
	EVENT_SKYLAKE_ALL_BRANCHES,
	EVENT_SKYLAKE_BRANCH_MISSES,
	EVENT_SKYLAKE_L1D_REPLACEMENT,
	EVENT_SKYLAKE_L1I_MISSES,
	EVENT_SKYLAKE_OFFCORE_0,
	EVENT_SKYLAKE_OFFCORE_1,
	EVENT_SKYLAKE_L1D_LOAD_MISSES,
	EVENT_SKYLAKE_DTLB_MISSES,
};

/* FIXED_CTR_CTRL, one counter's four bits. */
enum { FIXED_OS = 1, FIXED_USR = 2, FIXED_ANY = 4, FIXED_PMI = 8, FIXED_ALL = 3 };
#define FIXED_FIELD(counter, bits) ((uint64_t)(bits) << 4 * (counter))
#define FIXED_BIT(counter)         (1ull << (32 + (counter)))
#define RDPMC_FIXED                0x40000000

/* GLOBAL_STATUS and its relatives, beside the counters' bits. */
#define STATUS_LBR_FRZ (1ull << 58)
#define STATUS_CTR_FRZ (1ull << 59)
#define STATUS_BUFFER  (1ull << 62)
#define STATUS_CHANGED (1ull << 63)
#define INUSE_PMI      (1ull << 63)

#define DEBUGCTL_FREEZE_LBRS           (1ull << 11)
#define DEBUGCTL_FREEZE_PERFMON_ON_PMI (1ull << 12)
#define CAPABILITIES_FW_WRITE          (1ull << 13)

/*
 * "kvm=1": KVM's guest. Its VMM writes a zero to GLOBAL_CTRL at RESET and hides the bit of
 * CPUID.80000022H that tells of freezing, KVM has DbgCtl's bits, and what KVM emulates takes no
 * cycles of the guest's.
 */
bool is_kvm_guest(void);

/* What CPUID says, and what follows from it; pmu_find() fills it. */
struct pmu {
	bool amd;
	unsigned int version; /* AMD: 2 is PerfMonV2 */
	unsigned int general, general_width, fixed, fixed_width;
	uint32_t unavailable; /* EBX, with the bits past its length set */
	bool full_width;      /* PERF_CAPABILITIES.FW_WRITE */
	bool any_thread_gone; /* EDX[15] */
	uint32_t leaf;        /* CPUID's, that shows the PMU */

	/* The registers of the first general counter, and the way to the next. */
	uint32_t select, value, stride;
	/* 0: there is none. Without global control event selects alone let counters count. */
	uint32_t global_ctrl, status, status_clear, status_set;
	uint64_t frozen; /* the status bit that stops all counters; 0: there is none */
	uint32_t masked; /* what a PMI sets in LVTPC */
};

extern struct pmu pmu;

/* False: there is none. */
bool pmu_find(void);
/* A test guest that needs a PMU calls this first; without one there is one failed verdict. */
void pmu_need(void);
/* A number that is a register of other PMUs, and faults; 0: there is none. */
uint32_t pmu_absent_msr(void);
uint64_t pmu_all(void); /* all counters' bits in GLOBAL_CTRL */
uint64_t pmu_general_mask(void);
uint64_t pmu_value_mask(void); /* of a general counter */
/* Everything off, all counters, selects and status bits zero. */
void pmu_clear(void);

/* The counters whose status bits are set, and more such bits; 0 without a status. */
uint64_t pmu_status(void);
void pmu_clear_status(uint64_t bits);
/* What the end of a PMI's handler does: no status bit, and LVTPC as it should be. */
void pmu_acknowledge(uint32_t lvtpc);

bool event_exists(enum event event);
/* PERFEVTSEL; 0 if there is no such event. */
uint64_t event_select(enum event event, uint64_t flags);

/* One counter of either kind: general from 0, fixed from 32. */
uint64_t counter_read(unsigned int counter);
void counter_write(unsigned int counter, uint64_t value);
uint32_t counter_msr(unsigned int counter);
uint32_t select_msr(unsigned int counter);    /* of a general one */
uint32_t counter_index(unsigned int counter); /* for RDPMC */
/*
 * Let a counter count an event (a fixed one its own); the flags are PERFEVTSEL's. It counts from
 * counters_start() on.
 */
void counter_program(unsigned int counter, enum event event, uint64_t flags);
/* By GLOBAL_CTRL where there is one, else one after the other. */
void counters_start(uint64_t counters);
void counters_stop(void);
bool counters_are_on(void);

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

/* The usual one: all counters that are programmed. */
void measure_all(void (*function)(void *), void *argument);
/* What each of them counts beside the function; how much of it before the function. */
unsigned int measure_instructions(void);
unsigned int measure_instructions_before(unsigned int counter);

#endif
