/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the parts of the fuzzing guest share: snippets of code with PMU
 * instructions in them, what one run of a snippet left behind, and what is
 * known of a processor's PMU.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "pmu.h"

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
	bool global_known, debugctl_known;
	struct shadow_counter {
		uint64_t value;
		bool known, ran; /* ran: it may have counted since */
	} counter[COUNTERS_MAX];
};

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
void shadow_reset(struct shadow *shadow);
enum verdict shadow_expect(const struct access *access, bool user, bool pce);
/* NULL, or what is wrong with what an access that did not fault has read. */
const char *shadow_follow(struct shadow *shadow, const struct access *access,
			  const struct results *results);
/* A PMI may have come at any moment since the last call. */
void shadow_forget_control(struct shadow *shadow);

/* fuzz.S */
void fuzz_run(const struct registers *in, struct registers *out);

#endif
