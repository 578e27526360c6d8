/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What translated code writes for a vCPU: the score, QEMU's word for it.
 */
#ifndef VPMU_QEMU_SCORE_H
#define VPMU_QEMU_SCORE_H

#include "abi.h"
#include "events.h"

/*
 * A block runs at one privilege level. A counter counts at one level or at both, so
 * each class has three totals. An event then never needs the sum of two, and an alarm
 * is a threshold on a single total.
 */
enum level { LEVEL_USER, LEVEL_KERNEL, LEVEL_ANY, LEVEL_COUNT };

/* The total of a class at a level is an entry. A set of entries is a mask. */
#define ENTRY_COUNT (CLASS_COUNT * LEVEL_COUNT)
_Static_assert(ENTRY_COUNT <= 64, "a bit per entry");

static inline unsigned int entry_of(enum event_class class, enum level level)
{
	return (unsigned int)class * LEVEL_COUNT + (unsigned int)level;
}

static inline uint64_t entry_bit(unsigned int entry)
{
	return UINT64_C(1) << entry;
}

/* Totals are kept with a bias, so that each reaches its nearest alarm at this value. */
#define THRESHOLD (UINT64_C(1) << 63)

struct score {
	uint64_t biased[ENTRY_COUNT]; /* the entry's total, plus its bias (totals.h) */
	uint64_t block;               /* struct block that started last; 0: none */
	uint64_t lone_block;          /* the same, of one that may be a re-run (rerun.c) */
	uint64_t block_ended;         /* whether block has ended; only if it jumps_inside */
	uint64_t hook_pending;        /* the next hook has something to do */
	uint64_t unresolved_branch;   /* struct branch whose outcome is not known yet; 0: none */
	uint64_t fetched_line;        /* the line of code fetched last (models/accesses.c) */
};

/* A power of two: translated code finds its vCPU's score by a shift. */
#define SCORE_SIZE 512
_Static_assert(sizeof(struct score) <= SCORE_SIZE, "a score fits");

extern struct qemu_plugin_scoreboard *scoreboard;

/* A field of struct score, for QEMU's functions. */
static inline qemu_plugin_u64 score_field(size_t offset)
{
	return (qemu_plugin_u64){ scoreboard, offset };
}

static inline qemu_plugin_u64 score_entry(unsigned int entry)
{
	return score_field(offsetof(struct score, biased) + entry * sizeof(uint64_t));
}

#endif
