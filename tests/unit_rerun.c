/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What hosts/qemu/count/rerun.c knows of the blocks before, when QEMU throws the
 * translations away in between. Blocks are made here, and what is taken off is noted.
 */
#include "count/rerun.h"
#include "count/totals.h"
#include "vcpu.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH 3 /* of each instruction */

static struct vcpu vcpu;
static struct score score;
static const char code[64];
static struct {
	unsigned int times, done, count;
	const char *code;
} corrected, added;

struct vcpu *vcpu_get(unsigned int index)
{
	assert_int_equal(index, 0);
	return &vcpu;
}

struct score *vcpu_score(const struct vcpu *one)
{
	assert_ptr_equal(one, &vcpu);
	return &score;
}

void vcpu_leave_block(struct vcpu *one)
{
	assert_ptr_equal(one, &vcpu);
	score.block = score.lone_block = 0;
}

void totals_correct(struct vcpu *one, const struct block *block, unsigned int done)
{
	assert_ptr_equal(one, &vcpu);
	corrected.times++;
	corrected.done = done;
	corrected.count = block->count;
	corrected.code = block->code;
}

void totals_add(struct vcpu *one, const struct block *block)
{
	assert_ptr_equal(one, &vcpu);
	added.times++;
	added.code = block->code;
}

static int set_up(void **unused)
{
	(void)unused;
	memset(&score, 0, sizeof(score));
	memset(&corrected, 0, sizeof(corrected));
	memset(&added, 0, sizeof(added));
	return 0;
}

static struct block *new_block(unsigned int first, uint16_t count)
{
	struct block *block = g_malloc0(sizeof(*block) + count * sizeof(block->insn[0]));

	block->code = code + first * LENGTH;
	block->vaddr = 0x401000 + first * LENGTH;
	block->may_be_rerun = count == 1;
	block->count = count;
	for (uint16_t i = 0; i < count; i++)
		block->insn[i].offset = (uint16_t)(i * LENGTH);
	return block;
}

/* The memory of blocks is used for others. */
static void throw_away(struct block *block)
{
	memset(block, 0x5a, sizeof(*block));
	g_free(block);
}

static uint64_t pointer_to(const struct block *block)
{
	return (uint64_t)(uintptr_t)block;
}

static void a_block_left_at_an_access_is_corrected_behind_it(void **unused)
{
	struct block *block = new_block(0, 5), *lone = new_block(2, 1);

	(void)unused;
	score.block = pointer_to(block);
	rerun_keep(&vcpu);
	throw_away(block);
	rerun_accessed(0, 0, 0, lone);
	assert_int_equal(corrected.times, 1);
	assert_int_equal(corrected.count, 5);
	assert_int_equal(corrected.done, 3);
	g_free(lone);
}

static void a_lone_instruction_left_at_its_access_counts_once(void **unused)
{
	struct block *first = new_block(2, 1), *again = new_block(2, 1);

	(void)unused;
	score.lone_block = pointer_to(first);
	rerun_keep(&vcpu);
	throw_away(first);
	rerun_lone_started(0, again);
	assert_int_equal(corrected.times, 1);
	assert_int_equal(corrected.done, 0);
	assert_ptr_equal(corrected.code, again->code);
	g_free(again);
}

static void a_rep_under_way_counts_once(void **unused)
{
	struct block *block = new_block(0, 3), *again = new_block(2, 1);

	(void)unused;
	block->ends_with_rep = again->ends_with_rep = true;
	score.block = pointer_to(block);
	rerun_keep(&vcpu);
	throw_away(block);
	rerun_rep_started(0, again);
	assert_int_equal(added.times, 0);
	g_free(again);
}

/* A lone instruction stores its own pointer only: the REP before it stays the block before. */
static void what_is_kept_stays_when_the_next_translations_go(void **unused)
{
	struct block *rep = new_block(0, 1), *lone = new_block(4, 1);
	struct block *again = new_block(4, 1);

	(void)unused;
	rep->ends_with_rep = true;
	score.block = pointer_to(rep);
	rerun_keep(&vcpu);
	throw_away(rep);
	score.lone_block = pointer_to(lone);
	rerun_keep(&vcpu);
	throw_away(lone);
	rerun_keep(&vcpu);
	assert_ptr_equal(as_block(score.block)->code, code);
	assert_true(as_block(score.block)->ends_with_rep);
	rerun_lone_started(0, again);
	assert_int_equal(corrected.times, 1);
	assert_ptr_equal(corrected.code, again->code);
	g_free(again);
}

static void behind_a_longer_block_a_shorter_one_is_kept_and_the_other_way_round(void **unused)
{
	static const uint16_t counts[] = { 1, 512, 2, 8, 8, 512 };

	(void)unused;
	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct block *block = new_block(0, counts[i]);

		score.block = pointer_to(block);
		rerun_keep(&vcpu);
		throw_away(block);
		assert_int_equal(as_block(score.block)->count, counts[i]);
		for (unsigned int k = 0; k < counts[i]; k++)
			assert_int_equal(as_block(score.block)->insn[k].offset, k * LENGTH);
	}
}

static void where_no_block_is_before_none_is_kept(void **unused)
{
	(void)unused;
	rerun_keep(&vcpu);
	assert_int_equal(score.block, 0);
	assert_int_equal(score.lone_block, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_block_left_at_an_access_is_corrected_behind_it, set_up),
		cmocka_unit_test_setup(a_lone_instruction_left_at_its_access_counts_once, set_up),
		cmocka_unit_test_setup(a_rep_under_way_counts_once, set_up),
		cmocka_unit_test_setup(what_is_kept_stays_when_the_next_translations_go, set_up),
		cmocka_unit_test_setup(
			behind_a_longer_block_a_shorter_one_is_kept_and_the_other_way_round,
			set_up),
		cmocka_unit_test_setup(where_no_block_is_before_none_is_kept, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
