/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A split virtqueue of a guest (VIRTIO 1.2, 2.7), seen from the device. All of its memory is the
 * guest's, which may write there what it likes at any time: nothing is read twice, and nothing is
 * taken on trust.
 */
#ifndef VPMU_TOOLS_FILES_QUEUE_H
#define VPMU_TOOLS_FILES_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define REGIONS_MAX 8
#define QUEUE_MAX   1024 /* descriptors */

/* Pieces of the guest's memory, as QEMU tells of them. */
struct memory {
	struct region {
		uint64_t guest; /* address */
		uint64_t qemu;  /* address in QEMU's own memory */
		uint64_t size;
		uint8_t *at;   /* here */
		void *mapping; /* all that is mapped */
		size_t mapped;
	} regions[REGIONS_MAX];
	size_t count;
};

/* NULL: it is not all there, in one piece. */
void *memory_at(const struct memory *memory, uint64_t guest, uint64_t size);
void *memory_at_qemu(const struct memory *memory, uint64_t qemu, uint64_t size);

struct queue {
	struct vring_desc *descriptors;
	struct vring_avail *available;
	struct vring_used *used;
	uint16_t size;
	uint16_t next; /* available: the next one to take */
	uint16_t done; /* used: the next one to give */
};

/* What the guest asks, and where the answer goes. */
struct chain {
	uint16_t head;
	size_t inputs, outputs; /* numbers of pieces */
	struct iovec input[QUEUE_MAX];
	struct iovec output[QUEUE_MAX];
};

/* The next one, if there is one. One that makes no sense has no pieces. */
bool queue_take(struct queue *queue, const struct memory *memory, struct chain *chain);

/* Gives it back with so many bytes written. */
void queue_give(struct queue *queue, const struct chain *chain, uint32_t written);

/* Whether the guest wants to hear of what is given back. */
bool queue_wants_call(const struct queue *queue);

#endif
