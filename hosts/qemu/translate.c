/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is put into translated code: callbacks on the instructions that are
 * served, and, while something counts, additions at the start of each block.
 */
#include "models.h"
#include "plugin.h"

#define RESET_VECTOR UINT64_C(0xfffffff0)
#define INSN_MAX     15

#define FLAGS_VM (UINT64_C(1) << 17)

/* What callbacks hold of their blocks; freed when the translations are gone. */
static GMutex lock;
static GSList *held;

void *translate_keep(void *memory)
{
	g_mutex_lock(&lock);
	held = g_slist_prepend(held, memory);
	g_mutex_unlock(&lock);
	return memory;
}

void translate_forget(void)
{
	g_slist_free_full(held, g_free);
	held = NULL;
}

/* A block as it is being translated. */
struct work {
	struct qemu_plugin_tb *tb;
	size_t count;
	uint64_t vaddr;
	enum level level;
	struct insn_facts *facts; /* of each instruction; NULL: not decoded */
};

static enum level current_level(void)
{
	if (!(reg_read(GUEST_CR0) & CR0_PE))
		return LEVEL_KERNEL;
	if (reg_read(GUEST_FLAGS) & FLAGS_VM)
		return LEVEL_USER;
	return reg_read(GUEST_CS) & 3 ? LEVEL_USER : LEVEL_KERNEL;
}

static size_t insn_bytes(struct qemu_plugin_insn *insn, uint8_t bytes[INSN_MAX])
{
	return qemu_plugin_insn_data(insn, bytes, INSN_MAX);
}

static bool decode_as(struct work *work, enum code_size size)
{
	for (size_t i = 0; i < work->count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(work->tb, i);
		uint8_t bytes[INSN_MAX];
		size_t length = insn_bytes(insn, bytes);

		if (!decode_facts(bytes, length, size, &work->facts[i]))
			return false;
	}
	return true;
}

/*
 * CS.L and CS.D cannot be read: the code size is the likeliest one at which
 * all lengths agree with QEMU's. Where none does (an instruction that Zydis
 * does not know), each counts as an instruction that may write flags.
 */
static void decode_block(struct work *work)
{
	static const enum code_size long_mode[] = { CODE_64, CODE_32, CODE_16 };
	static const enum code_size legacy[] = { CODE_32, CODE_16, CODE_16 };
	static const enum code_size real[] = { CODE_16, CODE_32, CODE_32 };
	const enum code_size *sizes = legacy;

	if (work->facts)
		return;
	work->facts = g_new(struct insn_facts, work->count);
	if (reg_read(GUEST_EFER) & EFER_LMA)
		sizes = long_mode;
	else if (!(reg_read(GUEST_CR0) & CR0_PE))
		sizes = real;
	for (unsigned int i = 0; i < 3; i++)
		if (decode_as(work, sizes[i]))
			return;
	for (size_t i = 0; i < work->count; i++)
		work->facts[i] = (struct insn_facts){ .classes = 1u << CLASS_INSTRUCTION,
						      .writes_flags = true };
}

/* Counting instructions alone needs no decoding. */
static unsigned int classes_of(const struct work *work, size_t i)
{
	return work->facts ? work->facts[i].classes : 1u << CLASS_INSTRUCTION;
}

static bool clean_before(struct work *work, size_t index)
{
	if (index == 0)
		return true;
	decode_block(work);
	for (size_t i = 0; i < index; i++)
		if (work->facts[i].writes_flags)
			return false;
	return true;
}

static void describe_site(struct work *work, size_t index, enum insn_kind kind, struct site *site)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(work->tb, index);

	site->kind = kind;
	site->level = work->level;
	site->offset = (uint16_t)(qemu_plugin_insn_vaddr(insn) - work->vaddr);
	site->length = (uint8_t)qemu_plugin_insn_size(insn);
	site->page_offset = work->vaddr % PAGE;
	site->last = index + 1 == work->count;
	site->clean_flags = kind == INSN_RDPMC && clean_before(work, index);
	site->self = (uint16_t)classes_of(work, index);
	for (size_t i = index + 1; i < work->count; i++)
		for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++)
			site->ahead[class] =
				(uint16_t)(site->ahead[class] + (classes_of(work, i) >> class & 1));
}

static void add_served(struct work *work, size_t index, enum insn_kind kind)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(work->tb, index);
	bool finishes = kind == INSN_RDMSR || kind == INSN_CPUID;
	struct site *site = translate_keep(g_new0(struct site, 1));

	describe_site(work, index, kind, site);
	qemu_plugin_register_vcpu_insn_exec_cb(
		insn, access_serve,
		kind == INSN_RDPMC ? QEMU_PLUGIN_CB_RW_REGS_PC : QEMU_PLUGIN_CB_RW_REGS, site);
	if (finishes && !site->last)
		qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(work->tb, index + 1),
						       access_finish, QEMU_PLUGIN_CB_RW_REGS, NULL);
}

/* Above level 0 most of them are QEMU's own #GP. */
static bool is_served(const struct work *work, enum insn_kind kind)
{
	switch (kind) {
	case INSN_RDPMC:
	case INSN_CPUID:
		return true;
	case INSN_RDMSR:
	case INSN_WRMSR:
		return work->level == LEVEL_KERNEL;
	case INSN_OTHER:
		break;
	}
	return false;
}

static unsigned int add_sites(struct work *work)
{
	unsigned int sites = 0;

	for (size_t i = 0; i < work->count; i++) {
		uint8_t bytes[INSN_MAX];
		size_t length = insn_bytes(qemu_plugin_tb_get_insn(work->tb, i), bytes);
		enum insn_kind kind = decode_kind(bytes, length);

		if (!is_served(work, kind))
			continue;
		add_served(work, i, kind);
		sites++;
	}
	return sites;
}

static void alarm_reached(unsigned int vcpu_index, void *entry)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	source_alarm_reached(vcpu, (unsigned int)(uintptr_t)entry);
	service(vcpu);
}

static qemu_plugin_u64 score_entry(unsigned int entry)
{
	return (qemu_plugin_u64){ scoreboard,
				  offsetof(struct score, raw) + entry * sizeof(uint64_t) };
}

static struct block *describe(const struct work *work)
{
	struct block *block = translate_keep(
		g_malloc(sizeof(struct block) + work->count * sizeof(struct block_insn)));

	*block = (struct block){ .vaddr = work->vaddr,
				 .code = qemu_plugin_insn_haddr(
					 qemu_plugin_tb_get_insn(work->tb, 0)),
				 .count = (uint16_t)work->count };
	for (size_t i = 0; i < work->count; i++)
		block->insn[i] = (struct block_insn){
			.offset = (uint16_t)(qemu_plugin_insn_vaddr(
						     qemu_plugin_tb_get_insn(work->tb, i)) -
					     work->vaddr),
			.classes = (uint8_t)classes_of(work, i),
		};
	return block;
}

static void add_count(struct work *work, struct block *block, unsigned int entry, uint64_t n)
{
	block->entries |= UINT64_C(1) << entry;
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(work->tb, QEMU_PLUGIN_INLINE_ADD_U64,
							  score_entry(entry), n);
}

static void add_alarm(struct work *work, unsigned int entry)
{
	qemu_plugin_register_vcpu_tb_exec_cond_cb(work->tb, alarm_reached, QEMU_PLUGIN_CB_NO_REGS,
						  QEMU_PLUGIN_COND_GE, score_entry(entry),
						  THRESHOLD, (void *)(uintptr_t)entry);
}

static unsigned int occurrences(const struct work *work, unsigned int class)
{
	unsigned int n = 0;

	for (size_t i = 0; i < work->count; i++)
		n += classes_of(work, i) >> class & 1;
	return n;
}

/* Could this block be one that QEMU runs again for its memory access? See rerun.c. */
static bool may_be_rerun(struct work *work)
{
	const unsigned int memory = 1u << CLASS_LOAD | 1u << CLASS_STORE;

	if (work->count != 1)
		return false;
	decode_block(work);
	return (work->facts[0].classes & memory) && !work->facts[0].repeats &&
	       !(work->facts[0].classes >> CLASS_BRANCH & 1);
}

static void mark_start(struct work *work, struct block *block)
{
	size_t field = offsetof(struct score, block);

	if (may_be_rerun(work)) {
		field = offsetof(struct score, alone);
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(work->tb, 0),
						 rerun_accessed, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, block);
	}
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(work->tb, QEMU_PLUGIN_INLINE_STORE_U64,
							  (qemu_plugin_u64){ scoreboard, field },
							  (uint64_t)(uintptr_t)block);
}

/* All additions come before the first alarm, which looks at all totals. */
static void add_counting(struct work *work, uint64_t entries)
{
	struct block *block = describe(work);

	mark_start(work, block);
	for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++) {
		unsigned int n = occurrences(work, class);

		if (n && entries >> entry_of(class, work->level) & 1)
			add_count(work, block, entry_of(class, work->level), n);
		if (n && entries >> entry_of(class, LEVEL_ANY) & 1)
			add_count(work, block, entry_of(class, LEVEL_ANY), n);
	}
	for (unsigned int e = 0; e < ENTRY_COUNT; e++)
		if (block->entries >> e & 1)
			add_alarm(work, e);
}

/*
 * INIT keeps the PMU and RESET does not; both lead here. QEMU's RESET clears
 * the kernel GS base, which INIT keeps and a system that ran has set.
 */
static void reset_vector(unsigned int vcpu_index, void *unused)
{
	(void)vcpu_index;
	(void)unused;
	if (reg_read(GUEST_KGSBASE) == 0)
		vcpus_reset();
}

/* Entries that blocks of this level add to. */
static uint64_t entries_at(enum level level)
{
	uint64_t mask = 0;

	for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++)
		mask |= UINT64_C(1) << entry_of(class, level) |
			UINT64_C(1) << entry_of(class, LEVEL_ANY);
	return mask & source_installed();
}

static bool needs_decoding(uint64_t entries)
{
	return entries >> LEVEL_COUNT != 0; /* any class but CLASS_INSTRUCTION, the first */
}

void translate(struct qemu_plugin_tb *tb, void *unused)
{
	struct work work = { .tb = tb,
			     .count = qemu_plugin_tb_n_insns(tb),
			     .vaddr = qemu_plugin_tb_vaddr(tb),
			     .level = current_level() };
	uint64_t entries = entries_at(work.level);
	bool touched = entries != 0;

	(void)unused;
	if (work.vaddr == RESET_VECTOR) {
		qemu_plugin_register_vcpu_tb_exec_cb(tb, reset_vector, QEMU_PLUGIN_CB_R_REGS, NULL);
		touched = true;
	}
	if (hooks_wanted(work.vaddr)) {
		qemu_plugin_register_vcpu_tb_exec_cond_cb(
			tb, access_hook, QEMU_PLUGIN_CB_RW_REGS_PC, QEMU_PLUGIN_COND_NE,
			(qemu_plugin_u64){ scoreboard, offsetof(struct score, held) }, 0, NULL);
		touched = true;
	}
	if (needs_decoding(entries) || models_run())
		decode_block(&work);
	/* Before all that counts a block's instructions: a PMI for what came before it is exact. */
	if (models_run()) {
		models_translate(tb, work.count, work.level, work.facts);
		touched = true;
	}
	if (add_sites(&work))
		touched = true;
	if (entries)
		add_counting(&work, entries);
	g_free(work.facts);
	statistics.blocks++;
	statistics.instrumented += touched;
	statistics.counted += entries != 0;
}
