/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hooks of the QEMU plugin (hosts/qemu/translate/hooks.c) on a QEMU that is mocked:
 * physical memory is virtual memory, and a write drops a translation.
 */
#include "abi.h"
#include "guest/x86.h"
#include "plugin.h"
#include "translate/hooks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CODE UINT64_C(0x401234)

static unsigned int dropped;      /* translations, since the test began */
static uint64_t dropped_at;       /* the last one */
static unsigned int retranslated; /* everything */
static uint64_t meanwhile;        /* another vCPU adds this while one is being dropped */

bool qemu_plugin_translate_vaddr(uint64_t vaddr, uint64_t *hwaddr)
{
	*hwaddr = vaddr;
	return vaddr != 0;
}

enum qemu_plugin_hwaddr_operation_result
qemu_plugin_read_memory_hwaddr(uint64_t addr, GByteArray *data, size_t len)
{
	(void)addr;
	g_byte_array_set_size(data, (guint)len);
	return QEMU_PLUGIN_HWADDR_OPERATION_OK;
}

enum qemu_plugin_hwaddr_operation_result qemu_plugin_write_memory_hwaddr(uint64_t addr,
									 GByteArray *data)
{
	uint64_t other = meanwhile;

	assert_int_equal(data->len, 1);
	meanwhile = 0;
	if (other) {
		unsigned int before = dropped;

		hooks_add(other);
		assert_int_equal(dropped, before + 1);
		assert_int_equal(dropped_at, other);
	}
	dropped++;
	dropped_at = addr;
	return QEMU_PLUGIN_HWADDR_OPERATION_OK;
}

bool plugin_retranslate(void)
{
	retranslated++;
	return true;
}

static int set_up(void **unused)
{
	(void)unused;
	dropped = retranslated = 0;
	dropped_at = 0;
	return 0;
}

static void an_address_is_hooked_from_its_next_translation_on(void **unused)
{
	(void)unused;
	assert_false(hooks_wanted(CODE));
	hooks_add(CODE);
	assert_int_equal(dropped, 1);
	assert_int_equal(dropped_at, CODE);
	assert_true(hooks_wanted(CODE));
	assert_false(hooks_wanted(CODE + 1));
	assert_false(hooks_wanted(CODE + PAGE));
	assert_int_equal(retranslated, 0);
}

static void a_hooked_translation_is_left_alone(void **unused)
{
	(void)unused;
	hooks_add(CODE);
	assert_int_equal(dropped, 0);
}

static void until_there_is_one_each_use_drops_what_there_is(void **unused)
{
	(void)unused;
	hooks_add(CODE + 0x10);
	hooks_add(CODE + 0x10);
	assert_int_equal(dropped, 2);
	assert_true(hooks_wanted(CODE + 0x10));
	hooks_add(CODE + 0x10);
	assert_int_equal(dropped, 2);
}

static void a_second_vcpu_does_not_rely_on_a_drop_that_is_under_way(void **unused)
{
	(void)unused;
	meanwhile = CODE + 0x20;
	hooks_add(CODE + 0x20);
	assert_int_equal(dropped, 2);
}

static void an_address_that_is_not_mapped_needs_nothing(void **unused)
{
	(void)unused;
	hooks_add(0);
	assert_int_equal(dropped, 0);
}

/* Behind the others: from here on all blocks are hooked. */
static void with_too_many_addresses_every_block_is_hooked(void **unused)
{
	uint64_t at = CODE + PAGE;

	(void)unused;
	while (!retranslated && at < CODE + 100 * PAGE)
		hooks_add(at++);
	assert_int_equal(retranslated, 1);
	assert_int_equal(dropped_at, at - 1);
	assert_true(hooks_wanted(UINT64_C(0x123456)));
	/* A vCPU that goes on before everything is translated anew needs its own block dropped. */
	hooks_add(at);
	assert_int_equal(dropped_at, at);
	hooks_flushed();
	hooks_add(at + 1);
	assert_int_equal(dropped_at, at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_address_is_hooked_from_its_next_translation_on, set_up),
		cmocka_unit_test_setup(a_hooked_translation_is_left_alone, set_up),
		cmocka_unit_test_setup(until_there_is_one_each_use_drops_what_there_is, set_up),
		cmocka_unit_test_setup(a_second_vcpu_does_not_rely_on_a_drop_that_is_under_way,
				       set_up),
		cmocka_unit_test_setup(an_address_that_is_not_mapped_needs_nothing, set_up),
		cmocka_unit_test_setup(with_too_many_addresses_every_block_is_hooked, set_up),
	};

	hooks_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
