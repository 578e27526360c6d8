/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the parts of the fuzzing guest share: snippets of code with PMU
 * instructions in them, what one run of a snippet left behind, and what is
 * known of a processor's PMU.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "pmu_registers.h"

#define CODE_SIZE        (2 * PAGE)
#define ACCESSES_MAX     3
#define SNIPPET_MAX      320
#define STOPS_MAX        96
#define COUNTERS_MAX     64 /* general from 0, fixed from 32 */
#define MSR_X2APIC_LVTPC 0x834

/* All registers but RSP and RIP; fuzz.S knows the offsets. */
struct registers {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rflags, target, rsp, rsp_before;
};

enum access_kind { ACCESS_RDMSR, ACCESS_WRMSR, ACCESS_RDPMC, ACCESS_CPUID, ACCESS_KINDS };

struct access {
	enum access_kind kind;
	bool locked;
	bool patched; /* written by the code before it */
	uint8_t length;
	uint64_t rax, rcx, rdx; /* what it finds */
};

struct snippet {
	uint8_t bytes[SNIPPET_MAX];
	unsigned int size, accesses;
	struct access access[ACCESSES_MAX];
	uint16_t at[ACCESSES_MAX];    /* the accesses' places in bytes */
	uint16_t patch[ACCESSES_MAX]; /* the immediates that are stored over them */
};

struct results {
	uint64_t rax, rdx, rbx, rcx;
};

/* What a run leaves. */
struct outcome {
	struct registers registers;
	struct results results[ACCESSES_MAX];
	uint64_t memory[4];
	uint8_t faults[ACCESSES_MAX]; /* the vector; 0: none */
	unsigned int page_faults, stops;
	uint16_t stop_at[STOPS_MAX]; /* single-step traps: from the snippet's start */
	uint16_t stop_flags[STOPS_MAX];
};

/* What is known of a processor's PMU from what it has written. */
struct shadow {
	uint64_t select[8], fixed_control, global_control, debugctl;
	bool global_known, debugctl_known; /* a PMI may have changed them */
	struct shadow_counter {
		uint64_t value;
		bool known, ran; /* ran: it may have counted since */
	} counter[COUNTERS_MAX];
};

/* One processor's work. */
struct worker {
	uint64_t state, handler_state, pmis_before;
	volatile uint64_t turns, faults, pmis, stops, page_faults, accesses;
	bool user, pce, step, missing;
	struct snippet snippet;
	unsigned int place; /* of the snippet in its processor's code */
	uint64_t entry;
	struct registers in;
	struct outcome *outcome; /* of the run under way */
	struct outcome with, without;
	struct shadow shadow;
	uint64_t memory[4];
};

extern struct worker workers[MAX_CPUS];

enum verdict { MAY_FAULT, WORKS, FAULTS };

static inline unsigned int below(uint64_t *state, unsigned int n)
{
	return (unsigned int)((next_random(state) >> 32) % n);
}

/* One time in n. */
static inline bool chance(uint64_t *state, unsigned int n)
{
	return below(state, n) == 0;
}

/* fuzz_code.c */
void snippet_make(struct snippet *snippet, uint64_t *state, bool user);
/* Write it to memory, with its accesses or with as long NOPs in their places. */
void snippet_write(const struct snippet *snippet, uint8_t *to, bool accesses);

/* fuzz_shadow.c */
/* Before the first. */
void shadow_prepare(void);
void shadow_reset(struct shadow *shadow);
enum verdict shadow_expect(const struct access *access, bool user, bool pce);
/* NULL, or what is wrong with what an access that did not fault has read. */
const char *shadow_follow(struct shadow *shadow, const struct access *access,
			  const struct results *results);
/* A PMI's handler may have stopped the counters since the last call. */
void shadow_forget_control(struct shadow *shadow);

/* fuzz_judge.c */
extern volatile unsigned int findings;
void judge_registers(const struct worker *worker);
void judge_stops(const struct worker *worker);
/* RBX as it should be before the access, given that behind the one before it. */
uint64_t judge_access(struct worker *worker, unsigned int i, uint64_t rbx);
void print_snippet(const struct worker *worker);
/* One processor at a time prints. */
void print_lock(void);
void print_unlock(void);

/* fuzz.S */
void fuzz_run(const struct registers *in, struct registers *out);

#endif
