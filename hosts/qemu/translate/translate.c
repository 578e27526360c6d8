/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See translate.h: callbacks on the instructions that are served, hooks, and,
 * while something counts, what counting.c and the models put in.
 */
#include "translate.h"
#include "block.h"
#include "counting.h"
#include "guest/reset.h"
#include "models/models.h"
#include "report.h"
#include "selftest.h"
#include "serve/serve.h"
#include "serve/svm.h"
#include "translation.h"
#include "vcpu.h"

static void add_served(struct translation *t, size_t index, enum insn_kind kind)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(t->tb, index);
	struct site *site = block_keep(g_new(struct site, 1));

	*site = translation_site(t, index, kind);
	qemu_plugin_register_vcpu_insn_exec_cb(
		insn, serve,
		kind == INSN_RDPMC ? QEMU_PLUGIN_CB_RW_REGS_PC : QEMU_PLUGIN_CB_RW_REGS, site);
	if (serve_finishes(kind) && !site->last)
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

/* Is there any? Which blocks have hooks: see hook.c. */
static bool add_hooks(struct translation *t)
{
	bool is_reset = reset_may_lead_to(t->vaddr);
	bool is_hooked = t->flags != 0;

	if (is_reset)
		qemu_plugin_register_vcpu_tb_exec_cb(t->tb, reset_look, QEMU_PLUGIN_CB_R_REGS,
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
	bool touched = svm_translate(&t);

	(void)unused;
	if (!entries)
		selftest_translate(tb);
	if (add_hooks(&t))
		touched = true;
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
