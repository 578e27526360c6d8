/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See translation.h.
 */
#include "translation.h"
#include "guest/registers.h"
#include "guest/x86.h"

#define INSN_MAX 15

struct translation translation_begin(struct qemu_plugin_tb *tb)
{
	return (struct translation){ .tb = tb,
				     .count = qemu_plugin_tb_n_insns(tb),
				     .vaddr = qemu_plugin_tb_vaddr(tb),
				     .level = level_now(),
				     .flags = reg_read(GUEST_FLAGS) & (FLAGS_RF | FLAGS_TF) };
}

void translation_end(struct translation *t)
{
	g_free(t->facts);
	t->facts = NULL;
}

/* The length of what is copied. */
static size_t bytes_of(const struct translation *t, size_t index, uint8_t bytes[INSN_MAX])
{
	return qemu_plugin_insn_data(qemu_plugin_tb_get_insn(t->tb, index), bytes, INSN_MAX);
}

/* How many instructions have at this code size the length that QEMU gives them. */
static size_t decode_as(struct translation *t, enum code_size size)
{
	size_t known = 0;

	for (size_t i = 0; i < t->count; i++) {
		uint8_t bytes[INSN_MAX];
		size_t length = bytes_of(t, i, bytes);

		known += decode_facts(bytes, length, size, &t->facts[i]);
	}
	return known;
}

#define CODE_SIZES 3

/* CS.L and CS.D cannot be read. */
static const enum code_size *likely_sizes(void)
{
	static const enum code_size long_mode[CODE_SIZES] = { CODE_64, CODE_32, CODE_16 };
	static const enum code_size legacy[CODE_SIZES] = { CODE_32, CODE_16, CODE_16 };
	static const enum code_size real[CODE_SIZES] = { CODE_16, CODE_32, CODE_32 };

	if (reg_read(GUEST_EFER) & EFER_LMA)
		return long_mode;
	return reg_read(GUEST_CR0) & CR0_PE ? legacy : real;
}

/*
 * The code size is the one at which most lengths are those that QEMU has found, and the
 * likeliest of several. The rest are instructions that Zydis does not know.
 */
void translation_decode(struct translation *t)
{
	const enum code_size *sizes;
	unsigned int best = 0;
	size_t most = 0;

	if (t->facts)
		return;
	sizes = likely_sizes();
	t->facts = g_new(struct insn_facts, t->count);
	for (unsigned int i = 0; i < CODE_SIZES; i++) {
		size_t known = decode_as(t, sizes[i]);

		if (known == t->count)
			return;
		if (known > most) {
			most = known;
			best = i;
		}
	}
	decode_as(t, sizes[best]);
}

unsigned int translation_classes(const struct translation *t, size_t index)
{
	return t->facts ? t->facts[index].classes : 1u << CLASS_INSTRUCTION;
}

unsigned int translation_occurrences(const struct translation *t, unsigned int class)
{
	unsigned int n = 0;

	for (size_t i = 0; i < t->count; i++)
		n += translation_classes(t, i) >> class & 1;
	return n;
}

bool translation_flags_stored_at(struct translation *t, size_t index)
{
	if (index == 0)
		return true;
	translation_decode(t);
	for (size_t i = 0; i < index; i++)
		if (t->facts[i].uses_flags)
			return false;
	return true;
}

struct site translation_site(struct translation *t, size_t index, enum insn_kind kind)
{
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(t->tb, index);
	struct site site = {
		.kind = kind,
		.level = t->level,
		.offset = (uint16_t)(qemu_plugin_insn_vaddr(insn) - t->vaddr),
		.length = (uint8_t)qemu_plugin_insn_size(insn),
		.page_offset = t->vaddr % PAGE,
		.last = index + 1 == t->count,
		.linked = index + 1 == t->count && translation_may_be_linked(t),
		.flags = t->flags,
		.flags_stored = kind == INSN_RDPMC && translation_flags_stored_at(t, index),
		.classes = (uint16_t)translation_classes(t, index),
	};

	for (size_t i = index + 1; i < t->count; i++)
		for (unsigned int class = 0; class < CLASS_INTERRUPT; class ++)
			site.counted_ahead[class] =
				(uint16_t)(site.counted_ahead[class] +
					   (translation_classes(t, i) >> class & 1));
	return site;
}

enum insn_kind translation_kind(const struct translation *t, size_t index)
{
	uint8_t bytes[INSN_MAX];
	size_t length = bytes_of(t, index, bytes);

	return decode_kind(bytes, length);
}

enum insn_end translation_end_kind(const struct translation *t)
{
	uint8_t bytes[INSN_MAX];
	size_t length = bytes_of(t, t->count - 1, bytes);

	return decode_end(bytes, length);
}

bool translation_is_rep_string(const struct translation *t, size_t index)
{
	uint8_t bytes[INSN_MAX];
	size_t length = bytes_of(t, index, bytes);

	return decode_is_rep_string(bytes, length);
}

/* Of a direct branch at the block's end: from its own address. False: there is none. */
static bool last_target(const struct translation *t, int64_t *offset, size_t *length)
{
	uint8_t bytes[INSN_MAX];

	*length = bytes_of(t, t->count - 1, bytes);
	return decode_target(bytes, *length, offset);
}

bool translation_jumps_inside(struct translation *t)
{
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(t->tb, t->count - 1);
	uint64_t at = qemu_plugin_insn_vaddr(last) - t->vaddr;
	int64_t offset;
	size_t length;

	if (last_target(t, &offset, &length))
		return (int64_t)at + offset >= 0 && offset <= 0;
	translation_decode(t);
	return t->facts[t->count - 1].classes >> CLASS_BRANCH & 1;
}

bool translation_may_be_linked(const struct translation *t)
{
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(t->tb, t->count - 1);
	uint64_t behind = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);

	return t->count > 1 && t->flags == 0 && behind / PAGE == t->vaddr / PAGE;
}

bool translation_jumps_forward(const struct translation *t)
{
	int64_t offset;
	size_t length;

	return last_target(t, &offset, &length) && offset >= (int64_t)length;
}
