/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a vCPU is led to a hook (hosts/qemu/serve/hook.c): which flag is set for it, and that
 * the guest does not see it. The vCPU's registers are mocked.
 */
#include "guest/frame.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "serve/hook.h"
#include "translate/block.h"
#include "vcpu.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>


static uint64_t registers[GUEST_COUNT];
static bool frame_cleared; /* TF has been, in the frame of an interrupt */
static struct score score;
static struct vcpu vcpu;
static struct site site;

uint64_t reg_read(enum reg reg)
{
	return registers[reg];
}

void reg_write(enum reg reg, uint64_t value)
{
	registers[reg] = value;
}

void frame_clear_step(void)
{
	frame_cleared = true;
}

struct score *vcpu_score(const struct vcpu *one)
{
	assert_ptr_equal(one, &vcpu);
	return &score;
}

static int set_up(void **unused)
{
	(void)unused;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&score, 0, sizeof(score));
	memset(&site, 0, sizeof(site));
	site.last = true;
	frame_cleared = false;
	registers[GUEST_CR0] = CR0_PE;
	registers[GUEST_FLAGS] = FLAGS_ONE | FLAGS_IF;
	return 0;
}

/* What QEMU looks the next block up by. */
static uint64_t flag(void)
{
	return registers[GUEST_FLAGS] & (FLAGS_RF | FLAGS_TF);
}

/* QEMU delivers an exception or interrupt. */
static void deliver(void)
{
	registers[GUEST_FLAGS] &= ~(FLAGS_RF | FLAGS_TF);
}

static void rf_leads_to_the_block_behind(void **unused)
{
	(void)unused;
	hook_behind(&vcpu, &site);
	assert_int_equal(flag(), FLAGS_RF);
	assert_int_equal(registers[GUEST_FLAGS] & ~FLAGS_RF, FLAGS_ONE | FLAGS_IF);
	assert_true(score.hook_pending);
}

static void the_hook_takes_it_away_and_the_block_starts_again(void **unused)
{
	(void)unused;
	hook_behind(&vcpu, &site);
	assert_true(hook_reached(&vcpu));
	assert_int_equal(flag(), 0);
	assert_false(score.hook_pending);
	assert_false(hook_reached(&vcpu));
}

static void a_linked_block_goes_on(void **unused)
{
	(void)unused;
	site.linked = true;
	hook_behind(&vcpu, &site);
	assert_int_equal(flag(), FLAGS_RF);
	assert_false(hook_reached(&vcpu));
	assert_int_equal(flag(), 0);
}

static void behind_a_block_with_rf_it_is_tf(void **unused)
{
	(void)unused;
	site.flags = FLAGS_RF;
	registers[GUEST_FLAGS] |= FLAGS_RF;
	hook_behind(&vcpu, &site);
	registers[GUEST_FLAGS] &= ~FLAGS_RF; /* at the end of the block */
	assert_int_equal(flag(), FLAGS_TF);
	assert_true(hook_reached(&vcpu));
	assert_int_equal(flag(), 0);
}

static void a_single_step_needs_no_hook(void **unused)
{
	(void)unused;
	site.flags = FLAGS_TF;
	registers[GUEST_FLAGS] |= FLAGS_TF;
	hook_behind(&vcpu, &site);
	assert_int_equal(flag(), FLAGS_TF);
	assert_false(score.hook_pending);
	hook_raised(&vcpu);
	assert_int_equal(flag(), FLAGS_TF);
}

static void a_real_mode_handler_has_tf(void **unused)
{
	(void)unused;
	registers[GUEST_CR0] = 0;
	hook_handler(&vcpu, HOOK_RDPMC);
	assert_int_equal(flag(), FLAGS_TF);
	assert_true(hook_reached(&vcpu));
	assert_int_equal(flag(), 0);
}

static void an_exception_instead_does_not_show_the_flag(void **unused)
{
	(void)unused;
	for (unsigned int with_rf = 0; with_rf < 2; with_rf++) {
		site.flags = with_rf ? FLAGS_RF : 0;
		hook_behind(&vcpu, &site);
		hook_raised(&vcpu);
		assert_int_equal(flag(), 0);
		assert_false(score.hook_pending);
	}
}

/* RF is what QEMU has in the frame of any interrupt. */
static void an_interrupt_instead_does_not_show_tf_either(void **unused)
{
	(void)unused;
	for (unsigned int with_rf = 0; with_rf < 2; with_rf++) {
		site.flags = with_rf ? FLAGS_RF : 0;
		hook_behind(&vcpu, &site);
		deliver();
		hook_interrupted(&vcpu);
		assert_int_equal(frame_cleared, with_rf);
		assert_int_equal(flag(), 0);
		assert_false(score.hook_pending);
	}
	frame_cleared = false;
	hook_interrupted(&vcpu);
	assert_false(frame_cleared);
}

/* The NMI's frame has RF, and its IRET brings it back. */
static void a_handler_with_an_rdpmc_pending_keeps_it_in_the_frame(void **unused)
{
	(void)unused;
	vcpu.rdpmc.pending_count = 1;
	hook_handler(&vcpu, HOOK_RDPMC);
	deliver();
	hook_interrupted(&vcpu);
	assert_false(frame_cleared);
	assert_true(score.hook_pending);
	registers[GUEST_FLAGS] |= FLAGS_RF;
	assert_false(hook_reached(&vcpu));
	assert_true(score.hook_pending);
	hook_handler(&vcpu, HOOK_RDPMC);
	hook_raised(&vcpu);
	assert_int_equal(flag(), FLAGS_RF);
}

/* A #VMEXIT has saved the flags. A handler of an RDPMC's #UD is gone on with by the next VMRUN. */
static void a_vmexit_instead_takes_it_from_the_saved_flags(void **unused)
{
	(void)unused;
	assert_int_equal(hook_left(&vcpu, FLAGS_RF | FLAGS_ONE), FLAGS_RF | FLAGS_ONE);
	hook_behind(&vcpu, &site);
	assert_int_equal(hook_left(&vcpu, FLAGS_RF | FLAGS_ONE), FLAGS_ONE);
	assert_false(score.hook_pending);
	vcpu.rdpmc.pending_count = 1;
	hook_handler(&vcpu, HOOK_RDPMC);
	assert_int_equal(hook_left(&vcpu, FLAGS_RF | FLAGS_ONE), FLAGS_RF | FLAGS_ONE);
	assert_true(score.hook_pending);
}

static void flags_that_tcg_has_elsewhere_are_not_written(void **unused)
{
	(void)unused;
	registers[GUEST_FLAGS] |= FLAGS_CC | FLAGS_DF;
	hook_behind(&vcpu, &site);
	assert_int_equal(registers[GUEST_FLAGS] & (FLAGS_CC | FLAGS_DF), 0);
	assert_int_equal(flag(), FLAGS_RF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rf_leads_to_the_block_behind, set_up),
		cmocka_unit_test_setup(the_hook_takes_it_away_and_the_block_starts_again, set_up),
		cmocka_unit_test_setup(a_linked_block_goes_on, set_up),
		cmocka_unit_test_setup(behind_a_block_with_rf_it_is_tf, set_up),
		cmocka_unit_test_setup(a_single_step_needs_no_hook, set_up),
		cmocka_unit_test_setup(a_real_mode_handler_has_tf, set_up),
		cmocka_unit_test_setup(an_exception_instead_does_not_show_the_flag, set_up),
		cmocka_unit_test_setup(an_interrupt_instead_does_not_show_tf_either, set_up),
		cmocka_unit_test_setup(a_handler_with_an_rdpmc_pending_keeps_it_in_the_frame,
				       set_up),
		cmocka_unit_test_setup(a_vmexit_instead_takes_it_from_the_saved_flags, set_up),
		cmocka_unit_test_setup(flags_that_tcg_has_elsewhere_are_not_written, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
