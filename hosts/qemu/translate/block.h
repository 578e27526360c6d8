/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is known of a block that has been translated, and the memory that
 * callbacks and translated code refer to: it goes with the translations.
 */
#ifndef VPMU_QEMU_BLOCK_H
#define VPMU_QEMU_BLOCK_H

#include "count/score.h"
#include "translate/decode.h"

/* An instruction of a counted block, as the corrections need it. */
struct block_insn {
	uint16_t offset; /* of its address from the block's */
	uint8_t classes; /* bit 1 << enum event_class; CLASS_INTERRUPT never */
	uint8_t length;
};

/* A counted block. Lives until QEMU throws its translations away; see rerun_keep_rep(). */
struct block {
	uint64_t vaddr;   /* where it was translated: another mapping may run it elsewhere */
	const char *code; /* where QEMU has its bytes, if it has: the same for all mappings */
	uint64_t entries; /* which totals it adds to: bit per entry */
	enum level level;
	bool jumps_inside;  /* it may jump into itself, and QEMU may then cut it short */
	bool ends_with_rep; /* its last instruction is a REP, which may be entered again (rerun.c)
			     */
	uint16_t count;
	struct block_insn insn[];
};

/* From a score. */
static inline const struct block *as_block(uint64_t pointer)
{
	return (const struct block *)(uintptr_t)pointer;
}

/* An instruction that the plugin serves. */
struct site {
	enum insn_kind kind;
	enum level level;
	uint16_t offset; /* of its address from the block's */
	uint8_t length;
	uint16_t page_offset; /* of the block's address in its page */
	bool last;            /* nothing follows it in its block */
	bool flags_stored;    /* no instruction before it in the block writes flags */
	uint16_t counted_ahead[CLASS_COUNT]; /* counted with the block but not before this one */
	uint16_t classes;                    /* its own classes */
};

/* A block for that many instructions; translated code may have its address. */
struct block *block_new(size_t count);
/* Memory from g_malloc(), until QEMU throws its translations away. */
void *block_keep(void *memory);
/* QEMU has thrown its translations away. */
void block_forget_all(void);

#endif
