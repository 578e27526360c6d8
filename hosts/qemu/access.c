/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RDMSR, WRMSR, RDPMC and CPUID of the guest.
 *
 * A callback runs before its instruction, and leaving a block from a callback
 * loses what TCG keeps lazily (the arithmetic flags). So QEMU runs the
 * instruction itself wherever it can, and the result is put right before the
 * next one: RDMSR and CPUID are finished by a callback on what follows, WRMSR
 * needs nothing (TCG ignores MSRs that it does not know), and a #GP is had by
 * naming an MSR that QEMU faults on. RDPMC, which QEMU answers with #UD, is
 * completed by going on behind it where the flags are known to be in place,
 * and otherwise at the first instruction of the guest's #UD handler, where
 * they are, by taking the exception back. Its #GP at level 0 is that of a jump
 * to an address that faults.
 *
 * QEMU tells of an exception twice: when it is raised, before its delivery and
 * with an address that may lag behind, and as an "interrupt" when it has been
 * delivered, with the exact one.
 */
#include "models.h"
#include "plugin.h"
#include <string.h>

#define MSR_FAULTS 0x80e /* DFR: not an x2APIC register; unlike others it leaves ESR alone */

/* Fetching from here is a #GP(0) in long mode: the address is not canonical. */
#define IP_FAULTS (UINT64_C(1) << 62)

#define CR4_PCE     (UINT64_C(1) << 8)
#define FLAGS_TF    (UINT64_C(1) << 8)
#define FLAGS_DF    (UINT64_C(1) << 10)
#define FLAGS_RF    (UINT64_C(1) << 16)
#define FLAGS_VM    (UINT64_C(1) << 17)
#define FLAGS_ONE   UINT64_C(0x2)    /* always set */
#define FLAGS_FIXED UINT64_C(0x802a) /* it, and those that are always clear */
#define FLAGS_CC    UINT64_C(0x8d5)  /* CF, PF, AF, ZF, SF, OF: TCG keeps them elsewhere */

static uint64_t read_pair(void)
{
	return (reg_read(GUEST_DX) & UINT32_MAX) << 32 | (reg_read(GUEST_AX) & UINT32_MAX);
}

static void write_pair(uint64_t value)
{
	reg_write(GUEST_AX, value & UINT32_MAX);
	reg_write(GUEST_DX, value >> 32);
}

/* In protected mode a base that is a number of pages does not matter here; others are not known. */
static uint64_t code_base(void)
{
	bool flat = reg_read(GUEST_CR0) & CR0_PE &&
		    (reg_read(GUEST_EFER) & EFER_LMA || !(reg_read(GUEST_FLAGS) & FLAGS_VM));

	return flat ? 0 : reg_read(GUEST_CS) << 4;
}

/* CS.L cannot be read, but outside 64-bit code registers show, and take, their lower halves. */
static bool code_is_64(void)
{
	uint64_t before = reg_read(GUEST_DX);
	bool wide;

	reg_write(GUEST_DX, ~before);
	wide = reg_read(GUEST_DX) >> 32 != before >> 32;
	reg_write(GUEST_DX, before);
	return wide;
}

/*
 * EIP of the site now. Translations are shared between mappings, so only the
 * page bits of EIP are new; EIP itself may lag behind within the block, which
 * may have gone on into its second page.
 */
static uint64_t site_ip(const struct site *site)
{
	uint64_t base = code_base();
	uint64_t now = reg_read(GUEST_IP) + base;
	uint64_t page = now & ~(PAGE - 1);

	if (now % PAGE < site->page_offset)
		page -= PAGE;
	return page + site->page_offset + site->offset - base;
}

/* The block is left behind (retired) or before the site: uncount the rest. */
static void leave_block(struct vcpu *vcpu, const struct site *site, bool retired)
{
	const struct block *block = as_block(vcpu_score(vcpu)->block);

	vcpu_leave_block(vcpu);
	/* Where the site's own level is not counted, the block is one of the other. */
	if (!block || block->level != site->level)
		return;
	for (unsigned int i = 0; i < block->count; i++)
		if (block->insn[i].offset == site->offset) {
			source_correct(vcpu, block, i + retired);
			return;
		}
}

static void hold(struct vcpu *vcpu)
{
	vcpu_score(vcpu)->held = 1;
}

static void release(struct vcpu *vcpu)
{
	vcpu->fixup = (struct fixup){ .kind = FIXUP_NONE };
	vcpu_score(vcpu)->held = vcpu->undo_count > 0 || vcpu->awaits;
}

/* RESET: what was under way will not come. */
void access_reset(struct vcpu *vcpu)
{
	vcpu->undo_count = 0;
	vcpu->undo_raised = false;
	vcpu->awaits = false;
	release(vcpu);
	vcpu_leave_block(vcpu);
	vcpu->at = NULL;
	vcpu->raised = false;
	vcpu->lapic_written = 0;
	vcpu->detour = (struct detour){ .from = 0 };
}

static void fix_later(struct vcpu *vcpu, struct fixup fixup)
{
	vcpu->fixup = fixup;
	hold(vcpu);
}

static void hook_behind(const struct site *site)
{
	hooks_add(site_ip(site) + code_base() + site->length);
}

/* Behind the instruction, which goes on as QEMU has it. */
static void fix_behind(struct vcpu *vcpu, const struct site *site, struct fixup fixup)
{
	fix_later(vcpu, fixup);
	if (site->last)
		hook_behind(site);
}

/* QEMU's RDMSR and WRMSR answer this MSR with #GP(0); ECX is restored after. */
static void fault_msr(struct vcpu *vcpu, const struct site *site)
{
	fix_later(vcpu, (struct fixup){ .kind = FIXUP_CX, .value = reg_read(GUEST_CX) });
	leave_block(vcpu, site, false);
	reg_write(GUEST_CX, MSR_FAULTS);
}

/* QEMU reads its own bits of it. */
static bool is_shared(const struct vcpu *vcpu, uint32_t msr)
{
	uint64_t bits = vpmu_msr_bits(&vcpu->pmu, msr);

	return bits && bits != ~UINT64_C(0);
}

static void serve_rdmsr(struct vcpu *vcpu, const struct site *site)
{
	uint32_t msr = (uint32_t)reg_read(GUEST_CX);
	uint64_t value = 0;
	enum vpmu_answer answer;

	if (is_shared(vcpu, msr)) {
		fix_behind(vcpu, site, (struct fixup){ .kind = FIXUP_SHARED, .leaf = msr });
		return;
	}
	answer = vpmu_rdmsr(&vcpu->pmu, msr, &value);
	record(vcpu, TRACE_RDMSR, answer, msr, value);
	switch (answer) {
	case VPMU_FAULT:
		fault_msr(vcpu, site);
		return;
	case VPMU_NOT_MINE:
		if (!lapic_rdmsr(vcpu, msr, &value) && !models_rdmsr(vcpu, msr, &value))
			return;
		/* fallthrough */
	case VPMU_DONE:
		fix_behind(vcpu, site, (struct fixup){ .kind = FIXUP_RESULT, .value = value });
		break;
	}
}

/*
 * Blocks do not count what this WRMSR has asked for before they are translated anew,
 * which another vCPU has asked for. WRMSR ends its block: what follows waits.
 */
static void await_behind(struct vcpu *vcpu, const struct site *site)
{
	vcpu->awaits = true;
	hold(vcpu);
	hook_behind(site);
}

#define AWAIT_US 1000

/*
 * At the start of a block. All vCPUs stand still for a new translation, and QEMU says
 * nothing when the moment has come: who waits has to leave its block again and again.
 */
static void await(struct vcpu *vcpu)
{
	if (plugin_retranslates()) {
		g_usleep(AWAIT_US);
		qemu_plugin_set_pc(reg_read(GUEST_IP));
	}
	vcpu->awaits = false;
}

/* QEMU's own registers. Whether it refuses the value is known when the #GP is delivered. */
static void write_others(struct vcpu *vcpu, const struct site *site, uint32_t msr, uint64_t value)
{
	vcpu->lapic_before = vcpu->lapic;
	if (lapic_wrmsr(vcpu, msr, value))
		vcpu->lapic_written = site_ip(site) + code_base();
	models_wrmsr(vcpu, msr, value);
}

static void take_back_refused(struct vcpu *vcpu, bool exception, uint64_t from)
{
	if (exception && vcpu->lapic_written == from)
		vcpu->lapic = vcpu->lapic_before;
	vcpu->lapic_written = 0;
}

static void serve_wrmsr(struct vcpu *vcpu, const struct site *site)
{
	uint32_t msr = (uint32_t)reg_read(GUEST_CX);
	uint64_t value = read_pair();
	enum vpmu_answer answer;

	vcpu->late = false;
	answer = vpmu_wrmsr(&vcpu->pmu, msr, value);
	record(vcpu, TRACE_WRMSR, answer, msr, value);
	switch (answer) {
	case VPMU_FAULT:
		fault_msr(vcpu, site);
		break;
	case VPMU_NOT_MINE:
		write_others(vcpu, site, msr, value);
		break;
	case VPMU_DONE:
		service(vcpu);
		if (vcpu->late)
			await_behind(vcpu, site);
		break;
	}
}

static bool is_pmu_leaf(const struct vcpu *vcpu, uint32_t leaf)
{
	uint32_t leaves[32];
	unsigned int count = vpmu_cpuid_leaves(&vcpu->pmu, leaves, G_N_ELEMENTS(leaves));

	for (unsigned int i = 0; i < MIN(count, G_N_ELEMENTS(leaves)); i++)
		if (leaves[i] == leaf)
			return true;
	return false;
}

static void serve_cpuid(struct vcpu *vcpu, const struct site *site)
{
	uint32_t leaf = (uint32_t)reg_read(GUEST_AX);

	if (!is_pmu_leaf(vcpu, leaf))
		return;
	fix_behind(vcpu, site,
		   (struct fixup){ .kind = FIXUP_CPUID,
				   .leaf = leaf,
				   .subleaf = (uint32_t)reg_read(GUEST_CX) });
}

/* Let QEMU raise an exception at another address, and have it return to `to`. */
static _Noreturn void detour(struct vcpu *vcpu, uint64_t at, unsigned int length, uint64_t ip,
			     uint64_t to)
{
	vcpu->detour = (struct detour){ .at = at, .from = at + length, .to = to, .ip = ip };
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
	leave_block(vcpu, site, false); /* the NOP counts in its place */
	detour(vcpu, page + (uint64_t)(nop - bytes) - base, 1, ip, ip + site->length);
}

static _Noreturn void jump_to_fault(struct vcpu *vcpu, uint64_t ip)
{
	detour(vcpu, IP_FAULTS, 0, ip, ip);
}

/* The undo of this RDPMC, or -1. */
static int find_undo(const struct vcpu *vcpu, uint64_t ip)
{
	int i = (int)vcpu->undo_count - 1;

	while (i >= 0 && vcpu->undos[i].ip != ip)
		i--;
	return i;
}

/* QEMU raises #UD. One for the same instruction, or too many, has been given up by the guest. */
static void undo_later(struct vcpu *vcpu, struct undo undo)
{
	int before = find_undo(vcpu, undo.ip);

	if (before >= 0)
		vcpu->undo_count = (unsigned int)before;
	else if (vcpu->undo_count == UNDOS_MAX)
		vcpu->undo_count = 0;
	vcpu->undos[vcpu->undo_count++] = undo;
	vcpu->undo_raised = true;
	hold(vcpu);
}

static void complete_rdpmc(struct vcpu *vcpu, const struct site *site, bool fault, uint64_t value)
{
	uint64_t ip = site_ip(site);

	vcpu->at = NULL;
	if (!site->clean_flags) {
		undo_later(vcpu, (struct undo){ .ip = ip,
						.length = site->length,
						.fault = fault,
						.value = value });
		leave_block(vcpu, site, !fault);
		return;
	}
	if (fault) {
		leave_block(vcpu, site, false);
		jump_to_fault(vcpu, ip);
	}
	write_pair(value);
	if (reg_read(GUEST_FLAGS) & FLAGS_TF)
		step_over(vcpu, site, ip);
	leave_block(vcpu, site, true);
	qemu_plugin_set_pc(ip + site->length);
}

/* CR4.PCE and the privilege level are QEMU's own check; it comes after ours. */
static void serve_rdpmc(struct vcpu *vcpu, const struct site *site)
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
		complete_rdpmc(vcpu, site, fault, value);
		return;
	}
	if (site->level == LEVEL_KERNEL)
		return; /* outside 64-bit code the guest gets QEMU's #UD */
	fix_later(vcpu, (struct fixup){ .kind = FIXUP_CR4, .value = cr4 });
	leave_block(vcpu, site, false);
	reg_write(GUEST_CR4, cr4 & ~CR4_PCE);
}

static void apply_cpuid(struct vcpu *vcpu)
{
	static const enum reg regs[4] = { GUEST_AX, GUEST_BX, GUEST_CX, GUEST_DX };
	uint32_t values[4];

	for (unsigned int i = 0; i < 4; i++)
		values[i] = (uint32_t)reg_read(regs[i]);
	vpmu_cpuid(&vcpu->pmu, vcpu->fixup.leaf, vcpu->fixup.subleaf, values);
	for (unsigned int i = 0; i < 4; i++)
		reg_write(regs[i], values[i]);
}

static void apply_shared(struct vcpu *vcpu)
{
	uint64_t value = read_pair();

	if (vpmu_rdmsr(&vcpu->pmu, vcpu->fixup.leaf, &value) == VPMU_DONE)
		write_pair(value);
}

static void apply_fixup(struct vcpu *vcpu)
{
	const struct fixup *fixup = &vcpu->fixup;

	switch (fixup->kind) {
	case FIXUP_NONE:
		return;
	case FIXUP_CPUID:
		apply_cpuid(vcpu);
		break;
	case FIXUP_SHARED:
		apply_shared(vcpu);
		break;
	case FIXUP_RESULT:
		write_pair(fixup->value);
		break;
	case FIXUP_CX:
		reg_write(GUEST_CX, fixup->value);
		break;
	case FIXUP_CR4:
		reg_write(GUEST_CR4, fixup->value);
		break;
	}
	release(vcpu);
}

/* The frame of an exception without an error code, at the handler's start. */
struct frame {
	uint64_t ip, cs, flags, sp, ss;
	bool switched; /* the stack has been switched: sp and ss are from the frame */
};

static bool read_real_frame(struct frame *frame)
{
	uint64_t sp = reg_read(GUEST_SP);
	uint16_t words[3];

	if (!guest_read((reg_read(GUEST_SS) << 4) + (sp & UINT16_MAX), words, sizeof(words)))
		return false;
	*frame = (struct frame){ GUINT16_FROM_LE(words[0]),
				 GUINT16_FROM_LE(words[1]),
				 GUINT16_FROM_LE(words[2]) |
					 (reg_read(GUEST_FLAGS) & ~(uint64_t)UINT16_MAX),
				 (sp & ~(uint64_t)UINT16_MAX) | ((sp + 6) & UINT16_MAX),
				 0,
				 false };
	return true;
}

static bool read_frame(struct frame *frame)
{
	uint64_t sp = reg_read(GUEST_SP);

	if (reg_read(GUEST_EFER) & EFER_LMA) {
		uint64_t words[5];

		if (!guest_read(sp, words, sizeof(words)))
			return false;
		*frame = (struct frame){ GUINT64_FROM_LE(words[0]), GUINT64_FROM_LE(words[1]),
					 GUINT64_FROM_LE(words[2]), GUINT64_FROM_LE(words[3]),
					 GUINT64_FROM_LE(words[4]), true };
		return true;
	}
	uint32_t words[5];

	if (!(reg_read(GUEST_CR0) & CR0_PE))
		return read_real_frame(frame);
	if (!guest_read(sp, words, 12))
		return false;
	*frame = (struct frame){ GUINT32_FROM_LE(words[0]),
				 GUINT32_FROM_LE(words[1]),
				 GUINT32_FROM_LE(words[2]),
				 sp + 12,
				 0,
				 false };
	if ((frame->cs & 3) == (reg_read(GUEST_CS) & 3))
		return true;
	if (!guest_read(sp, words, sizeof(words)))
		return false;
	frame->sp = GUINT32_FROM_LE(words[3]);
	frame->ss = GUINT32_FROM_LE(words[4]);
	frame->switched = true;
	return true;
}

/*
 * Take the #UD of an RDPMC back and go on behind the instruction. This may be
 * another handler: that of an NMI which came before the first instruction of the
 * #UD's, and which may have an RDPMC of its own. Then the undo waits.
 */
static void undo_exception(struct vcpu *vcpu)
{
	struct frame frame;
	struct undo undo;
	int found = read_frame(&frame) ? find_undo(vcpu, frame.ip) : -1;

	if (found < 0)
		return;
	undo = vcpu->undos[found];
	vcpu->undo_count = (unsigned int)found;
	release(vcpu);
	if (frame.switched && (frame.ss & 0xffff) != reg_read(GUEST_SS))
		reg_write(GUEST_SS, frame.ss & 0xffff);
	if ((frame.cs & 0xffff) != reg_read(GUEST_CS))
		reg_write(GUEST_CS, frame.cs & 0xffff);
	reg_write(GUEST_SP, frame.sp);
	reg_write(GUEST_FLAGS, frame.flags & ~(FLAGS_CC | FLAGS_DF | FLAGS_RF));
	if (undo.fault)
		jump_to_fault(vcpu, undo.ip);
	write_pair(undo.value);
	qemu_plugin_set_pc(undo.ip + undo.length);
}

/* At the start of a block in which an access may have to be finished. */
void access_hook(unsigned int vcpu_index, void *unused)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	(void)unused;
	if (vcpu->awaits)
		await(vcpu);
	if (vcpu->undo_count)
		undo_exception(vcpu);
	apply_fixup(vcpu);
	release(vcpu);
}

/* On the instruction behind one that was served. */
void access_finish(unsigned int vcpu_index, void *unused)
{
	(void)unused;
	apply_fixup(vcpu_get(vcpu_index));
}

/* An exception that we have brought about returns somewhere else. */
static void redirect(struct vcpu *vcpu)
{
	uint64_t ip = reg_read(GUEST_IP);
	struct detour detour = vcpu->detour;

	vcpu->detour.from = 0;
	if (ip == detour.from)
		qemu_plugin_set_pc(detour.to);
}

/* An exception has been raised and will be delivered. */
void access_raised(struct vcpu *vcpu)
{
	vcpu->raised = true;
	if (vcpu_score(vcpu)->block || vcpu_score(vcpu)->alone)
		vcpu->raised_at = level_now();
	apply_fixup(vcpu);
	if (vcpu->detour.from)
		redirect(vcpu);
}

#define PF_FETCH 0x10 /* page fault error code, I/D: the fetch faulted, no block was cut */

static bool is_fetch_fault(uint64_t ip)
{
	uint64_t words[2];

	return reg_read(GUEST_EFER) & EFER_LMA &&
	       guest_read(reg_read(GUEST_SP), words, sizeof(words)) &&
	       GUINT64_FROM_LE(words[1]) == ip && (GUINT64_FROM_LE(words[0]) & PF_FETCH);
}

/* INT n has retired where its handler returns behind it; the other one is its own #GP. */
static bool is_trap(uint64_t from, unsigned int length)
{
	struct frame frame;
	uint64_t base;

	if (!read_frame(&frame))
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
	if (!block || block->level != vcpu->raised_at)
		return false;
	for (unsigned int i = 0; i < block->count; i++)
		if ((block->vaddr + block->insn[i].offset) % PAGE == from % PAGE) {
			source_correct(vcpu, block, i + is_trap(from, block->insn[i].length));
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
	if ((!block && !alone) || is_fetch_fault(from))
		return;
	if (!uncount_from(vcpu, alone, from))
		uncount_from(vcpu, block, from);
}

/* An interrupt has come before the exception: it returns to the instruction itself. */
static void abandon_detour(struct vcpu *vcpu, uint64_t from)
{
	bool wide = reg_read(GUEST_EFER) & EFER_LMA;
	uint64_t ip = GUINT64_TO_LE(vcpu->detour.ip);

	if (from == vcpu->detour.at + code_base())
		guest_write(reg_read(GUEST_SP), &ip, wide ? 8 : 4);
	vcpu->detour.from = 0;
}

static bool is_user(const struct frame *frame)
{
	if (frame->flags & FLAGS_VM)
		return true;
	return reg_read(GUEST_CR0) & CR0_PE && frame->cs & 3;
}

static void interrupted(struct vcpu *vcpu, uint64_t from)
{
	const struct block *block = as_block(vcpu_score(vcpu)->block);
	struct frame frame;

	if (block && block->repeats) {
		bool user = read_frame(&frame) && is_user(&frame);

		rerun_interrupted(vcpu, block, user ? LEVEL_USER : LEVEL_KERNEL, from);
	}
	vcpu_leave_block(vcpu);
	source_count(vcpu, CLASS_INTERRUPT, LEVEL_KERNEL); /* received where its handler begins */
}

/* The vCPU is at the start of the handler of an exception or interrupt. */
void access_delivered(struct vcpu *vcpu, uint64_t from, uint64_t to)
{
	bool exception = vcpu->raised;

	vcpu->raised = false;
	if (vcpu->awaits)
		hooks_add(to);
	if (vcpu->lapic_written)
		take_back_refused(vcpu, exception, from);
	models_interrupted(vcpu, exception, from);
	if (vcpu->undo_raised && exception) {
		vcpu->undo_raised = false;
		hooks_add(to);
		return;
	}
	apply_fixup(vcpu);
	if (!exception && vcpu->detour.from)
		abandon_detour(vcpu, from);
	if (exception)
		correct_cut_block(vcpu, from);
	else
		interrupted(vcpu, from);
}

static _Atomic uint64_t *statistic_of(enum insn_kind kind)
{
	switch (kind) {
	case INSN_RDMSR:
		return &statistics.rdmsr;
	case INSN_WRMSR:
		return &statistics.wrmsr;
	case INSN_RDPMC:
		return &statistics.rdpmc;
	case INSN_CPUID:
		return &statistics.cpuid;
	case INSN_OTHER:
		break;
	}
	return NULL;
}

void access_serve(unsigned int vcpu_index, void *userdata)
{
	const struct site *site = userdata;
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	apply_fixup(vcpu);
	++*statistic_of(site->kind);
	vcpu->detour.from = 0;
	vcpu->lapic_written = 0;
	vcpu->at = site;
	vcpu->at_retired = site->kind == INSN_WRMSR;
	vcpu->last_use = g_get_monotonic_time();
	switch (site->kind) {
	case INSN_RDMSR:
		serve_rdmsr(vcpu, site);
		break;
	case INSN_WRMSR:
		serve_wrmsr(vcpu, site);
		break;
	case INSN_RDPMC:
		serve_rdpmc(vcpu, site);
		break;
	case INSN_CPUID:
		serve_cpuid(vcpu, site);
		break;
	case INSN_OTHER:
		break;
	}
	vcpu->at = NULL;
}
