/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See counting.h.
 */
#include "counting.h"
#include "block.h"
#include "checks.h"
#include "count/installed.h"
#include "count/rerun.h"

static bool cuts_blocks;

void counting_under_icount(void)
{
	cuts_blocks = true;
}

uint64_t counting_entries(enum level level)
{
	uint64_t mask = 0;

	for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++)
		mask |= entry_bit(entry_of(class, level)) | entry_bit(entry_of(class, LEVEL_ANY));
	return mask & installed_entries();
}

bool counting_needs_facts(uint64_t entries)
{
	return entries >> LEVEL_COUNT != 0; /* any class but CLASS_INSTRUCTION, the first */
}

/* Code in a device is not in QEMU's memory. Its virtual address has to do. */
static const char *code_of(const struct translation *t)
{
	const char *code = qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(t->tb, 0));

	return code ? code : (const char *)(uintptr_t)t->vaddr;
}

static struct block_insn describe_insn(const struct translation *t, size_t index)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(t->tb, index);

	return (struct block_insn){
		.offset = (uint16_t)(qemu_plugin_insn_vaddr(insn) - t->vaddr),
		.classes = (uint8_t)translation_classes(t, index),
		.length = qemu_plugin_insn_size(insn) & 0x7f,
		.is_into = t->facts && t->facts[index].is_into,
	};
}

/* Could QEMU run this block to repeat a memory access? See rerun.c. */
static bool may_be_rerun(struct translation *t)
{
	const unsigned int memory = 1u << CLASS_LOAD | 1u << CLASS_STORE;

	if (t->count != 1)
		return false;
	translation_decode(t);
	return (t->facts[0].classes & memory) && !t->facts[0].has_rep &&
	       !(t->facts[0].classes >> CLASS_BRANCH & 1);
}

static struct block *describe(struct translation *t)
{
	struct block *block = block_new(t->count);

	*block = (struct block){ .vaddr = t->vaddr,
				 .code = code_of(t),
				 .level = t->level,
				 .jumps_inside = cuts_blocks && translation_jumps_inside(t),
				 .may_be_rerun = may_be_rerun(t),
				 .ends_with_rep = translation_is_rep_string(t, t->count - 1),
				 .count = (uint16_t)t->count };
	for (size_t i = 0; i < t->count; i++)
		block->insn[i] = describe_insn(t, i);
	return block;
}

static void add_rep_check(struct translation *t, struct block *block)
{
	qemu_plugin_register_vcpu_tb_exec_cond_cb(
		t->tb, rerun_rep_started, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
		score_field(offsetof(struct score, block)), (uint64_t)(uintptr_t)block, block);
}

static void mark_end(struct translation *t)
{
	const qemu_plugin_u64 ended = score_field(offsetof(struct score, block_ended));

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(t->tb, QEMU_PLUGIN_INLINE_STORE_U64,
							  ended, 0);
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
		qemu_plugin_tb_get_insn(t->tb, t->count - 1), QEMU_PLUGIN_INLINE_STORE_U64, ended,
		1);
}

static void mark_start(struct translation *t, struct block *block)
{
	size_t field = offsetof(struct score, block);

	if (block->may_be_rerun) {
		field = offsetof(struct score, lone_block);
		qemu_plugin_register_vcpu_tb_exec_cond_cb(
			t->tb, rerun_lone_started, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
			score_field(field), 0, block);
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(t->tb, 0), rerun_accessed,
						 QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, block);
	}
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(t->tb, QEMU_PLUGIN_INLINE_STORE_U64,
							  score_field(field),
							  (uint64_t)(uintptr_t)block);
	if (block->jumps_inside)
		mark_end(t);
}

/* What the block adds to an entry. */
static unsigned int addition(const struct translation *t, unsigned int class, enum level level)
{
	unsigned int n = translation_occurrences(t, class);

	if (installed_folded() >> entry_of(class, level) & 1)
		n -= translation_occurrences(t, CLASS_CONDITIONAL);
	return n;
}

static void add_count(struct translation *t, struct block *block, unsigned int entry, uint64_t n)
{
	block->entries |= entry_bit(entry);
	if (!block_is_lone_rep(block))
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(t->tb, QEMU_PLUGIN_INLINE_ADD_U64,
								  score_entry(entry), n);
}

static void add_counts(struct translation *t, struct block *block, uint64_t entries)
{
	const enum level levels[] = { t->level, LEVEL_ANY };

	for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++)
		for (unsigned int i = 0; i < 2; i++) {
			unsigned int entry = entry_of(class, levels[i]);
			unsigned int n = addition(t, class, levels[i]);

			if (n && entries >> entry & 1)
				add_count(t, block, entry, n);
		}
}

unsigned int counting_addition(const struct translation *t, const struct block *block,
			       unsigned int entry)
{
	if (!block || !(block->entries >> entry & 1) || block_is_lone_rep(block))
		return 0;
	return addition(t, entry / LEVEL_COUNT, (enum level)(entry % LEVEL_COUNT));
}

/*
 * Checks come behind the additions, for code that finds an entry's address once, and
 * before the block notes itself: they are about the block before.
 */
bool counting_add(struct translation *t, uint64_t entries)
{
	struct block *block = entries ? describe(t) : NULL;
	bool checks;

	if (block)
		add_counts(t, block, entries);
	checks = checks_add(t, block);
	if (!block)
		return checks;
	if (block_is_lone_rep(block))
		add_rep_check(t, block);
	mark_start(t, block);
	return true;
}
