/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Addresses at which a block gets a hook when it is translated. An access whose
 * instruction ends its block is finished at the block that follows, wherever
 * that begins: the address is noted, and a translation that exists already is
 * made to go by rewriting a byte of its code.
 */
#include "plugin.h"
#include <string.h>

/* A guest decides how many addresses there are; past this every block is hooked. */
#define HOOKS_MAX 4096

#define PAGE 4096u

static GMutex lock;
static GHashTable *hooks; /* physical addresses */
static _Atomic bool all;
static _Atomic uint64_t offsets[PAGE / 64]; /* in-page offsets that occur */

void hooks_init(void)
{
	hooks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

static bool note(uint64_t physical)
{
	bool is_new;

	g_mutex_lock(&lock);
	is_new = !g_hash_table_contains(hooks, &physical);
	if (is_new && g_hash_table_size(hooks) < HOOKS_MAX) {
		g_hash_table_add(hooks, g_memdup2(&physical, sizeof(physical)));
		offsets[physical % PAGE / 64] |= UINT64_C(1) << (physical % 64);
	} else if (is_new) {
		all = true;
	}
	g_mutex_unlock(&lock);
	return is_new;
}

/* The byte is written with the value that it has: only its translation goes. */
static void drop_translation(uint64_t physical)
{
	GByteArray *byte = g_byte_array_sized_new(1);

	if (qemu_plugin_read_memory_hwaddr(physical, byte, 1) == QEMU_PLUGIN_HWADDR_OPERATION_OK)
		qemu_plugin_write_memory_hwaddr(physical, byte);
	g_byte_array_free(byte, TRUE);
}

/* An address that is not mapped will fault before it can run: nothing to do. */
void hooks_add(uint64_t vaddr)
{
	uint64_t physical;

	if (all || !qemu_plugin_translate_vaddr(vaddr, &physical) || !note(physical))
		return;
	if (all)
		plugin_retranslate();
	else
		drop_translation(physical);
}

bool hooks_wanted(uint64_t vaddr)
{
	uint64_t physical;
	bool wanted;

	if (all)
		return true;
	if (!(offsets[vaddr % PAGE / 64] >> (vaddr % 64) & 1) ||
	    !qemu_plugin_translate_vaddr(vaddr, &physical))
		return false;
	g_mutex_lock(&lock);
	wanted = g_hash_table_contains(hooks, &physical);
	g_mutex_unlock(&lock);
	return wanted;
}
