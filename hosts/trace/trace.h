/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a guest has done with its PMU, as a file: every access and every PMI, in
 * order. Written by hosts, read by vpmu replay and vpmu bench. The format is
 * docs/trace.md.
 */
#ifndef VPMU_HOSTS_TRACE_H
#define VPMU_HOSTS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

enum trace_kind {
	TRACE_RESET,
	TRACE_RDMSR,
	TRACE_WRMSR,
	TRACE_RDPMC,
	TRACE_PMI, /* value: vpmu_status() as it is handed out */
	TRACE_KINDS,
};

struct trace_record {
	enum trace_kind kind;
	enum vpmu_answer answer; /* to an access; VPMU_NOT_MINE is never recorded */
	unsigned int vcpu;
	uint64_t time;  /* nanoseconds since the recording began */
	uint32_t index; /* MSR number, or RDPMC's ECX */
	uint64_t value; /* read, or to be written; 0 for a read that faults */
};

/* Writing. One writer a file; callers with several threads lock. */
struct trace_writer;
/* NULL with errno set if the file cannot be made. An existing file is replaced. */
struct trace_writer *trace_create(const char *path, const struct vpmu_config *config);
/* Errors are kept and told by trace_finish(). */
void trace_put(struct trace_writer *writer, const struct trace_record *record);
/* 0, or the first error's errno value. */
int trace_finish(struct trace_writer *writer);

/* Reading: all of it at once. */
struct trace {
	struct vpmu_config config;
	unsigned int vcpus;
	size_t count;
	struct trace_record *records;
};

/* NULL, or one line (static) that says what is wrong with the file. */
const char *trace_load(const char *path, struct trace *trace);
void trace_free(struct trace *trace);

#endif
