/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks that QEMU leaves in the middle without an exception, and REPs that it
 * enters again: their counts are corrected.
 */
#ifndef VPMU_QEMU_RERUN_H
#define VPMU_QEMU_RERUN_H

#include "count/score.h"
#include "translate/block.h"

struct vcpu;

struct rerun {
	/* When translations go, their blocks' memory goes: score.block points to a copy then. */
	struct block *kept_block, *kept_lone_block;
};

/* QEMU's callback after each memory access of a block of one instruction. */
void rerun_accessed(unsigned int vcpu_index, uint32_t info, uint64_t vaddr, void *block);
/* QEMU's callback when such a block starts and the one before it has made no access. */
void rerun_lone_started(unsigned int vcpu_index, void *block);
/* QEMU's callback when a REP starts, unless the block before it was the same. */
void rerun_rep_started(unsigned int vcpu_index, void *block);

/*
 * Make the totals what has retired before this block, which is starting and whose own
 * instructions are not in the totals now. Blocks before it are not corrected later. NULL:
 * the block that starts is one that is not counted.
 */
void rerun_settle(struct vcpu *vcpu, const struct block *next);

/* An exception has come before a lone instruction has made its access. */
void rerun_faulted(struct vcpu *vcpu, const struct block *before, const struct block *lone);

/* An interrupt from this address, and level, has come after a block that ends with a REP. */
void rerun_interrupted(struct vcpu *vcpu, const struct block *block, enum level level,
		       uint64_t from);

/*
 * The translations are about to go, and their blocks with them. The next callback may still
 * correct the last blocks that ran: keep copies of them.
 */
void rerun_keep(struct vcpu *vcpu);

#endif
