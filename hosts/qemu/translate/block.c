/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See block.h.
 */
#define _GNU_SOURCE
#include "block.h"
#include <sys/mman.h>

static GMutex lock;
static GSList *kept; /* by block_keep() */

void *block_keep(void *memory)
{
	g_mutex_lock(&lock);
	kept = g_slist_prepend(kept, memory);
	g_mutex_unlock(&lock);
	return memory;
}

/*
 * Translated code stores the address of its block. On x86 hosts a store of a constant
 * that fits in 31 bits is one instruction, others are two. So blocks are in low memory.
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

struct block *block_new(size_t count)
{
	return low_allocate(sizeof(struct block) + count * sizeof(struct block_insn));
}

void block_free_all(void)
{
	g_slist_free_full(kept, g_free);
	kept = NULL;
	while (lows) {
		struct low *next = lows->next;

		munmap(lows, LOW_SIZE);
		lows = next;
	}
}
