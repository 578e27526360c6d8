/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is known of a block that has been translated. Callbacks and translated code
 * refer to it, so its memory lives as long as the translations.
 */
#ifndef VPMU_QEMU_BLOCK_H
#define VPMU_QEMU_BLOCK_H

#include "count/score.h"
#include "translate/decode.h"

/* An instruction of a counted block, as the corrections need it. */
struct block_insn {
	uint16_t offset; /* of its address from the block's */
	uint8_t classes; /* bit 1 << enum event_class; CLASS_INTERRUPT never */
	uint8_t length : 7;
	bool is_into : 1;
};

/* A counted block. */
struct block {
	uint64_t vaddr;   /* where it was translated; another mapping may run it elsewhere */
	const char *code; /* its bytes in QEMU's memory: the same for all mappings */
	uint64_t entries; /* what it adds to */
	enum level level;
	bool jumps_inside;  /* it may jump into itself, and QEMU may then cut it short */
	bool may_be_rerun;  /* a lone instruction: QEMU may run it to repeat an access (rerun.c) */
	bool ends_with_rep; /* its last instruction is a REP string instruction (rerun.c) */
	uint16_t count;
	struct block_insn insn[];
};

/* A field of struct score. */
static inline const struct block *as_block(uint64_t pointer)
{
	return (const struct block *)(uintptr_t)pointer;
}

/* A lone REP string instruction does not add to the totals itself: rerun.c does. */
static inline bool block_is_lone_rep(const struct block *block)
{
	return block->count == 1 && block->ends_with_rep;
}

/* An instruction that the plugin serves. */
struct site {
	enum insn_kind kind;
	enum level level;
	uint16_t offset; /* of its address from the block's */
	uint8_t length;
	uint16_t page_offset; /* of the block's address in its page */
	bool last;            /* it ends its block ... */
	bool linked;          /* ... and QEMU may link the block to the one behind it */
	uint64_t flags;       /* RF and TF, where they are set when the block starts */
	bool flags_stored; /* TCG has stored the flags: nothing before it in the block uses them */
	uint16_t counted_ahead[CLASS_COUNT]; /* instructions of each class that follow it in its
						block */
	uint16_t classes;                    /* of the instruction itself */
};

/* A block of that many instructions. */
struct block *block_new(size_t count);
/* Memory from g_malloc(): it is freed with the blocks. Returns it. */
void *block_keep(void *memory);
/* QEMU has thrown all translations away, and no vCPU runs. */
void block_free_all(void);

#endif
