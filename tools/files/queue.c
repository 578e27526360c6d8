/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See queue.h.
 */
#define _GNU_SOURCE
#include "queue.h"

#include <linux/virtio_ring.h>

static void *find(const struct region *region, uint64_t start, uint64_t at, uint64_t size)
{
	uint64_t offset = at - start;

	return at >= start && offset < region->size && size <= region->size - offset
		       ? region->at + offset
		       : NULL;
}

void *memory_at(const struct memory *memory, uint64_t guest, uint64_t size)
{
	void *found = NULL;

	for (size_t i = 0; !found && i < memory->count; i++)
		found = find(&memory->regions[i], memory->regions[i].guest, guest, size);
	return found;
}

void *memory_at_qemu(const struct memory *memory, uint64_t qemu, uint64_t size)
{
	void *found = NULL;

	for (size_t i = 0; !found && i < memory->count; i++)
		found = find(&memory->regions[i], memory->regions[i].qemu, qemu, size);
	return found;
}

/* One read of each word. */
static struct vring_desc read_descriptor(const struct vring_desc *from)
{
	const volatile struct vring_desc *descriptor = from;

	return (struct vring_desc){ .addr = descriptor->addr,
				    .len = descriptor->len,
				    .flags = descriptor->flags,
				    .next = descriptor->next };
}

static bool add_piece(struct chain *chain, const struct memory *memory,
		      const struct vring_desc *descriptor)
{
	struct iovec piece = { memory_at(memory, descriptor->addr, descriptor->len),
			       descriptor->len };

	if (!piece.iov_base || chain->inputs + chain->outputs == QUEUE_MAX)
		return false;
	if (descriptor->flags & VRING_DESC_F_WRITE)
		chain->output[chain->outputs++] = piece;
	else if (!chain->outputs)
		chain->input[chain->inputs++] = piece;
	else
		return false;
	return true;
}

/* Follows a table of descriptors. False: it makes no sense. */
static bool follow(struct chain *chain, const struct memory *memory, const struct vring_desc *table,
		   uint32_t size, uint32_t at)
{
	for (uint32_t steps = 0; steps < size && at < size; steps++) {
		struct vring_desc descriptor = read_descriptor(&table[at]);

		if (!add_piece(chain, memory, &descriptor))
			return false;
		if (!(descriptor.flags & VRING_DESC_F_NEXT))
			return true;
		at = descriptor.next;
	}
	return false;
}

/* A chain may be in a table of its own. */
static bool follow_head(const struct queue *queue, struct chain *chain, const struct memory *memory)
{
	struct vring_desc first;
	const struct vring_desc *table;
	uint32_t size;

	if (chain->head >= queue->size)
		return false;
	first = read_descriptor(&queue->descriptors[chain->head]);
	if (!(first.flags & VRING_DESC_F_INDIRECT))
		return follow(chain, memory, queue->descriptors, queue->size, chain->head);
	size = first.len / (uint32_t)sizeof(*table);
	table = memory_at(memory, first.addr, first.len);
	return table && size <= QUEUE_MAX && follow(chain, memory, table, size, 0);
}

bool queue_take(struct queue *queue, const struct memory *memory, struct chain *chain)
{
	uint16_t end = __atomic_load_n(&queue->available->idx, __ATOMIC_ACQUIRE);

	if (queue->next == end)
		return false;
	chain->head = __atomic_load_n(&queue->available->ring[queue->next % queue->size],
				      __ATOMIC_RELAXED);
	queue->next++;
	chain->inputs = chain->outputs = 0;
	if (!follow_head(queue, chain, memory))
		chain->inputs = chain->outputs = 0;
	return true;
}

void queue_give(struct queue *queue, const struct chain *chain, uint32_t written)
{
	struct vring_used_elem *element = &queue->used->ring[queue->done % queue->size];

	element->id = chain->head;
	element->len = written;
	queue->done++;
	__atomic_store_n(&queue->used->idx, queue->done, __ATOMIC_RELEASE);
}

bool queue_wants_call(const struct queue *queue)
{
	/* What is given is seen before the guest's wish is. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(__atomic_load_n(&queue->available->flags, __ATOMIC_RELAXED) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}
