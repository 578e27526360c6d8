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

/* What a stream is in the guest: as on the host, a pipe, a terminal or something else. */
#define WIRE_PIPE     "pipe"
#define WIRE_SOCKET   "socket"
#define WIRE_TERMINAL "terminal"

/* Bytes of randomness that come with a job. */
#define WIRE_SEED 32

/* The named pipes by which the job tells perf what to count (vpmu/region.h). */
#define WIRE_CONTROL "/dev/vpmu-control"
#define WIRE_ANSWER  "/dev/vpmu-answer"

enum wire_type {
	WIRE_STDIN = 1, /* to the guest, when it has asked for more; size 0: the end */
	WIRE_STDOUT,
	WIRE_STDERR,
	WIRE_STATUS, /* int32_t: the job's wait status; the last frame */
	WIRE_ERROR,  /* text: the guest cannot do the job; the last frame */
	/* In their order. The initramfs and a saved start are no secrets; the job may be one. */
	WIRE_HELLO, /* the guest's first word: it takes a job */
	WIRE_JOB, /* to the guest: a part of the job, which is strings "key=value"; size 0: the end
		   */
	WIRE_AHEAD,   /* to the guest, behind the job: what it is to read ahead; size 0: the end */
	WIRE_PHASE,   /* struct wire_phase: a phase of the start has ended */
	WIRE_STARTED, /* the job runs */
	WIRE_MORE,    /* the job may be sent more input */
	WIRE_SIGNAL,  /* to the guest: int32_t, a signal for the job */
	WIRE_WINDOW,  /* to the guest: struct wire_window */
	WIRE_CLOSED,  /* to the guest: uint8_t, WIRE_STDOUT or WIRE_STDERR: nobody reads it any more
		       */
	WIRE_ENDED,   /* the job has ended, and written all that it has written */
	/*
	 * What is brought out, after the job has ended, as a walk through folders. A name is one
	 * component of a path. That of what the user has named is empty: the host knows it.
	 */
	WIRE_NAMED,  /* uint32_t: what follows is this one of the named (the job's "out") */
	WIRE_FOLDER, /* uint32_t mode, name: what follows is in this folder */
	WIRE_LEAVE,  /* struct wire_time: ... and what follows is not */
	WIRE_FILE,   /* uint32_t mode, name: a file begins */
	WIRE_DATA,   /* uint64_t offset, bytes */
	WIRE_END,    /* struct wire_end: the file is complete; zeros where there was no data */
	WIRE_LEFT, /* uint32_t mode, name: is not brought out, for what it is; 0: it was deleted */
};

struct wire_header {
	uint8_t type;
	uint8_t zero;
	uint16_t size;
};

/* A phase that ends, by the guest's monotonic clock. */
struct wire_phase {
	int64_t nanoseconds;
	char name[24]; /* ended by a NUL */
};

/* When it was last changed. */
struct wire_time {
	int64_t seconds;
	int64_t nanoseconds;
};

struct wire_end {
	uint64_t size;
	struct wire_time time;
};

/* The size of the terminal. */
struct wire_window {
	uint16_t rows, columns;
};

#endif
