/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See translate.h: callbacks on the instructions that are served, hooks, and,
 * while something counts, what counting.c and the models put in.
 */
#include "translate.h"
#include "block.h"
#include "counting.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "hooks.h"
#include "models/models.h"
#include "report.h"
#include "serve/serve.h"
#include "translation.h"
#include "vcpu.h"

#define RESET_VECTOR UINT64_C(0xfffffff0)

static void add_served(struct translation *t, size_t index, enum insn_kind kind)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(t->tb, index);
	bool finishes = kind == INSN_RDMSR || kind == INSN_CPUID;
	struct site *site = block_keep(g_new(struct site, 1));

	*site = translation_site(t, index, kind);
	qemu_plugin_register_vcpu_insn_exec_cb(
		insn, serve,
		kind == INSN_RDPMC ? QEMU_PLUGIN_CB_RW_REGS_PC : QEMU_PLUGIN_CB_RW_REGS, site);
	if (finishes && !site->last)
		qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(t->tb, index + 1),
						       serve_finish, QEMU_PLUGIN_CB_RW_REGS, NULL);
}

/* Above level 0 most of them are QEMU's own #GP. */
static bool is_served(const struct translation *t, enum insn_kind kind)
{
	switch (kind) {
	case INSN_RDPMC:
	case INSN_CPUID:
		return true;
	case INSN_RDMSR:
	case INSN_WRMSR:
		return t->level == LEVEL_KERNEL;
	case INSN_OTHER:
		break;
	}
	return false;
}

/* How many there are. */
static unsigned int add_sites(struct translation *t)
{
	unsigned int sites = 0;

	for (size_t i = 0; i < t->count; i++) {
		enum insn_kind kind = translation_kind(t, i);

		if (!is_served(t, kind))
			continue;
		add_served(t, i, kind);
		sites++;
	}
	return sites;
}

/*
 * INIT keeps the PMU and RESET does not; both lead here. QEMU's RESET clears
 * the kernel GS base, which INIT keeps and a system that ran has set. In protected
 * mode it is an address like any other.
 */
static void reset_vector(unsigned int vcpu_index, void *unused)
{
	(void)vcpu_index;
	(void)unused;
	if (!(reg_read(GUEST_CR0) & CR0_PE) && reg_read(GUEST_KGSBASE) == 0)
		vcpus_reset();
}

/* Is there any? */
static bool add_hooks(struct translation *t)
{
	bool is_reset = t->vaddr == RESET_VECTOR;
	bool is_hooked = hooks_wanted(t->vaddr);

	if (is_reset)
		qemu_plugin_register_vcpu_tb_exec_cb(t->tb, reset_vector, QEMU_PLUGIN_CB_R_REGS,
						     NULL);
	if (is_hooked)
		qemu_plugin_register_vcpu_tb_exec_cond_cb(
			t->tb, serve_hook, QEMU_PLUGIN_CB_RW_REGS_PC, QEMU_PLUGIN_COND_NE,
			score_field(offsetof(struct score, hook_pending)), 0, NULL);
	return is_reset || is_hooked;
}

void translate(struct qemu_plugin_tb *tb, void *unused)
{
	struct translation t = translation_begin(tb);
	uint64_t entries = counting_entries(t.level);
	bool touched = add_hooks(&t);

	(void)unused;
	if (counting_needs_facts(entries) || models_run())
		translation_decode(&t);
	if (models_run()) {
		models_translate(&t);
		touched = true;
	}
	if (add_sites(&t))
		touched = true;
	if (counting_add(&t, entries))
		touched = true;
	translation_end(&t);
	statistics.blocks++;
	statistics.instrumented += touched;
	statistics.counted += entries != 0;
}
