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
	/* Copies of those that score.block and score.lone_block have, where their memory is gone. */
	struct block *kept_block, *kept_lone_block;
};

/* Callbacks: after each access of a lone instruction, ... */
void rerun_accessed(unsigned int vcpu_index, uint32_t info, uint64_t vaddr, void *block);
/* ... as one starts and the one before it has made no access, ... */
void rerun_lone_started(unsigned int vcpu_index, void *block);
/* ... as a REP starts that the block before it was not. */
void rerun_rep_started(unsigned int vcpu_index, void *block);

/*
 * A block starts that has not been counted, or not yet: make the totals what has retired.
 * What came before it is not corrected any more. NULL: a block that is not counted.
 */
void rerun_settle(struct vcpu *vcpu, const struct block *next);

/* An exception has come before a lone instruction has made its access. */
void rerun_faulted(struct vcpu *vcpu, const struct block *before, const struct block *lone);

/* An interrupt from this address, and level, has come after a block that ends with a REP. */
void rerun_interrupted(struct vcpu *vcpu, const struct block *block, enum level level,
		       uint64_t from);

/* The translations go, and the blocks with them; what comes next may be about the last ones. */
void rerun_keep(struct vcpu *vcpu);

#endif
