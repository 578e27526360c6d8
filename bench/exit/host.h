/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The host that each candidate of vpmu bench exit lives in: a vCPU, and the loop
 * that emulates instructions for it. A candidate is a struct exit_candidate in a
 * file of its own. All of them are compiled twice, see meson.build.
 */
#ifndef VPMU_BENCH_EXIT_HOST_H
#define VPMU_BENCH_EXIT_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

/* What the exit path reads and writes of a vCPU, whatever its PMU is. */
struct exit_vcpu {
	uint64_t rip;
	uint64_t rflags;
	uint64_t next;   /* rip behind the instruction that is emulated, as the processor says */
	uint32_t shadow; /* interrupts are held back for one instruction */
	uint8_t level;   /* privilege level */
};

#define EXIT_RFLAGS_TF (1u << 8)

/* The PMU that a guest has. version 0: off; version 1: without global control. */
struct exit_guest {
	enum vpmu_vendor_id vendor;
	unsigned int version;
	unsigned int general;
	unsigned int fixed;
};

struct exit_candidate {
	const char *name;
	/* A vCPU whose PMU is in its RESET state. */
	struct exit_vcpu *(*create)(const struct exit_guest *guest);
	void (*destroy)(struct exit_vcpu *vcpu);
	/* The guest writes a PMU register, and runs on. */
	void (*wrmsr)(struct exit_vcpu *vcpu, uint32_t msr, uint64_t value);
	/* Emulate count instructions, nothing between them. */
	void (*run)(struct exit_vcpu *vcpu, unsigned long count);
	/* The same, but none begins before the one before it is over. */
	void (*run_apart)(struct exit_vcpu *vcpu, unsigned long count);
	/* What the guest would read from its counters, added up; NULL: has none. */
	uint64_t (*counted)(struct exit_vcpu *vcpu);
};

extern const struct exit_candidate exit_floor;
extern const struct exit_candidate exit_walk;
extern const struct exit_candidate exit_guard;
extern const struct exit_candidate exit_mask;
extern const struct exit_candidate exit_ours;
extern const struct exit_candidate exit_ours_service;

/* The candidates as one compilation made them. */
#define EXIT_CANDIDATES 6
struct exit_build {
	const struct exit_candidate *candidates[EXIT_CANDIDATES]; /* the floor first */
};

/*
 * The rest of a host, in host.c and so never inlined: where a hypervisor asks its
 * vendor's part for the flags and to step over the instruction, and what a
 * single-stepping guest gets, which none of these loops runs into.
 */
uint64_t exit_rflags(const struct exit_vcpu *vcpu);
bool exit_skip(struct exit_vcpu *vcpu);
int exit_single_step(struct exit_vcpu *vcpu);

/*
 * One loop for all. emulate is named by each caller, so the call is direct; what
 * it does to memory stays in the loop, since the compiler does not know where
 * the vCPU has been.
 */
static inline __attribute__((always_inline)) void
exit_loop(struct exit_vcpu *vcpu, unsigned long count, int (*emulate)(struct exit_vcpu *))
{
	for (; count; count--) {
		emulate(vcpu);
		__asm__ volatile("" : "+r"(vcpu) : : "memory");
	}
}

static inline __attribute__((always_inline)) void
exit_loop_apart(struct exit_vcpu *vcpu, unsigned long count, int (*emulate)(struct exit_vcpu *))
{
	for (; count; count--) {
		emulate(vcpu);
#if defined(__x86_64__)
		__asm__ volatile("lfence" : "+r"(vcpu) : : "memory");
#else
		__asm__ volatile("" : "+r"(vcpu) : : "memory");
#endif
	}
}

/*
 * What every host does besides: rflags before, finish after. Between them it steps
 * over the instruction and tells its PMU.
 */
static inline int exit_finish(struct exit_vcpu *vcpu, uint64_t rflags)
{
	if (__builtin_expect((rflags & EXIT_RFLAGS_TF) != 0, 0))
		return exit_single_step(vcpu);
	return 1;
}

#endif
