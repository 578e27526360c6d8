/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is put into translated code: callbacks on the instructions that are
 * served, and, while something counts, additions at the start of each block.
 */
#define _GNU_SOURCE
#include "models.h"
#include "plugin.h"
#include <sys/mman.h>

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

/*
 * Memory for what translated code has the address of: x86 hosts store a number that
 * fits in 31 bits in one instruction, others take two. Lives as long.
 */
#define LOW_SIZE 0x100000u
#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

struct low {
	struct low *next;
	size_t used;
};

static struct low *lows;

static struct low *low_new(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	struct low *low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE, flags | MAP_32BIT, -1, 0);

	if (low == MAP_FAILED)
		low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (low == MAP_FAILED)
		g_error("vpmu plugin: no memory for blocks");
	low->next = lows;
	low->used = sizeof(*low);
	return low;
}

static void *low_allocate(size_t size)
{
	void *memory;

	size = (size + 15) & ~(size_t)15;
	g_mutex_lock(&lock);
	if (!lows || LOW_SIZE - lows->used < size)
		lows = low_new();
	memory = (char *)lows + lows->used;
	lows->used += size;
	g_mutex_unlock(&lock);
	return memory;
}

void translate_forget(void)
{
	g_slist_free_full(held, g_free);
	held = NULL;
	while (lows) {
		struct low *next = lows->next;

		munmap(lows, LOW_SIZE);
		lows = next;
	}
}

/* A block as it is being translated. */
struct work {
	struct qemu_plugin_tb *tb;
	size_t count;
	uint64_t vaddr;
	enum level level;
	struct insn_facts *facts; /* of each instruction; NULL: not decoded */
};

enum level level_now(void)
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
 * does not know), each counts as an instruction that may use flags.
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
						      .uses_flags = true };
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
		if (work->facts[i].uses_flags)
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

static bool repeats(const struct work *work, size_t index)
{
	uint8_t bytes[INSN_MAX];
	size_t length = insn_bytes(qemu_plugin_tb_get_insn(work->tb, index), bytes);

	return decode_repeats(bytes, length);
}

/* Under -icount QEMU cuts blocks short, to be on time. */
static bool expects_cuts;

void translate_expect_cuts(void)
{
	expects_cuts = true;
}

/* Can the block's last instruction lead to another one of its own? */
static bool comes_back(struct work *work)
{
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(work->tb, work->count - 1);
	uint64_t at = qemu_plugin_insn_vaddr(last) - work->vaddr;
	uint8_t bytes[INSN_MAX];
	size_t length = insn_bytes(last, bytes);
	int64_t offset;

	if (decode_target(bytes, length, &offset))
		return (int64_t)at + offset >= 0 && offset <= 0;
	decode_block(work);
	return work->facts[work->count - 1].classes >> CLASS_BRANCH & 1;
}

/* Code in a device has no place in memory: one that is its own, then. */
static const char *code_of(const struct work *work)
{
	const char *code = qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(work->tb, 0));

	return code ? code : (const char *)(uintptr_t)work->vaddr;
}

static struct block *describe(struct work *work)
{
	struct block *block =
		low_allocate(sizeof(struct block) + work->count * sizeof(struct block_insn));

	*block = (struct block){ .vaddr = work->vaddr,
				 .code = code_of(work),
				 .level = work->level,
				 .comes_back = expects_cuts && comes_back(work),
				 .repeats = repeats(work, work->count - 1),
				 .count = (uint16_t)work->count };
	for (size_t i = 0; i < work->count; i++)
		block->insn[i] = (struct block_insn){
			.offset = (uint16_t)(qemu_plugin_insn_vaddr(
						     qemu_plugin_tb_get_insn(work->tb, i)) -
					     work->vaddr),
			.classes = (uint8_t)classes_of(work, i),
			.length = (uint8_t)qemu_plugin_insn_size(
				qemu_plugin_tb_get_insn(work->tb, i)),
		};
	return block;
}

/* A REP alone: it may be one that has been counted already. */
static bool may_be_repeated(const struct work *work, const struct block *block)
{
	return work->count == 1 && block->repeats;
}

static void add_count(struct work *work, struct block *block, unsigned int entry, uint64_t n)
{
	block->entries |= UINT64_C(1) << entry;
	if (may_be_repeated(work, block))
		return; /* rerun_repeated() adds */
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(work->tb, QEMU_PLUGIN_INLINE_ADD_U64,
							  score_entry(entry), n);
}

static void add_alarm(struct work *work, unsigned int entry)
{
	qemu_plugin_register_vcpu_tb_exec_cond_cb(work->tb, alarm_reached, QEMU_PLUGIN_CB_NO_REGS,
						  QEMU_PLUGIN_COND_GE, score_entry(entry),
						  THRESHOLD, (void *)(uintptr_t)entry);
}

/* Does a direct branch to a place further on end the block? Whatever else does may go back. */
static bool goes_on(const struct work *work)
{
	uint8_t bytes[INSN_MAX];
	size_t length = insn_bytes(qemu_plugin_tb_get_insn(work->tb, work->count - 1), bytes);
	int64_t offset;

	return decode_target(bytes, length, &offset) && offset >= (int64_t)length;
}

static void add_alarms(struct work *work, uint64_t entries)
{
	uint64_t looked_at = source_looked_at(LOOK_BLOCK);

	if (!goes_on(work))
		looked_at |= source_looked_at(LOOK_LOOP);
	for (entries &= looked_at; entries; entries &= entries - 1)
		add_alarm(work, (unsigned int)__builtin_ctzll(entries));
}

static unsigned int occurrences(const struct work *work, unsigned int class)
{
	unsigned int n = 0;

	for (size_t i = 0; i < work->count; i++)
		n += classes_of(work, i) >> class & 1;
	return n;
}

/* Branches without those that are added to the entry of conditional ones. */
static unsigned int added(const struct work *work, unsigned int class, enum level level)
{
	unsigned int n = occurrences(work, class);

	if (source_folded() >> entry_of(class, level) & 1)
		n -= occurrences(work, CLASS_CONDITIONAL);
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

static void mark_end(struct work *work)
{
	const qemu_plugin_u64 ended = { scoreboard, offsetof(struct score, ended) };

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(work->tb, QEMU_PLUGIN_INLINE_STORE_U64,
							  ended, 0);
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
		qemu_plugin_tb_get_insn(work->tb, work->count - 1), QEMU_PLUGIN_INLINE_STORE_U64,
		ended, 1);
}

static void mark_start(struct work *work, struct block *block)
{
	size_t field = offsetof(struct score, block);

	if (may_be_rerun(work)) {
		field = offsetof(struct score, alone);
		qemu_plugin_register_vcpu_tb_exec_cond_cb(
			work->tb, rerun_lone, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
			(qemu_plugin_u64){ scoreboard, field }, 0, block);
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(work->tb, 0),
						 rerun_accessed, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, block);
	}
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(work->tb, QEMU_PLUGIN_INLINE_STORE_U64,
							  (qemu_plugin_u64){ scoreboard, field },
							  (uint64_t)(uintptr_t)block);
	if (block->comes_back)
		mark_end(work);
}

static void check_repeated(struct work *work, struct block *block)
{
	qemu_plugin_register_vcpu_tb_exec_cond_cb(
		work->tb, rerun_repeated, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
		(qemu_plugin_u64){ scoreboard, offsetof(struct score, block) },
		(uint64_t)(uintptr_t)block, block);
}

/* All additions come before the first alarm, which looks at all totals. */
static void add_counting(struct work *work, uint64_t entries)
{
	struct block *block = describe(work);

	if (may_be_repeated(work, block))
		check_repeated(work, block);
	mark_start(work, block);
	for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++) {
		const enum level levels[] = { work->level, LEVEL_ANY };

		for (unsigned int i = 0; i < 2; i++) {
			unsigned int entry = entry_of(class, levels[i]);
			unsigned int n = added(work, class, levels[i]);

			if (n && entries >> entry & 1)
				add_count(work, block, entry, n);
		}
	}
	add_alarms(work, block->entries);
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
			     .level = level_now() };
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
