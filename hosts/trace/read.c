/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads traces; the format is docs/trace.md. A trace has exactly one encoding, and the
 * reader refuses any other: most damage to a file makes it one.
 */
#define _POSIX_C_SOURCE 200809L
#include "format.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (INT64_C(1) << 30)

/* The rest of a file, and what has been read of it. */
struct reader {
	const uint8_t *at, *end;
	const char *error;
	uint64_t time;
	size_t count;
	unsigned int vcpus;
};

static const char cut_short[] = "the trace is cut short: it has no end";
static const char damaged[] = "the trace is damaged: a number in it is malformed";

static uint8_t get_byte(struct reader *reader)
{
	if (reader->at == reader->end) {
		reader->error = cut_short;
		return 0;
	}
	return *reader->at++;
}

/* Seven bits a byte, the lowest first, in as few bytes as possible. */
static uint64_t get_varint(struct reader *reader)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; !reader->error; shift += 7) {
		uint8_t byte = get_byte(reader);

		if (reader->error)
			break;
		if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
			reader->error = damaged;
			break;
		}
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	return 0;
}

static uint64_t get_at_most(struct reader *reader, uint64_t most, const char *error)
{
	uint64_t value = get_varint(reader);

	if (!reader->error && value > most)
		reader->error = error;
	return reader->error ? 0 : value;
}

static struct trace_record get_record(struct reader *reader, uint8_t first)
{
	struct trace_record record = { .kind = first & RECORD_KIND,
				       .answer = first & RECORD_FAULT ? VPMU_FAULT : VPMU_DONE,
				       .vcpu = (unsigned int)first >> VCPU_SHIFT };

	if ((unsigned int)record.kind >= TRACE_KINDS ||
	    (record.answer == VPMU_FAULT && !trace_kinds[record.kind].may_fault)) {
		reader->error = "the trace is damaged: it has a record of no known kind";
		return record;
	}
	if (record.vcpu == VCPU_FOLLOWS)
		record.vcpu += (unsigned int)get_at_most(reader, VCPUS_MAX - 1 - VCPU_FOLLOWS,
							 "the trace is damaged: no vCPU has a "
							 "number above 4095");
	reader->time += get_at_most(reader, UINT64_MAX - reader->time,
				    "the trace is damaged: its time runs over");
	record.time = reader->time;
	if (trace_kinds[record.kind].index)
		record.index = (uint32_t)get_at_most(
			reader, UINT32_MAX,
			"the trace is damaged: the number of a register has more than 32 bits");
	if (trace_has_value(record.kind, record.answer))
		record.value = get_varint(reader);
	return record;
}

static void get_end(struct reader *reader)
{
	uint64_t count = get_varint(reader);

	if (reader->error)
		return;
	if (count != reader->count)
		reader->error = "the trace is damaged: its end has another number of records";
	else if (reader->at != reader->end)
		reader->error = "the trace is damaged: something follows its end";
}

/* All records, to records[] unless it is NULL. Their number is reader->count. */
static void get_records(struct reader *reader, struct trace_record *records)
{
	for (;;) {
		uint8_t first = get_byte(reader);
		struct trace_record record;

		if (reader->error)
			return;
		if (first == RECORD_END) {
			get_end(reader);
			return;
		}
		record = get_record(reader, first);
		if (reader->error)
			return;
		if (records)
			records[reader->count] = record;
		reader->count++;
		if (record.vcpu >= reader->vcpus)
			reader->vcpus = record.vcpu + 1;
	}
}

/* vpmu_init() says it. The source is never called. */
static bool is_possible(const struct vpmu_config *config)
{
	static const struct vpmu_source_ops nothing;
	struct vpmu pmu;

	if (config->version == 0)
		return !config->general && !config->general_width && !config->fixed &&
		       !config->fixed_width && !config->full_width_writes && !config->events &&
		       !config->nested && !config->event_registers && !config->debug_bits &&
		       (config->vendor == VPMU_INTEL || config->vendor == VPMU_AMD);
	return vpmu_init(&pmu, config, &nothing, NULL) == VPMU_OK;
}

static uint64_t get_little_endian(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

/*
 * What a header of version 1 does not say: an Intel PMU, whose fixed counter of reference
 * cycles is counted if the event is, and whose guest may set LBR and BTF.
 */
static void complete_version_1(struct vpmu_config *config)
{
	config->vendor = VPMU_INTEL;
	config->debug_bits = config->version ? 0x3 : 0;
	if (config->events & (1u << VPMU_EVENT_REF_CYCLES))
		config->events |= 1u << VPMU_EVENT_TSC_CYCLES;
}

static void get_config(struct reader *reader, unsigned int version, struct vpmu_config *config)
{
	const uint8_t *from = reader->at;
	const uint8_t *added = from + CONFIG_SIZE_1;
	uint8_t flags = version == 1 ? CONFIG_FULL_WIDTH : CONFIG_FLAGS;

	*config = (struct vpmu_config){ .version = from[0],
					.general = from[1],
					.general_width = from[2],
					.fixed = from[3],
					.fixed_width = from[4],
					.full_width_writes = from[5] & CONFIG_FULL_WIDTH,
					.nested = from[5] & CONFIG_NESTED,
					.events = (uint32_t)get_little_endian(from + 6, 4) };
	if (version == 1) {
		complete_version_1(config);
	} else {
		config->vendor = (enum vpmu_vendor_id)added[0];
		config->event_registers = added[1];
		config->debug_bits = get_little_endian(added + 2, 8);
	}
	reader->at += CONFIG_SIZE_1 + (version == 1 ? 0 : CONFIG_SIZE_2);
	if ((from[5] & ~flags) || !is_possible(config))
		reader->error = "the trace is damaged: there is no PMU such as its header has";
}

static void get_header(struct reader *reader, struct vpmu_config *config)
{
	size_t size = (size_t)(reader->end - reader->at);
	size_t start = size < sizeof(trace_magic) ? size : sizeof(trace_magic);
	unsigned int version =
		size > sizeof(trace_magic) ? reader->at[sizeof(trace_magic)] : VERSION;

	if (memcmp(reader->at, trace_magic, start) != 0 || size == 0)
		reader->error = "not a trace";
	else if (version > VERSION)
		reader->error = "the trace is of a newer version than this program reads";
	else if (version == 0)
		reader->error = "the trace is damaged: it has no version";
	else if (size < (version == 1 ? HEADER_SIZE_1 : HEADER_SIZE))
		reader->error = cut_short;
	if (reader->error)
		return;
	reader->at += sizeof(trace_magic) + 1;
	get_config(reader, version, config);
}

static const char *parse(const uint8_t *bytes, size_t size, struct trace *trace)
{
	struct reader reader = { .at = bytes, .end = bytes + size };
	struct reader first;

	get_header(&reader, &trace->config);
	if (reader.error)
		return reader.error;
	first = reader;
	get_records(&first, NULL);
	if (first.error)
		return first.error;
	/* The file has at least two bytes a record, so the memory is not out of proportion. */
	trace->records = calloc(first.count ? first.count : 1, sizeof(*trace->records));
	if (!trace->records)
		return "no memory for the trace";
	get_records(&reader, trace->records);
	trace->count = reader.count;
	trace->vcpus = reader.vcpus;
	return NULL;
}

static const char *read_file(FILE *file, uint8_t **bytes, size_t *size)
{
	struct stat info;

	if (fstat(fileno(file), &info))
		return strerror(errno);
	if (!S_ISREG(info.st_mode))
		return "not a file";
	if (info.st_size > FILE_MAX)
		return "larger than 1 GiB";
	*size = (size_t)info.st_size;
	*bytes = malloc(*size ? *size : 1);
	if (!*bytes)
		return "no memory for the trace";
	errno = 0;
	if (fread(*bytes, 1, *size, file) != *size)
		return errno ? strerror(errno) : "it changes while it is read";
	return NULL;
}

const char *trace_load(const char *path, struct trace *trace)
{
	int fd = open(path,
		      O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe is refused, not waited for */
	FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
	uint8_t *bytes = NULL;
	size_t size = 0;
	const char *error;

	*trace = (struct trace){ .count = 0 };
	if (!file) {
		error = strerror(errno);
		if (fd >= 0)
			close(fd);
		return error;
	}
	error = read_file(file, &bytes, &size);
	if (!error)
		error = parse(bytes, size, trace);
	fclose(file);
	free(bytes);
	return error;
}

void trace_free(struct trace *trace)
{
	free(trace->records);
	*trace = (struct trace){ .count = 0 };
}
