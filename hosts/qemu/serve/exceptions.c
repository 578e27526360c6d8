/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See exceptions.h. A block that an exception or interrupt ends has been counted as
 * a whole: what did not run is taken off.
 */
#include "exceptions.h"
#include "guest/frame.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "models/branches.h"
#include "translate/hooks.h"
#include "vcpu.h"

void exceptions_reset(struct vcpu *vcpu)
{
	vcpu->exceptions.raised = false;
}

void exceptions_raised(struct vcpu *vcpu)
{
	const struct score *score = vcpu_score(vcpu);

	vcpu->exceptions.raised = true;
	if (score->block || score->alone)
		vcpu->exceptions.raised_at = level_now();
	fixup_apply(vcpu);
	rdpmc_raised(vcpu);
}

/* INT n has retired where its handler returns behind it; the other one is its own #GP. */
static bool is_trap(uint64_t from, unsigned int length)
{
	struct frame frame;
	uint64_t base;

	if (!frame_read(&frame))
		return false;
	base = from + length - frame.ip;
	if (!(reg_read(GUEST_CR0) & CR0_PE) || frame.flags & FLAGS_VM)
		return base == (frame.cs & UINT16_MAX) << 4;
	/* A segment's base is not known; a frame with an error code has something else for flags.
	 */
	return base == 0 ||
	       (base <= UINT32_MAX && base % 16 == 0 && (frame.flags & FLAGS_FIXED) == FLAGS_ONE);
}

/*
 * Mappings share translations, so the address in its page tells the instruction.
 * Code that counts may be left behind for code of the other level that does not.
 */
static bool uncount_from(struct vcpu *vcpu, const struct block *block, uint64_t from)
{
	if (!block || block->level != vcpu->exceptions.raised_at)
		return false;
	for (unsigned int i = 0; i < block->count; i++)
		if ((block->vaddr + block->insn[i].offset) % PAGE == from % PAGE) {
			totals_correct(vcpu, block, i + is_trap(from, block->insn[i].length));
			return true;
		}
	return false;
}

/* What ran has been counted as a whole block, or as one of a lone instruction. */
static void correct_cut_block(struct vcpu *vcpu, uint64_t from)
{
	const struct score *score = vcpu_score(vcpu);
	const struct block *block = as_block(score->block);
	const struct block *alone = as_block(score->alone);

	vcpu_leave_block(vcpu);
	if ((!block && !alone) || frame_is_fetch_fault(from))
		return;
	if (!uncount_from(vcpu, alone, from))
		uncount_from(vcpu, block, from);
}

static void interrupted(struct vcpu *vcpu, uint64_t from)
{
	const struct block *block = as_block(vcpu_score(vcpu)->block);
	struct frame frame;

	if (block && block->repeats)
		rerun_interrupted(vcpu, block,
				  frame_read(&frame) ? frame_level(&frame) : LEVEL_KERNEL, from);
	vcpu_leave_block(vcpu);
	source_count(vcpu, CLASS_INTERRUPT, LEVEL_KERNEL); /* received where its handler begins */
}

void exceptions_delivered(struct vcpu *vcpu, uint64_t from, uint64_t to)
{
	bool exception = vcpu->exceptions.raised;

	vcpu->exceptions.raised = false;
	if (vcpu->stale == STALE_AWAITED)
		hooks_add(to);
	lapic_delivered(vcpu, exception, from);
	branches_interrupted(vcpu, exception, from);
	if (rdpmc_delivered(vcpu, exception, to))
		return;
	fixup_apply(vcpu);
	if (exception) {
		correct_cut_block(vcpu, from);
	} else {
		rdpmc_interrupted(vcpu, from);
		interrupted(vcpu, from);
	}
}
