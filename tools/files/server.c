/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See server.h. One thread does it all: the guest waits for most answers, and one comes in
 * microseconds.
 */
#define _GNU_SOURCE
#include "server.h"
#include "queue.h"
#include "requests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define QUEUES 2 /* one for what is urgent, one for the rest */

/* vhost-user: messages by number, and their parts. */
enum message_type {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	SET_DEVICE_STATE_FD = 42,
	CHECK_DEVICE_STATE = 43,
};

enum {
	VERSION = 1,
	IS_REPLY = 1 << 2,
	NEEDS_REPLY = 1 << 3,
	QUEUE_INDEX = 0xff, /* of the payload of messages with a file */
	HAS_NO_FILE = 1 << 8,
	PROTOCOL_MQ = 1 << 0,
	PROTOCOL_LOG_SHMFD = 1 << 1,
	PROTOCOL_REPLY_ACK = 1 << 3,
	PROTOCOL_DEVICE_STATE = 1 << 19,
	LOG_ALL = 26, /* bits of features */
	PROTOCOL_FEATURES = 30,
};

struct message {
	struct {
		uint32_t type, flags, size;
	} header;
	union {
		uint64_t number;
		struct {
			uint32_t index, number;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t descriptors, used, available, log;
		} addresses;
		struct {
			uint32_t count, padding;
			struct {
				uint64_t guest, size, qemu, offset;
			} regions[REGIONS_MAX];
		} memory;
	} payload;
	/* Files that come with it. */
	int files[REGIONS_MAX];
	size_t count;
};

struct device {
	int connection;
	struct memory memory;
	struct ring {
		struct queue queue;
		uint64_t descriptors, used, available; /* addresses in QEMU's memory */
		int kick, call;                        /* -1: none */
		bool enabled;
	} rings[QUEUES];
};

static bool receive_files(struct message *message, struct msghdr *from)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(from);
	size_t size;

	message->count = 0;
	if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
		return true;
	size = control->cmsg_len - CMSG_LEN(0);
	message->count = size / sizeof(int);
	memcpy(message->files, CMSG_DATA(control), message->count * sizeof(int));
	return !(from->msg_flags & MSG_CTRUNC);
}

static bool receive(int connection, struct message *message)
{
	union {
		char bytes[CMSG_SPACE(sizeof(message->files))];
		struct cmsghdr aligned;
	} control;
	struct iovec piece = { &message->header, sizeof(message->header) };
	struct msghdr from = { .msg_iov = &piece,
			       .msg_iovlen = 1,
			       .msg_control = control.bytes,
			       .msg_controllen = sizeof(control.bytes) };
	uint32_t size;

	memset(&message->payload, 0, sizeof(message->payload));
	if (recvmsg(connection, &from, MSG_WAITALL | MSG_CMSG_CLOEXEC) !=
		    (ssize_t)sizeof(message->header) ||
	    !receive_files(message, &from))
		return false;
	size = message->header.size;
	return size <= sizeof(message->payload) &&
	       (!size || recv(connection, &message->payload, size, MSG_WAITALL) == (ssize_t)size);
}

static bool reply(int connection, struct message *message, size_t size)
{
	struct iovec pieces[] = { { &message->header, sizeof(message->header) },
				  { &message->payload, size } };
	struct msghdr all = { .msg_iov = pieces, .msg_iovlen = 2 };

	message->header.flags = VERSION | IS_REPLY;
	message->header.size = (uint32_t)size;
	return sendmsg(connection, &all, MSG_NOSIGNAL) == (ssize_t)(sizeof(message->header) + size);
}

static bool reply_number(int connection, struct message *message, uint64_t number)
{
	message->payload.number = number;
	return reply(connection, message, sizeof(number));
}

static void forget_memory(struct memory *memory)
{
	for (size_t i = 0; i < memory->count; i++)
		munmap(memory->regions[i].mapping, memory->regions[i].mapped);
	memory->count = 0;
}

/* The queues of a ring, by their addresses; the memory may have moved. */
static bool find_queue(const struct memory *memory, struct ring *ring)
{
	struct queue *queue = &ring->queue;
	size_t size = queue->size;

	queue->descriptors =
		memory_at_qemu(memory, ring->descriptors, size * sizeof(*queue->descriptors));
	queue->available = memory_at_qemu(memory, ring->available,
					  sizeof(*queue->available) + size * sizeof(uint16_t));
	queue->used = memory_at_qemu(memory, ring->used,
				     sizeof(*queue->used) + size * sizeof(struct vring_used_elem));
	return queue->descriptors && queue->available && queue->used;
}

static bool set_memory(struct device *device, struct message *message)
{
	size_t count = message->payload.memory.count;

	if (count > REGIONS_MAX || count != message->count)
		return false;
	forget_memory(&device->memory);
	for (size_t i = 0; i < count; i++) {
		struct region *region = &device->memory.regions[i];
		uint64_t offset = message->payload.memory.regions[i].offset;

		*region = (struct region){ .guest = message->payload.memory.regions[i].guest,
					   .qemu = message->payload.memory.regions[i].qemu,
					   .size = message->payload.memory.regions[i].size };
		region->mapped = region->size + offset;
		region->mapping = mmap(NULL, region->mapped, PROT_READ | PROT_WRITE, MAP_SHARED,
				       message->files[i], 0);
		if (region->mapping == MAP_FAILED)
			return false;
		region->at = (uint8_t *)region->mapping + offset;
		device->memory.count++;
	}
	for (size_t i = 0; i < QUEUES; i++)
		if (device->rings[i].queue.used && !find_queue(&device->memory, &device->rings[i]))
			return false;
	return true;
}

static bool set_addresses(struct device *device, const struct message *message)
{
	struct ring *ring = &device->rings[message->payload.addresses.index % QUEUES];

	ring->descriptors = message->payload.addresses.descriptors;
	ring->used = message->payload.addresses.used;
	ring->available = message->payload.addresses.available;
	if (!find_queue(&device->memory, ring))
		return false;
	ring->queue.done = ring->queue.used->idx;
	return true;
}

static void set_file(int *file, struct message *message)
{
	if (*file >= 0)
		close(*file);
	*file = -1;
	if (message->payload.number & HAS_NO_FILE || message->count != 1)
		return;
	*file = message->files[0];
	message->count = 0;
}

/* The files that nobody has taken. */
static void close_files(struct message *message)
{
	for (size_t i = 0; i < message->count; i++)
		close(message->files[i]);
}

/*
 * A guest is saved before it has mounted anything, and while it stands still: there is no state,
 * and no log of what is written in its memory. QEMU saves no device that does not offer the log.
 */
static bool offer_features(const struct device *device, struct message *message)
{
	return reply_number(device->connection, message,
			    1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
				    1ull << LOG_ALL | 1ull << PROTOCOL_FEATURES);
}

/* False: this cannot go on. Answers what has an answer of its own. */
static bool obey(struct device *device, struct message *message)
{
	struct ring *by_state = &device->rings[message->payload.state.index % QUEUES];
	struct ring *by_file = &device->rings[(message->payload.number & QUEUE_INDEX) % QUEUES];

	switch ((enum message_type)message->header.type) {
	case GET_FEATURES:
		return offer_features(device, message);
	case GET_PROTOCOL_FEATURES:
		return reply_number(device->connection, message,
				    PROTOCOL_MQ | PROTOCOL_LOG_SHMFD | PROTOCOL_REPLY_ACK |
					    PROTOCOL_DEVICE_STATE);
	case GET_QUEUE_NUM:
		return reply_number(device->connection, message, QUEUES);
	case GET_VRING_BASE:
		message->payload.state.number = by_state->queue.next;
		by_state->enabled = false;
		return reply(device->connection, message, sizeof(message->payload.state));
	case SET_MEM_TABLE:
		return set_memory(device, message);
	case SET_VRING_NUM:
		if (!message->payload.state.number || message->payload.state.number > QUEUE_MAX)
			return false;
		by_state->queue.size = (uint16_t)message->payload.state.number;
		break;
	case SET_VRING_ADDR:
		return set_addresses(device, message);
	case SET_VRING_BASE:
		by_state->queue.next = (uint16_t)message->payload.state.number;
		break;
	case SET_VRING_ENABLE:
		by_state->enabled = message->payload.state.number != 0;
		break;
	case SET_VRING_KICK:
		set_file(&by_file->kick, message);
		break;
	case SET_VRING_CALL:
		set_file(&by_file->call, message);
		break;
	case SET_FEATURES:
		return !(message->payload.number & 1ull << LOG_ALL);
	case SET_DEVICE_STATE_FD:
		/* Its file is closed, which is an empty state. */
		return reply_number(device->connection, message, HAS_NO_FILE);
	case CHECK_DEVICE_STATE:
		return reply_number(device->connection, message, 0);
	case SET_OWNER:
	case SET_VRING_ERR:
	case SET_PROTOCOL_FEATURES:
		break;
	}
	return true;
}

static bool serve_message(struct device *device)
{
	struct message message;
	bool done, answered;

	if (!receive(device->connection, &message))
		return false;
	done = obey(device, &message);
	close_files(&message);
	answered = message.header.flags & IS_REPLY;
	if (done && !answered && message.header.flags & NEEDS_REPLY)
		done = reply_number(device->connection, &message, 0);
	return done;
}

/* All that is in it. */
static void serve_ring(struct device *device, struct ring *ring)
{
	static struct chain chain;
	uint64_t count;
	bool any = false;

	if (read(ring->kick, &count, sizeof(count)) < 0 || !ring->enabled || !ring->queue.used)
		return;
	while (queue_take(&ring->queue, &device->memory, &chain)) {
		queue_give(&ring->queue, &chain, request_answer(&chain));
		any = true;
	}
	count = 1;
	if (any && ring->call >= 0 && queue_wants_call(&ring->queue))
		any = write(ring->call, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

void files_serve(int connection)
{
	static struct device device;

	device.connection = connection;
	for (size_t i = 0; i < QUEUES; i++)
		device.rings[i].kick = device.rings[i].call = -1;
	for (;;) {
		struct pollfd fds[1 + QUEUES] = { { .fd = connection, .events = POLLIN } };

		for (size_t i = 0; i < QUEUES; i++)
			fds[1 + i] =
				(struct pollfd){ .fd = device.rings[i].kick, .events = POLLIN };
		if (poll(fds, 1 + QUEUES, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		for (size_t i = 0; i < QUEUES; i++)
			if (fds[1 + i].revents)
				serve_ring(&device, &device.rings[i]);
		if (fds[0].revents && !serve_message(&device))
			return;
	}
}

/* What each version of Landlock knows of writing. */
static uint64_t writing_rights(long version)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			  LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
			  LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
			  LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
			  LANDLOCK_ACCESS_FS_MAKE_SYM;
	const uint64_t truncate = 1u << 14;

	if (version >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		rights |= truncate;
	return rights;
}

bool files_give_up_writing(void)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr rules = { .handled_access_fs = writing_rights(version) };
	long fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return false;
	if (version < 1)
		return true;
	fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	/* There is no rule: it is all forbidden, everywhere. */
	return fd >= 0 && !syscall(SYS_landlock_restrict_self, fd, 0) && !close((int)fd);
}
