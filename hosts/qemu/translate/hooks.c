/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See hooks.h. The addresses of hooks are noted, and blocks at them are translated
 * with one. A block that has been translated before is dropped: a write to its code
 * makes QEMU do that.
 *
 * A vCPU depends on the hook, so hooks_add() may not return while there is a block
 * without it, whichever vCPU has noted the address first. To translate everything anew
 * would not do: only the vCPU that has asked for it is sure to see it before its next
 * block (plugin_retranslate()).
 */
#include "hooks.h"
#include "abi.h"
#include "guest/x86.h"
#include "plugin.h"

/* The guest determines how many addresses there are. If it is more, all blocks get hooks. */
#define HOOKS_MAX 4096

struct hook {
	uint64_t physical;
	bool is_old_dropped; /* blocks that were translated before it was noted are gone */
	/*
	 * A block has been translated with it. Before, a translation that had begun when it
	 * was noted may still add a block without it.
	 */
	bool is_used;
};

static GMutex lock;
static GHashTable *hooks;                   /* by physical address */
static _Atomic uint64_t offsets[PAGE / 64]; /* a bit for each offset in a page that occurs */

static _Atomic enum {
	SOME_BLOCKS, /* blocks at the noted addresses get hooks */
	NEW_BLOCKS,  /* there were too many: all blocks that are translated from now on do */
	ALL_BLOCKS,  /* and no older block is left */
} hooked;

void hooks_init(void)
{
	hooks = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
}

void hooks_flushed(void)
{
	if (hooked == NEW_BLOCKS)
		hooked = ALL_BLOCKS;
}

/* With the lock held. NULL: there are too many. */
static struct hook *note(uint64_t physical)
{
	struct hook *hook = g_hash_table_lookup(hooks, &physical);

	if (hook || g_hash_table_size(hooks) >= HOOKS_MAX)
		return hook;
	hook = g_new0(struct hook, 1);
	hook->physical = physical;
	g_hash_table_insert(hooks, &hook->physical, hook);
	offsets[physical % PAGE / 64] |= UINT64_C(1) << (physical % 64);
	return hook;
}

/* The byte keeps its value. */
static void drop_translation(uint64_t physical)
{
	GByteArray *byte = g_byte_array_sized_new(1);

	if (qemu_plugin_read_memory_hwaddr(physical, byte, 1) == QEMU_PLUGIN_HWADDR_OPERATION_OK)
		qemu_plugin_write_memory_hwaddr(physical, byte);
	g_byte_array_free(byte, TRUE);
}

/* To drop a block takes QEMU's locks, and QEMU holds those when hooks_wanted() takes ours. */
static void hook_at(uint64_t physical)
{
	struct hook *hook;
	bool done;

	g_mutex_lock(&lock);
	hook = note(physical);
	done = hook && hook->is_old_dropped && hook->is_used;
	g_mutex_unlock(&lock);
	if (done)
		return;
	if (!hook && hooked == SOME_BLOCKS)
		hooked = NEW_BLOCKS;
	drop_translation(physical);
	if (!hook) {
		plugin_retranslate();
		return;
	}
	g_mutex_lock(&lock);
	hook->is_old_dropped = true;
	g_mutex_unlock(&lock);
}

/* If the address is not mapped, no block can begin there: it faults first. */
void hooks_add(uint64_t vaddr)
{
	uint64_t physical;

	if (hooked != ALL_BLOCKS && qemu_plugin_translate_vaddr(vaddr, &physical))
		hook_at(physical);
}

bool hooks_wanted(uint64_t vaddr)
{
	uint64_t physical;
	struct hook *hook;

	if (hooked != SOME_BLOCKS)
		return true;
	if (!(offsets[vaddr % PAGE / 64] >> (vaddr % 64) & 1) ||
	    !qemu_plugin_translate_vaddr(vaddr, &physical))
		return false;
	g_mutex_lock(&lock);
	hook = g_hash_table_lookup(hooks, &physical);
	if (hook)
		hook->is_used = true;
	g_mutex_unlock(&lock);
	return hook != NULL;
}
