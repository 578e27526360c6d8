/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A block as it is being translated: what its instructions are.
 */
#ifndef VPMU_QEMU_TRANSLATION_H
#define VPMU_QEMU_TRANSLATION_H

#include "translate/block.h"

struct translation {
	struct qemu_plugin_tb *tb;
	size_t count; /* of instructions */
	uint64_t vaddr;
	enum level level;
	uint64_t flags;           /* RF and TF, if they are set */
	struct insn_facts *facts; /* of each instruction; NULL: not decoded */
};

struct translation translation_begin(struct qemu_plugin_tb *tb);
void translation_end(struct translation *t);

/* After this, t->facts is not NULL. */
void translation_decode(struct translation *t);

/* The classes of an instruction: bit 1 << enum event_class. Not decoded: CLASS_INSTRUCTION. */
unsigned int translation_classes(const struct translation *t, size_t index);
/* How many instructions are of the class. */
unsigned int translation_occurrences(const struct translation *t, unsigned int class);

/* Has TCG stored the flags at this instruction? It has if none before it uses them. */
bool translation_flags_stored_at(struct translation *t, size_t index);

/* The site at an instruction of that kind. */
struct site translation_site(struct translation *t, size_t index, enum insn_kind kind);

enum insn_kind translation_kind(const struct translation *t, size_t index);
/* What the block's last instruction does to the processor. */
enum insn_end translation_end_kind(const struct translation *t);
/* Is it a string instruction with a REP prefix? */
bool translation_is_rep_string(const struct translation *t, size_t index);
/*
 * May QEMU link the block to the one that begins behind it, for once and all? Not where
 * either could have a breakpoint: a page with breakpoints has blocks of one instruction.
 */
bool translation_may_be_linked(const struct translation *t);
/* Can the block's last instruction jump to an instruction of the block? */
bool translation_jumps_inside(struct translation *t);
/* Does the block end with a direct branch forward? If not, it may close a loop. */
bool translation_jumps_forward(const struct translation *t);

#endif
