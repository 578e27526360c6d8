/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks that QEMU leaves in the middle without an exception, and without a
 * word to a plugin: at a device access, and when a store changes the block's
 * own code. QEMU then runs the instruction again in a block of its own, and
 * goes on in a new one behind it.
 *
 * So a lone instruction that stands in the middle of the block before it is
 * such a re-run: by itself it would have been followed by more, as it was
 * there. What the block before has counted from there on is taken off. The
 * re-run after a device access counts nothing but has its memory callbacks.
 */
#include "plugin.h"

static bool find(const struct block *block, const char *code, unsigned int *index)
{
	for (unsigned int i = 0; i < block->count; i++)
		if (block->code + block->insn[i].offset == code) {
			*index = i;
			return true;
		}
	return false;
}

/* After each access of a lone instruction; the first of them finds the facts. */
void rerun_accessed(unsigned int vcpu_index, uint32_t info, uint64_t vaddr, void *userdata)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	struct score *score = vcpu_score(vcpu);
	const struct block *lone = userdata;
	const struct block *before = (const struct block *)(uintptr_t)score->block;
	bool counted = score->alone != 0;
	unsigned int index;

	(void)info;
	(void)vaddr;
	if (before && before != lone && find(before, lone->code, &index))
		source_correct(vcpu, before, counted ? index : index + 1);
	score->block = counted || before == lone ? (uint64_t)(uintptr_t)lone : 0;
	score->alone = 0;
}
