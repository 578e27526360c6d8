/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A block as it is being translated: what its instructions are.
 */
#ifndef VPMU_QEMU_TRANSLATION_H
#define VPMU_QEMU_TRANSLATION_H

#include "count/score.h"
#include "translate/decode.h"

struct translation {
	struct qemu_plugin_tb *tb;
	size_t count; /* of instructions */
	uint64_t vaddr;
	enum level level;
	struct insn_facts *facts; /* of each instruction; NULL: not decoded */
};

struct translation translation_begin(struct qemu_plugin_tb *tb);
void translation_end(struct translation *t);

/* Make sure that there are facts. */
void translation_decode(struct translation *t);

/* Bit 1 << enum event_class. Without facts: of CLASS_INSTRUCTION alone. */
unsigned int translation_classes(const struct translation *t, size_t index);
/* How many instructions are of the class. */
unsigned int translation_occurrences(const struct translation *t, unsigned int class);

/* Does no instruction before this one use the flags? */
bool translation_flags_stored_at(struct translation *t, size_t index);

enum insn_kind translation_kind(const struct translation *t, size_t index);
/* Is this instruction a REP? */
bool translation_is_rep_string(const struct translation *t, size_t index);
/* Can the block's last instruction lead to another one of its own? */
bool translation_jumps_inside(struct translation *t);
/* Does a direct branch to a place further on end the block? Whatever else does may go back. */
bool translation_jumps_forward(const struct translation *t);

#endif
