/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vpmu perf and its guest's init say to each other over the virtio port:
 * frames, each a header and size bytes. Both ends are little endian. The host
 * takes no frame on trust: the measured program may be the guest's root.
 */
#ifndef VPMU_TOOLS_WIRE_H
#define VPMU_TOOLS_WIRE_H

#include <stdbool.h>
#include <stdint.h>

/* The largest frame's payload. */
#define WIRE_MAX 16384

/* What the guest can write in all, if its first disk is there: that is swap space of this size. */
#define WIRE_ROOM (16ull << 30)

/* What a stream is in the guest: as on the host, a pipe or something else. */
#define WIRE_PIPE   "pipe"
#define WIRE_SOCKET "socket"

enum wire_type {
	WIRE_STDIN = 1, /* to the guest; size 0: the end */
	WIRE_STDOUT,
	WIRE_STDERR,
	WIRE_STATUS, /* int32_t: the job's wait status; the last frame */
	WIRE_ERROR,  /* text: the guest cannot do the job; the last frame */
	/*
	 * What is brought out, after the job has ended, as a walk through folders. A name is one
	 * component of a path. That of what the user has named is empty: the host knows it.
	 */
	WIRE_NAMED,  /* uint32_t: what follows is this one of the named (the job's "out") */
	WIRE_FOLDER, /* uint32_t mode, name: what follows is in this folder */
	WIRE_LEAVE,  /* ... and what follows is not */
	WIRE_FILE,   /* uint32_t mode, name: a file begins */
	WIRE_DATA,   /* uint64_t offset, bytes */
	WIRE_END,    /* uint64_t size: the file is complete; zeros where there was no data */
};

struct wire_header {
	uint8_t type;
	uint8_t zero;
	uint16_t size;
};

#endif
