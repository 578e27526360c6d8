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
 *
 * Under -icount QEMU cuts blocks short, and then a lone instruction may also be
 * one that the block before it has jumped to: such blocks say that they have ended.
 *
 * A REP is entered again after some iterations (of one under -icount), and after
 * an interrupt between two of them. It counts once, when it has come to its end: it
 * is counted where it is entered, not when the block before it is the same REP,
 * and taken off when an exception or interrupt comes before its end.
 */
#include "rerun.h"
#include "guest/x86.h"
#include "totals.h"
#include "vcpu.h"
#include <string.h>

static bool find(const struct block *block, const char *code, unsigned int *index)
{
	for (unsigned int i = 0; i < block->count; i++)
		if (block->code + block->insn[i].offset == code) {
			*index = i;
			return true;
		}
	return false;
}

/* Was the block before left at this lone instruction, one of its own? */
static bool is_left_at(const struct score *score, const struct block *before,
		       const struct block *lone, unsigned int *index)
{
	return before && before != lone && !(before->jumps_inside && score->block_ended) &&
	       find(before, lone->code, index);
}

/* After each access of a lone instruction; the first of them finds the facts. */
void rerun_accessed(unsigned int vcpu_index, uint32_t info, uint64_t vaddr, void *userdata)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	struct score *score = vcpu_score(vcpu);
	const struct block *lone = userdata;
	const struct block *before = as_block(score->block);
	bool counted = score->lone_block != 0;
	unsigned int index;

	(void)info;
	(void)vaddr;
	if (is_left_at(score, before, lone, &index))
		totals_correct(vcpu, before, counted ? index : index + 1);
	score->block = counted || before == lone ? (uint64_t)(uintptr_t)lone : 0;
	score->lone_block = 0;
}

void rerun_faulted(struct vcpu *vcpu, const struct block *before, const struct block *lone)
{
	unsigned int index;

	if (is_left_at(vcpu_score(vcpu), before, lone, &index))
		totals_correct(vcpu, before, index);
}

/* The lone instruction before has not made its access, and this is the same, translated again. */
static bool is_left_at_access(const struct block *before, const struct block *lone)
{
	return before && before != lone && before->code == lone->code;
}

/* A lone instruction starts and the one before it has not made its access. */
void rerun_lone_started(unsigned int vcpu_index, void *userdata)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	const struct block *lone = userdata;
	const struct block *before = as_block(vcpu_score(vcpu)->lone_block);

	if (is_left_at_access(before, lone))
		totals_correct(vcpu, before, 0);
}

static const struct block_insn *last_of(const struct block *block)
{
	return &block->insn[block->count - 1];
}

/* Has the REP at the end of the block before not come to its end? */
static bool is_entered_again(const struct block *before, const struct block *block)
{
	return before && before->ends_with_rep &&
	       before->code + last_of(before)->offset == block->code;
}

/* A REP starts that the block before it was not. */
void rerun_rep_started(unsigned int vcpu_index, void *userdata)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	const struct block *block = userdata;
	const struct block *before = as_block(vcpu_score(vcpu)->block);

	if (!is_entered_again(before, block))
		totals_add(vcpu, block);
}

void rerun_settle(struct vcpu *vcpu, const struct block *next)
{
	struct score *score = vcpu_score(vcpu);
	const struct block *before = as_block(score->block);
	const struct block *lone_before = as_block(score->lone_block);
	unsigned int index;

	if (next && next->may_be_rerun && is_left_at(score, before, next, &index))
		totals_correct(vcpu, before, index);
	if (next && next->may_be_rerun && is_left_at_access(lone_before, next))
		totals_correct(vcpu, lone_before, 0);
	if (next && is_entered_again(before, next))
		totals_correct(vcpu, before, before->count - 1u);
	vcpu_leave_block(vcpu);
}

/* The block before the interrupt ends with a REP; it has run to its end, but perhaps not the REP.
 */
void rerun_interrupted(struct vcpu *vcpu, const struct block *block, enum level level,
		       uint64_t from)
{
	if (block->level == level && (block->vaddr + last_of(block)->offset) % PAGE == from % PAGE)
		totals_correct(vcpu, block, block->count - 1u);
}

/* A pointer to a copy that outlives the block, which may be that of the translations before. */
static uint64_t keep(struct block **copy, uint64_t pointer)
{
	const struct block *block = as_block(pointer);
	size_t size;

	if (!block || block == *copy)
		return pointer;
	size = sizeof(*block) + block->count * sizeof(block->insn[0]);
	*copy = g_realloc(*copy, size);
	memcpy(*copy, block, size);
	return (uint64_t)(uintptr_t)*copy;
}

void rerun_keep(struct vcpu *vcpu)
{
	struct score *score = vcpu_score(vcpu);

	score->block = keep(&vcpu->rerun.kept_block, score->block);
	score->lone_block = keep(&vcpu->rerun.kept_lone_block, score->lone_block);
}
