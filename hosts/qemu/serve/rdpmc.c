/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See rdpmc.h. QEMU answers RDPMC with #UD. Execution goes on behind the instruction,
 * without #UD, where the flags are known to be stored: a callback that sets the PC
 * loses those that TCG keeps elsewhere. Otherwise the #UD is raised, and taken back at
 * the first instruction of the guest's handler, for the stack has the flags then.
 *
 * #GP(0) at level 0 is that of a jump to an address that is not canonical. At other
 * levels it is QEMU's own, with CR4.PCE clear.
 */
#include "rdpmc.h"
#include "fixup.h"
#include "guest/frame.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "record.h"
#include "site.h"
#include "vcpu.h"
#include <string.h>

/* Not canonical: in long mode, to fetch from here is #GP(0). */
#define NOT_CANONICAL (UINT64_C(1) << 62)

void rdpmc_reset(struct vcpu *vcpu)
{
	vcpu->rdpmc.pending_count = 0;
	vcpu->rdpmc.ud_raised = false;
	rdpmc_forget_substitute(vcpu);
}

/* QEMU runs the instruction at ip, of this length, in place of the RDPMC. */
static _Noreturn void run_substitute(struct vcpu *vcpu, uint64_t ip, unsigned int length,
				     uint64_t rdpmc_ip, uint64_t return_ip)
{
	vcpu->rdpmc.substitute = (struct substitute){
		.ip = ip, .next_ip = ip + length, .return_ip = return_ip, .rdpmc_ip = rdpmc_ip
	};
	qemu_plugin_set_pc(ip);
}

/*
 * A single step over RDPMC. QEMU raises the trap behind an instruction that it has
 * run, so it runs a NOP of the same page. Without one there is no trap.
 */
static void step_over(struct vcpu *vcpu, const struct site *site, uint64_t ip)
{
	uint64_t base = code_base();
	uint64_t page = (ip + base) & ~(PAGE - 1);
	uint8_t bytes[PAGE];
	const uint8_t *nop = NULL;

	if (guest_read(page, bytes, sizeof(bytes)))
		nop = memchr(bytes, 0x90, sizeof(bytes));
	if (!nop)
		return;
	site_leave_block(vcpu, site, false); /* the NOP counts in its place */
	run_substitute(vcpu, page + (uint64_t)(nop - bytes) - base, 1, ip, ip + site->length);
}

static _Noreturn void raise_gp(struct vcpu *vcpu, uint64_t ip)
{
	run_substitute(vcpu, NOT_CANONICAL, 0, ip, ip);
}

/* The index of the RDPMC at ip, or -1. */
static int find_pending(const struct rdpmc *rdpmc, uint64_t ip)
{
	int i = (int)rdpmc->pending_count - 1;

	while (i >= 0 && rdpmc->pending[i].ip != ip)
		i--;
	return i;
}

/*
 * QEMU goes on to raise #UD. If one of the same instruction is pending already, or if
 * there are too many, the guest has abandoned the handlers of those before.
 */
static void add_pending(struct vcpu *vcpu, struct pending_rdpmc pending)
{
	struct rdpmc *rdpmc = &vcpu->rdpmc;
	int same = find_pending(rdpmc, pending.ip);

	if (same >= 0)
		rdpmc->pending_count = (unsigned int)same;
	else if (rdpmc->pending_count == RDPMC_PENDING_MAX)
		rdpmc->pending_count = 0;
	rdpmc->pending[rdpmc->pending_count++] = pending;
	rdpmc->ud_raised = true;
	hook_update(vcpu);
}

/* Else the #UD is raised. */
static bool can_go_on_behind(const struct vcpu *vcpu, const struct site *site)
{
	return site->flags_stored && svm_may_set_pc(vcpu);
}

static void complete(struct vcpu *vcpu, const struct site *site, bool fault, uint64_t value)
{
	uint64_t ip = site_ip(site);

	vcpu->totals.site = NULL;
	if (!can_go_on_behind(vcpu, site)) {
		add_pending(vcpu, (struct pending_rdpmc){ .ip = ip,
							  .length = site->length,
							  .fault = fault,
							  .value = value });
		site_leave_block(vcpu, site, !fault);
		return;
	}
	if (fault) {
		site_leave_block(vcpu, site, false);
		raise_gp(vcpu, ip);
	}
	reg_write_pair(value);
	if (reg_read(GUEST_FLAGS) & FLAGS_TF)
		step_over(vcpu, site, ip);
	site_leave_block(vcpu, site, true);
	qemu_plugin_set_pc(ip + site->length);
}

/* QEMU checks CR4.PCE and the privilege level behind this callback: it raises #GP then. */
void rdpmc_serve(struct vcpu *vcpu, const struct site *site)
{
	uint64_t cr4 = reg_read(GUEST_CR4);
	uint32_t index = (uint32_t)reg_read(GUEST_CX);
	uint64_t value = 0;
	enum vpmu_answer answer;
	bool fault;

	if (site->level == LEVEL_USER && !(cr4 & CR4_PCE))
		return;
	/* The #UD stays, for it cannot be taken back in virtual-8086 mode. */
	if (site->level == LEVEL_USER && reg_read(GUEST_FLAGS) & FLAGS_VM &&
	    !can_go_on_behind(vcpu, site))
		return;
	answer = vpmu_rdpmc(&vcpu->pmu, index, true, &value);
	record(vcpu, TRACE_RDPMC, answer, index, value);
	fault = answer != VPMU_DONE;
	if (!fault || (site->level == LEVEL_KERNEL && code_is_64())) {
		complete(vcpu, site, fault, value);
		return;
	}
	if (site->level == LEVEL_KERNEL)
		return; /* outside 64-bit code no address is #GP: the #UD stays */
	vcpu->fixup = (struct fixup){ .kind = FIXUP_CR4, .value = cr4 };
	site_leave_block(vcpu, site, false);
	reg_write(GUEST_CR4, cr4 & ~CR4_PCE);
}

/* Take the #UD back: return from its handler, to behind the RDPMC. */
static void return_to_program(const struct frame *frame)
{
	if (frame->switched && (frame->ss & 0xffff) != reg_read(GUEST_SS))
		reg_write(GUEST_SS, frame->ss & 0xffff);
	if ((frame->cs & 0xffff) != reg_read(GUEST_CS))
		reg_write(GUEST_CS, frame->cs & 0xffff);
	reg_write(GUEST_SP, frame->sp);
	reg_write(GUEST_FLAGS, frame->flags & ~(FLAGS_CC | FLAGS_DF | FLAGS_RF));
}

/*
 * This may be another handler than the #UD's: that of an NMI which has come before the
 * first instruction of the #UD's handler. Then the RDPMC stays pending.
 */
void rdpmc_complete_pending(struct vcpu *vcpu)
{
	struct rdpmc *rdpmc = &vcpu->rdpmc;
	struct pending_rdpmc pending;
	struct frame frame;
	int found;

	if (rdpmc->pending_count == 0)
		return;
	found = frame_read(&frame) ? find_pending(rdpmc, frame.ip) : -1;
	if (found < 0)
		return;
	pending = rdpmc->pending[found];
	rdpmc->pending_count = (unsigned int)found;
	hook_update(vcpu);
	return_to_program(&frame);
	if (pending.fault)
		raise_gp(vcpu, pending.ip);
	reg_write_pair(pending.value);
	qemu_plugin_set_pc(pending.ip + pending.length);
}

void rdpmc_forget_substitute(struct vcpu *vcpu)
{
	vcpu->rdpmc.substitute.next_ip = 0;
}

void rdpmc_raised(struct vcpu *vcpu)
{
	struct substitute substitute = vcpu->rdpmc.substitute;

	if (!substitute.next_ip)
		return;
	rdpmc_forget_substitute(vcpu);
	if (reg_read(GUEST_IP) == substitute.next_ip)
		qemu_plugin_set_pc(substitute.return_ip);
}

bool rdpmc_delivered(struct vcpu *vcpu, bool exception)
{
	if (!vcpu->rdpmc.ud_raised || !exception)
		return false;
	vcpu->rdpmc.ud_raised = false;
	hook_handler(vcpu, HOOK_RDPMC);
	return true;
}

/* The interrupt's handler returns to the RDPMC, not to its substitute. */
void rdpmc_interrupted(struct vcpu *vcpu, uint64_t from)
{
	const struct substitute *substitute = &vcpu->rdpmc.substitute;
	uint64_t ip = GUINT64_TO_LE(substitute->rdpmc_ip);

	if (!substitute->next_ip)
		return;
	if (from == substitute->ip + code_base())
		guest_write(reg_read(GUEST_SP), &ip, reg_read(GUEST_EFER) & EFER_LMA ? 8 : 4);
	rdpmc_forget_substitute(vcpu);
}

uint64_t rdpmc_left(struct vcpu *vcpu, uint64_t ip, bool in_delivery)
{
	struct substitute substitute = vcpu->rdpmc.substitute;

	if (!in_delivery)
		vcpu->rdpmc.ud_raised = false;
	rdpmc_forget_substitute(vcpu);
	if (!substitute.next_ip)
		return ip;
	if (ip == substitute.ip)
		return substitute.rdpmc_ip;
	return ip == substitute.next_ip ? substitute.return_ip : ip;
}

bool rdpmc_intercepted(struct vcpu *vcpu, uint64_t ip, struct pending_rdpmc *pending)
{
	struct rdpmc *rdpmc = &vcpu->rdpmc;

	if (!rdpmc->ud_raised || rdpmc->pending_count == 0 ||
	    rdpmc->pending[rdpmc->pending_count - 1].ip != ip)
		return false;
	rdpmc->ud_raised = false;
	*pending = rdpmc->pending[--rdpmc->pending_count];
	hook_update(vcpu);
	return true;
}
