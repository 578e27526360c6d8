/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the writer and the reader of traces both know of docs/trace.md.
 */
#ifndef VPMU_HOSTS_TRACE_FORMAT_H
#define VPMU_HOSTS_TRACE_FORMAT_H

#include "trace.h"

#define VERSION 2

/* A copy as text may change the newline. */
static const uint8_t trace_magic[8] = { 'V', 'P', 'M', 'U', 'T', 'R', 'C', '\n' };

/* The configuration in version 1, and what version 2 adds. */
#define CONFIG_SIZE_1 10
#define CONFIG_SIZE_2 10
#define HEADER_SIZE_1 (sizeof(trace_magic) + 1 + CONFIG_SIZE_1)
#define HEADER_SIZE   (HEADER_SIZE_1 + CONFIG_SIZE_2)

#define CONFIG_FULL_WIDTH 0x01
#define CONFIG_NESTED     0x02
#define CONFIG_FLAGS      (CONFIG_FULL_WIDTH | CONFIG_NESTED)

/* A record's first byte. */
#define RECORD_KIND  0x07
#define RECORD_FAULT 0x08
#define RECORD_VCPU  0xf0
#define VCPU_SHIFT   4
#define VCPU_FOLLOWS 15 /* of RECORD_VCPU: the rest of the number is a varint */
#define RECORD_END   0x07

#define VCPUS_MAX  4096
#define VARINT_MAX 10
#define RECORD_MAX (1 + 4 * VARINT_MAX)

/* What a kind of record carries. */
static const struct {
	bool index, value, may_fault, reads;
} trace_kinds[TRACE_KINDS] = {
	[TRACE_RESET] = { .index = false },
	[TRACE_RDMSR] = { .index = true, .value = true, .may_fault = true, .reads = true },
	[TRACE_WRMSR] = { .index = true, .value = true, .may_fault = true },
	[TRACE_RDPMC] = { .index = true, .value = true, .may_fault = true, .reads = true },
	[TRACE_PMI] = { .value = true },
};

static inline bool trace_has_value(enum trace_kind kind, enum vpmu_answer answer)
{
	return trace_kinds[kind].value && !(trace_kinds[kind].reads && answer == VPMU_FAULT);
}

#endif
