/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Addresses at which a block gets a hook when it is translated. An access whose
 * instruction ends its block is finished at the block that follows, wherever
 * that begins: the address is noted, and a translation that exists already is
 * made to go by rewriting a byte of its code.
 *
 * What is waiting to be finished belongs to the vCPU that calls, so it may not
 * go on before the old translation is gone, whichever vCPU noted the address.
 * Translating everything anew is no substitute: it is sure to come before the
 * next block only of the vCPU that has asked for it.
 */
#include "hooks.h"
#include "abi.h"
#include "guest/x86.h"
#include "plugin.h"

/* A guest decides how many addresses there are; past this every block is hooked. */
#define HOOKS_MAX 4096

struct hook {
	uint64_t physical;
	bool dropped; /* what was translated before it was noted is gone */
	bool used;    /* a translation has it; before, one begun earlier may still come without */
};

static GMutex lock;
static GHashTable *hooks;                   /* by physical address */
static _Atomic uint64_t offsets[PAGE / 64]; /* in-page offsets that occur */

static _Atomic bool all;        /* every block that is translated gets a hook ... */
static _Atomic bool all_hooked; /* ... and no other block is left */

void hooks_init(void)
{
	hooks = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
}

void hooks_flushed(void)
{
	if (all)
		all_hooked = true;
}

/* Under the lock; NULL if there are too many. */
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

/* The byte is written with the value that it has: only its translation goes. */
static void drop_translation(uint64_t physical)
{
	GByteArray *byte = g_byte_array_sized_new(1);

	if (qemu_plugin_read_memory_hwaddr(physical, byte, 1) == QEMU_PLUGIN_HWADDR_OPERATION_OK)
		qemu_plugin_write_memory_hwaddr(physical, byte);
	g_byte_array_free(byte, TRUE);
}

/* Dropping takes QEMU's locks, under which translate() takes ours: not under ours. */
static void hook_at(uint64_t physical)
{
	struct hook *hook;
	bool done;

	g_mutex_lock(&lock);
	hook = note(physical);
	done = hook && hook->dropped && hook->used;
	g_mutex_unlock(&lock);
	if (done)
		return;
	if (!hook)
		all = true;
	drop_translation(physical);
	if (!hook) {
		plugin_retranslate();
		return;
	}
	g_mutex_lock(&lock);
	hook->dropped = true;
	g_mutex_unlock(&lock);
}

/* An address that is not mapped will fault before it can run: nothing to do. */
void hooks_add(uint64_t vaddr)
{
	uint64_t physical;

	if (!all_hooked && qemu_plugin_translate_vaddr(vaddr, &physical))
		hook_at(physical);
}

bool hooks_wanted(uint64_t vaddr)
{
	uint64_t physical;
	struct hook *hook;

	if (all)
		return true;
	if (!(offsets[vaddr % PAGE / 64] >> (vaddr % 64) & 1) ||
	    !qemu_plugin_translate_vaddr(vaddr, &physical))
		return false;
	g_mutex_lock(&lock);
	hook = g_hash_table_lookup(hooks, &physical);
	if (hook)
		hook->used = true;
	g_mutex_unlock(&lock);
	return hook != NULL;
}
