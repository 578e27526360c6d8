/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vpmu perf and its guest's init say to each other over the virtio port:
 * frames, each a header and size bytes. Both ends are little endian.
 */
#ifndef VPMU_TOOLS_WIRE_H
#define VPMU_TOOLS_WIRE_H

#include <stdbool.h>
#include <stdint.h>

/* The largest frame's payload. */
#define WIRE_MAX 16384

/* What a stream is in the guest: as on the host, a pipe or something else. */
#define WIRE_PIPE   "pipe"
#define WIRE_SOCKET "socket"

enum wire_type {
	WIRE_STDIN = 1, /* to the guest; size 0: the end */
	WIRE_STDOUT,
	WIRE_STDERR,
	WIRE_STATUS, /* int32_t: the job's wait status; the last frame */
	WIRE_ERROR,  /* text: the guest cannot do the job; the last frame */
};

struct wire_header {
	uint8_t type;
	uint8_t zero;
	uint16_t size;
};

#endif
