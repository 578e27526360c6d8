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
#include "service.h"
#include "vcpu.h"

void exceptions_reset(struct vcpu *vcpu)
{
	vcpu->exceptions.pending = false;
}

void exceptions_raised(struct vcpu *vcpu)
{
	const struct score *score = vcpu_score(vcpu);

	saved_take(vcpu);
	svm_look(vcpu);
	svm_raised(vcpu);
	vcpu->exceptions.pending = true;
	if (score->block || score->lone_block)
		vcpu->exceptions.pending_level = level_now();
	fixup_apply(vcpu);
	hook_raised(vcpu);
	rdpmc_raised(vcpu);
}

/* INT n has retired if the handler returns behind it. If it returns to it, INT n raised #GP. */
static bool is_trap(uint64_t from, unsigned int length)
{
	struct frame frame;
	uint64_t base;

	if (!frame_read(&frame))
		return false;
	base = from + length - frame.ip;
	if (!(reg_read(GUEST_CR0) & CR0_PE) || frame.flags & FLAGS_VM)
		return base == (frame.cs & UINT16_MAX) << 4;
	/* The segment's base is not known. In a frame with an error code, CS is at FLAGS' place. */
	return base == 0 ||
	       (base <= UINT32_MAX && base % 16 == 0 && (frame.flags & FLAGS_FIXED) == FLAGS_ONE);
}

/* Where code has been left that did not run to its block's end. */
struct cut {
	uint64_t from;
	enum level level;
	bool delivered; /* by an exception: there is a frame on the stack */
};

/* What the block has counted from an instruction on at which it has been left. */
static void uncount_from_index(struct vcpu *vcpu, const struct block *block, unsigned int index,
			       const struct cut *cut)
{
	const struct block_insn *insn = &block->insn[index];
	bool trapped = cut->delivered && is_trap(cut->from, insn->length);

	totals_correct(vcpu, block, index + trapped);
	if (!trapped || !insn->is_into)
		return;
	source_count(vcpu, CLASS_BRANCH, block->level);
	source_count(vcpu, CLASS_FAR_BRANCH, block->level);
}

/*
 * False: the instruction is not one of the block's. Mappings share translations, so an
 * instruction is found by the offset of its address in the page. The last counted block
 * may be of another level than the code that raised the exception: a level that no
 * counter counts has no counted blocks.
 */
static bool uncount_from(struct vcpu *vcpu, const struct block *block, const struct cut *cut)
{
	if (!block || block->level != cut->level)
		return false;
	for (unsigned int i = 0; i < block->count; i++)
		if ((block->vaddr + block->insn[i].offset) % PAGE == cut->from % PAGE) {
			uncount_from_index(vcpu, block, i, cut);
			return true;
		}
	return false;
}

/* A block of a lone instruction comes first: the block before it may have the instruction, too. */
static void correct_cut_block(struct vcpu *vcpu, const struct cut *cut)
{
	const struct score *score = vcpu_score(vcpu);
	const struct block *block = as_block(score->block);
	const struct block *lone_block = as_block(score->lone_block);

	vcpu_leave_block(vcpu);
	if ((!block && !lone_block) || (cut->delivered && frame_is_fetch_fault(cut->from)))
		return;
	if (uncount_from(vcpu, lone_block, cut))
		rerun_faulted(vcpu, block, lone_block);
	else
		uncount_from(vcpu, block, cut);
}

void exceptions_leave_whole_block(struct vcpu *vcpu, enum level level, uint64_t from)
{
	const struct block *block = as_block(vcpu_score(vcpu)->block);

	if (block && block->ends_with_rep)
		rerun_interrupted(vcpu, block, level, from);
	vcpu_leave_block(vcpu);
}

static void interrupted(struct vcpu *vcpu, uint64_t from)
{
	struct frame frame;

	exceptions_leave_whole_block(vcpu, frame_read(&frame) ? frame_level(&frame) : LEVEL_KERNEL,
				     from);
	source_count(vcpu, CLASS_INTERRUPT, LEVEL_KERNEL); /* received where its handler begins */
}

/* An exception that was being delivered has been given up. */
void exceptions_left(struct vcpu *vcpu, bool between, enum level level, uint64_t from)
{
	struct cut cut = { .from = from, .level = level };

	if (vcpu->exceptions.pending)
		cut.level = vcpu->exceptions.pending_level;
	vcpu->exceptions.pending = false;
	if (between)
		exceptions_leave_whole_block(vcpu, level, from);
	else
		correct_cut_block(vcpu, &cut);
}

void exceptions_delivered(struct vcpu *vcpu, uint64_t from)
{
	bool exception;
	struct cut cut = { .from = from,
			   .level = vcpu->exceptions.pending_level,
			   .delivered = true };

	saved_take(vcpu);
	svm_look(vcpu);
	exception = vcpu->exceptions.pending;
	vcpu->exceptions.pending = false;
	if (!exception)
		hook_interrupted(vcpu);
	if (vcpu->stale == STALE_AWAITED)
		hook_handler(vcpu, HOOK_START);
	saved_interrupted(vcpu);
	lapic_delivered(vcpu, exception, from);
	branches_interrupted(vcpu, exception, from);
	if (rdpmc_delivered(vcpu, exception))
		return;
	fixup_apply(vcpu);
	if (exception) {
		correct_cut_block(vcpu, &cut);
	} else {
		rdpmc_interrupted(vcpu, from);
		interrupted(vcpu, from);
	}
	if (source_check_alarms(vcpu))
		service(vcpu);
}
