/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See checks.h.
 *
 * A block adds all of its instructions to the totals as it starts, but an exception or
 * a device access may keep some of them from retiring. So what a block adds is looked at
 * by the block that follows, at its start. There QEMU takes interrupts, too: a PMI
 * comes at the end of the block that the overflow is in, and never before the overflow.
 *
 * A block looks for alarms of its own level. The level changes by an exception or an
 * interrupt, which exceptions.c knows of, or by an instruction at a block's end.
 */
#include "checks.h"
#include "count/installed.h"
#include "count/rerun.h"
#include "counting.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "service.h"
#include "vcpu.h"

/* The level's entries that the block has to look at. */
static uint64_t entries_at(const struct translation *t, enum level level)
{
	uint64_t checked = installed_checked(CHECK_EACH_BLOCK);
	uint64_t of_level = 0;

	if (!translation_jumps_forward(t))
		checked |= installed_checked(CHECK_EACH_LOOP);
	for (unsigned int class = 0; class < CLASS_COUNT; class ++)
		of_level |= entry_bit(entry_of(class, level));
	return checked & of_level & installed_entries();
}

/*
 * For the time of the check the block's own additions are taken back. A PMI is taken before the
 * block, or behind it where it cannot be left.
 */
static void at_start(unsigned int vcpu_index, void *userdata)
{
	const struct block *block = userdata;
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	bool added = block && !block_is_lone_rep(block);

	if (added)
		totals_correct(vcpu, block, 0);
	rerun_settle(vcpu, block);
	if (source_check_alarms(vcpu) && service(vcpu) && svm_may_set_pc(vcpu))
		qemu_plugin_set_pc(reg_read(GUEST_IP));
	if (added)
		totals_add(vcpu, block);
}

/* The entry had reached its threshold before the block has added to it. */
static void add_at_start(struct translation *t, struct block *block, uint64_t entries)
{
	for (; entries; entries &= entries - 1) {
		unsigned int entry = (unsigned int)__builtin_ctzll(entries);

		qemu_plugin_register_vcpu_tb_exec_cond_cb(
			t->tb, at_start, QEMU_PLUGIN_CB_RW_REGS_PC, QEMU_PLUGIN_COND_GE,
			score_entry(entry), THRESHOLD + counting_addition(t, block, entry), block);
	}
}

struct end {
	enum insn_end kind;
	struct site site;
};

/* False: it may fault, and it is not known whether it will. */
static bool will_retire(enum insn_end kind)
{
	switch (kind) {
	case END_HLT:
		return true;
	case END_MWAIT:
		return (uint32_t)reg_read(GUEST_CX) == 0; /* QEMU has no extensions of it */
	case END_SYSCALL:
		return reg_read(GUEST_EFER) & EFER_SCE;
	case END_FAR:
	case END_VMRUN:
	case END_OTHER:
		break;
	}
	return false;
}

static void at_end(unsigned int vcpu_index, void *userdata)
{
	const struct end *end = userdata;
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	vcpu->totals.site = &end->site;
	vcpu->totals.site_retired = will_retire(end->kind);
	if (source_check_alarms(vcpu))
		service(vcpu);
	vcpu->totals.site = NULL;
}

static void add_at_end(struct translation *t, enum insn_end kind, uint64_t entries)
{
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(t->tb, t->count - 1);
	struct end *end = block_keep(g_new(struct end, 1));

	*end = (struct end){ kind, translation_site(t, t->count - 1, INSN_OTHER) };
	for (; entries; entries &= entries - 1)
		qemu_plugin_register_vcpu_insn_exec_cond_cb(
			last, at_end, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_COND_GE,
			score_entry((unsigned int)__builtin_ctzll(entries)), THRESHOLD, end);
}

/* HLT and MWAIT of ring 3 fault. Other ends may lead to code that looks for LEVEL_ANY. */
static uint64_t entries_at_end(const struct translation *t, enum insn_end kind)
{
	switch (kind) {
	case END_HLT:
	case END_MWAIT:
		if (t->level != LEVEL_KERNEL)
			return 0;
		return entries_at(t, t->level) | entries_at(t, LEVEL_ANY);
	case END_SYSCALL:
	case END_FAR:
		return entries_at(t, t->level);
	case END_VMRUN: /* svm.c looks */
	case END_OTHER:
		break;
	}
	return 0;
}

bool checks_add(struct translation *t, struct block *block)
{
	uint64_t at_start = entries_at(t, t->level) | entries_at(t, LEVEL_ANY);
	enum insn_end kind = translation_end_kind(t);
	uint64_t at_end = entries_at_end(t, kind);

	add_at_start(t, block, at_start);
	if (at_end)
		add_at_end(t, kind, at_end);
	return at_start != 0;
}
