/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See hook.h. QEMU looks translations up by the address and by some flags, RF and TF
 * among them: code that runs with one of these set has translations of its own. It is code
 * that is single-stepped, or that a handler returns to, for QEMU sets RF in the frame of
 * most exceptions and interrupts. All of these blocks get hooks. To lead a vCPU to a hook
 * is to set the flag; the hook takes it away. No instruction runs with it, and no
 * translation of other code is touched.
 *
 * It is RF where it can be: if that stayed set, it would be of no consequence. But QEMU
 * clears RF at the end of a block that runs with it, and a 16-bit frame has no RF. There
 * it is TF.
 *
 * QEMU links a block to the one that follows it in its page when it first goes there, and
 * does not look at the flags again. Where it may do so the flag is RF, and is set each
 * time: what has been linked is a block with a hook.
 */
#include "hook.h"
#include "guest/frame.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "vcpu.h"

void hook_update(struct vcpu *vcpu)
{
	vcpu_score(vcpu)->hook_pending = vcpu->hook.flag || vcpu->rdpmc.pending_count > 0;
}

/* While a vCPU runs, TCG has the arithmetic flags and DF elsewhere. */
static void write_flags(const struct vcpu *vcpu, uint64_t flags)
{
	uint64_t elsewhere = vcpu->saved.parked ? 0 : FLAGS_CC | FLAGS_DF;

	reg_write(GUEST_FLAGS, flags & ~elsewhere);
}

static void set(struct vcpu *vcpu, uint64_t flag, enum hook_place place)
{
	write_flags(vcpu, reg_read(GUEST_FLAGS) | flag);
	vcpu->hook = (struct hook){ .flag = flag, .place = place };
	hook_update(vcpu);
}

static void forget(struct vcpu *vcpu)
{
	vcpu->hook.flag = 0;
	hook_update(vcpu);
}

/* A single step ends in an exception, and what has to be done is done then. */
void hook_behind(struct vcpu *vcpu, const struct site *site)
{
	if (site->flags & FLAGS_TF)
		return;
	set(vcpu, site->flags & FLAGS_RF ? FLAGS_TF : FLAGS_RF,
	    site->linked ? HOOK_LINKED : HOOK_BEHIND);
}

void hook_handler(struct vcpu *vcpu, enum hook_place place)
{
	set(vcpu, reg_read(GUEST_CR0) & CR0_PE ? FLAGS_RF : FLAGS_TF, place);
}

/*
 * With RF set QEMU has not looked for a breakpoint at the block: it is to be started again.
 * In a page with breakpoints QEMU does not link blocks.
 */
bool hook_reached(struct vcpu *vcpu)
{
	struct hook hook = vcpu->hook;

	if (!hook.flag)
		return false;
	write_flags(vcpu, reg_read(GUEST_FLAGS) & ~hook.flag);
	forget(vcpu);
	return hook.place != HOOK_LINKED;
}

void hook_clear(const struct vcpu *vcpu, struct hook hook)
{
	write_flags(vcpu, reg_read(GUEST_FLAGS) & ~hook.flag);
}

/* The handler of an RDPMC's #UD is returned to, and the frame brings the flag back. */
void hook_raised(struct vcpu *vcpu)
{
	if (!vcpu->hook.flag)
		return;
	if (vcpu->hook.place != HOOK_RDPMC)
		write_flags(vcpu, reg_read(GUEST_FLAGS) & ~vcpu->hook.flag);
	forget(vcpu);
}

/* The same; and RF is in all frames of interrupts. */
void hook_interrupted(struct vcpu *vcpu)
{
	if (!vcpu->hook.flag)
		return;
	if (vcpu->hook.place != HOOK_RDPMC && vcpu->hook.flag == FLAGS_TF)
		frame_clear_step();
	forget(vcpu);
}

/* The guest's handler of an RDPMC's #UD is gone on with, and has the flag then. */
uint64_t hook_left(struct vcpu *vcpu, uint64_t flags)
{
	uint64_t flag = vcpu->hook.flag;

	if (!flag)
		return flags;
	forget(vcpu);
	return vcpu->hook.place == HOOK_RDPMC ? flags : flags & ~flag;
}
