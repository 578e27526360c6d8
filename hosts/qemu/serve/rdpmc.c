/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See rdpmc.h. RDPMC is completed by going on behind it where the flags are known
 * to be in place, and otherwise at the first instruction of the guest's #UD
 * handler, where they are, by taking the exception back. Its #GP at level 0 is that
 * of a jump to an address that faults, at the others QEMU's own.
 */
#include "rdpmc.h"
#include "fixup.h"
#include "guest/frame.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "record.h"
#include "site.h"
#include "translate/hooks.h"
#include "vcpu.h"
#include <string.h>

/* Fetching from here is a #GP(0) in long mode: the address is not canonical. */
#define IP_FAULTS (UINT64_C(1) << 62)

void rdpmc_reset(struct vcpu *vcpu)
{
	vcpu->rdpmc.undo_count = 0;
	vcpu->rdpmc.undo_raised = false;
	vcpu->rdpmc.detour = (struct detour){ .from = 0 };
}

/* Let QEMU raise an exception at another address, and have it return to `to`. */
static _Noreturn void detour(struct vcpu *vcpu, uint64_t at, unsigned int length, uint64_t ip,
			     uint64_t to)
{
	vcpu->rdpmc.detour = (struct detour){ .at = at, .from = at + length, .to = to, .ip = ip };
	qemu_plugin_set_pc(at);
}

/*
 * A single step over RDPMC: QEMU raises its trap behind an instruction that it
 * runs, so let it run a NOP instead and correct where the trap returns to.
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
	detour(vcpu, page + (uint64_t)(nop - bytes) - base, 1, ip, ip + site->length);
}

static _Noreturn void jump_to_fault(struct vcpu *vcpu, uint64_t ip)
{
	detour(vcpu, IP_FAULTS, 0, ip, ip);
}

/* The undo of this RDPMC, or -1. */
static int find_undo(const struct rdpmc *rdpmc, uint64_t ip)
{
	int i = (int)rdpmc->undo_count - 1;

	while (i >= 0 && rdpmc->undos[i].ip != ip)
		i--;
	return i;
}

/* QEMU raises #UD. One for the same instruction, or too many, has been given up by the guest. */
static void undo_later(struct vcpu *vcpu, struct undo undo)
{
	struct rdpmc *rdpmc = &vcpu->rdpmc;
	int before = find_undo(rdpmc, undo.ip);

	if (before >= 0)
		rdpmc->undo_count = (unsigned int)before;
	else if (rdpmc->undo_count == UNDOS_MAX)
		rdpmc->undo_count = 0;
	rdpmc->undos[rdpmc->undo_count++] = undo;
	rdpmc->undo_raised = true;
	fixup_update_hook(vcpu);
}

static void complete(struct vcpu *vcpu, const struct site *site, bool fault, uint64_t value)
{
	uint64_t ip = site_ip(site);

	vcpu->totals.at = NULL;
	if (!site->clean_flags) {
		undo_later(vcpu, (struct undo){ .ip = ip,
						.length = site->length,
						.fault = fault,
						.value = value });
		site_leave_block(vcpu, site, !fault);
		return;
	}
	if (fault) {
		site_leave_block(vcpu, site, false);
		jump_to_fault(vcpu, ip);
	}
	reg_write_pair(value);
	if (reg_read(GUEST_FLAGS) & FLAGS_TF)
		step_over(vcpu, site, ip);
	site_leave_block(vcpu, site, true);
	qemu_plugin_set_pc(ip + site->length);
}

/* CR4.PCE and the privilege level are QEMU's own check; it comes after ours. */
void rdpmc_serve(struct vcpu *vcpu, const struct site *site)
{
	uint64_t cr4 = reg_read(GUEST_CR4);
	uint32_t index = (uint32_t)reg_read(GUEST_CX);
	uint64_t value = 0;
	enum vpmu_answer answer;
	bool fault;

	if (site->level == LEVEL_USER && !(cr4 & CR4_PCE))
		return;
	/* The guest gets QEMU's #UD: there is no way back to virtual-8086 mode. */
	if (site->level == LEVEL_USER && !site->clean_flags && reg_read(GUEST_FLAGS) & FLAGS_VM)
		return;
	answer = vpmu_rdpmc(&vcpu->pmu, index, true, &value);
	record(vcpu, TRACE_RDPMC, answer, index, value);
	fault = answer != VPMU_DONE;
	if (!fault || (site->level == LEVEL_KERNEL && code_is_64())) {
		complete(vcpu, site, fault, value);
		return;
	}
	if (site->level == LEVEL_KERNEL)
		return; /* outside 64-bit code the guest gets QEMU's #UD */
	fixup_later(vcpu, (struct fixup){ .kind = FIXUP_CR4, .value = cr4 });
	site_leave_block(vcpu, site, false);
	reg_write(GUEST_CR4, cr4 & ~CR4_PCE);
}

/*
 * Take the #UD of an RDPMC back and go on behind the instruction. This may be
 * another handler: that of an NMI which came before the first instruction of the
 * #UD's, and which may have an RDPMC of its own. Then the undo waits.
 */
void rdpmc_undo(struct vcpu *vcpu)
{
	struct rdpmc *rdpmc = &vcpu->rdpmc;
	struct frame frame;
	struct undo undo;
	int found;

	if (rdpmc->undo_count == 0)
		return;
	found = frame_read(&frame) ? find_undo(rdpmc, frame.ip) : -1;
	if (found < 0)
		return;
	undo = rdpmc->undos[found];
	rdpmc->undo_count = (unsigned int)found;
	fixup_update_hook(vcpu);
	if (frame.switched && (frame.ss & 0xffff) != reg_read(GUEST_SS))
		reg_write(GUEST_SS, frame.ss & 0xffff);
	if ((frame.cs & 0xffff) != reg_read(GUEST_CS))
		reg_write(GUEST_CS, frame.cs & 0xffff);
	reg_write(GUEST_SP, frame.sp);
	reg_write(GUEST_FLAGS, frame.flags & ~(FLAGS_CC | FLAGS_DF | FLAGS_RF));
	if (undo.fault)
		jump_to_fault(vcpu, undo.ip);
	reg_write_pair(undo.value);
	qemu_plugin_set_pc(undo.ip + undo.length);
}

void rdpmc_settle(struct vcpu *vcpu)
{
	vcpu->rdpmc.detour.from = 0;
}

void rdpmc_raised(struct vcpu *vcpu)
{
	struct detour detour = vcpu->rdpmc.detour;

	if (!detour.from)
		return;
	rdpmc_settle(vcpu);
	if (reg_read(GUEST_IP) == detour.from)
		qemu_plugin_set_pc(detour.to);
}

bool rdpmc_delivered(struct vcpu *vcpu, bool exception, uint64_t to)
{
	if (!vcpu->rdpmc.undo_raised || !exception)
		return false;
	vcpu->rdpmc.undo_raised = false;
	hooks_add(to);
	return true;
}

void rdpmc_interrupted(struct vcpu *vcpu, uint64_t from)
{
	bool wide = reg_read(GUEST_EFER) & EFER_LMA;
	uint64_t ip = GUINT64_TO_LE(vcpu->rdpmc.detour.ip);

	if (!vcpu->rdpmc.detour.from)
		return;
	if (from == vcpu->rdpmc.detour.at + code_base())
		guest_write(reg_read(GUEST_SP), &ip, wide ? 8 : 4);
	rdpmc_settle(vcpu);
}
