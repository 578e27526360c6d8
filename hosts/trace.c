/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Traces to and from files; the format is docs/trace.md. A trace has exactly one
 * encoding, and the reader refuses any other: most damage to a file makes it one.
 */
#define _POSIX_C_SOURCE 200809L
#include "trace.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 2

/* A copy as text may change the newline. */
static const uint8_t magic[8] = { 'V', 'P', 'M', 'U', 'T', 'R', 'C', '\n' };

/* The configuration in version 1, and what version 2 adds. */
#define CONFIG_SIZE_1 10
#define CONFIG_SIZE_2 10
#define HEADER_SIZE_1 (sizeof(magic) + 1 + CONFIG_SIZE_1)
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
#define FILE_MAX   (INT64_C(1) << 30)

#define BUFFER_SIZE 65536

/* What a kind of record carries. */
static const struct {
	bool index, value, may_fault, reads;
} kinds[TRACE_KINDS] = {
	[TRACE_RESET] = { .index = false },
	[TRACE_RDMSR] = { .index = true, .value = true, .may_fault = true, .reads = true },
	[TRACE_WRMSR] = { .index = true, .value = true, .may_fault = true },
	[TRACE_RDPMC] = { .index = true, .value = true, .may_fault = true, .reads = true },
	[TRACE_PMI] = { .value = true },
};

static bool has_value(enum trace_kind kind, enum vpmu_answer answer)
{
	return kinds[kind].value && !(kinds[kind].reads && answer == VPMU_FAULT);
}

struct trace_writer {
	FILE *file;
	int error;
	uint64_t time; /* of the last record */
	uint64_t count;
};

static size_t put_varint(uint8_t *to, uint64_t value)
{
	size_t length = 0;

	for (; value > 0x7f; value >>= 7)
		to[length++] = (uint8_t)(value | 0x80);
	to[length++] = (uint8_t)value;
	return length;
}

static void put_bytes(struct trace_writer *writer, const uint8_t *bytes, size_t length)
{
	if (writer->error)
		return;
	errno = 0;
	if (fwrite(bytes, 1, length, writer->file) != length)
		writer->error = errno ? errno : EIO;
}

static void put_header(struct trace_writer *writer, const struct vpmu_config *config)
{
	struct vpmu_config off = { .vendor = config->vendor };
	uint8_t header[HEADER_SIZE];
	uint8_t *to = header + sizeof(magic);

	memcpy(header, magic, sizeof(magic));
	*to++ = VERSION;
	if (config->version == 0)
		config = &off;
	*to++ = config->version;
	*to++ = config->general;
	*to++ = config->general_width;
	*to++ = config->fixed;
	*to++ = config->fixed_width;
	*to++ = (uint8_t)((config->full_width_writes ? CONFIG_FULL_WIDTH : 0u) |
			  (config->nested ? CONFIG_NESTED : 0u));
	for (unsigned int i = 0; i < 4; i++)
		*to++ = (uint8_t)(config->events >> (8 * i));
	*to++ = (uint8_t)config->vendor;
	*to++ = (uint8_t)config->event_registers;
	for (unsigned int i = 0; i < 8; i++)
		*to++ = (uint8_t)(config->debug_bits >> (8 * i));
	put_bytes(writer, header, sizeof(header));
}

struct trace_writer *trace_create(const char *path, const struct vpmu_config *config)
{
	struct trace_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->file = fopen(path, "wbe");
	if (!writer->file) {
		free(writer);
		return NULL;
	}
	setvbuf(writer->file, NULL, _IOFBF, BUFFER_SIZE);
	put_header(writer, config);
	/* If the process forks, the child has a copy of what is still buffered. */
	if (fflush(writer->file) && !writer->error)
		writer->error = errno;
	return writer;
}

static bool is_sound(const struct trace_record *record)
{
	if ((unsigned int)record->kind >= TRACE_KINDS || record->vcpu >= VCPUS_MAX)
		return false;
	return record->answer == VPMU_DONE ||
	       (record->answer == VPMU_FAULT && kinds[record->kind].may_fault);
}

void trace_put(struct trace_writer *writer, const struct trace_record *record)
{
	uint8_t bytes[RECORD_MAX];
	uint64_t since = record->time > writer->time ? record->time - writer->time : 0;
	unsigned int vcpu = record->vcpu < VCPU_FOLLOWS ? record->vcpu : VCPU_FOLLOWS;
	size_t length = 1;

	if (!is_sound(record)) {
		writer->error = writer->error ? writer->error : EINVAL;
		return;
	}
	bytes[0] = (uint8_t)((unsigned int)record->kind | vcpu << VCPU_SHIFT |
			     (record->answer == VPMU_FAULT ? RECORD_FAULT : 0u));
	if (vcpu == VCPU_FOLLOWS)
		length += put_varint(bytes + length, record->vcpu - VCPU_FOLLOWS);
	length += put_varint(bytes + length, since);
	if (kinds[record->kind].index)
		length += put_varint(bytes + length, record->index);
	if (has_value(record->kind, record->answer))
		length += put_varint(bytes + length, record->value);
	put_bytes(writer, bytes, length);
	writer->time += since;
	writer->count++;
}

int trace_finish(struct trace_writer *writer)
{
	uint8_t end[1 + VARINT_MAX] = { RECORD_END };
	int error;

	put_bytes(writer, end, 1 + put_varint(end + 1, writer->count));
	errno = 0;
	if (fclose(writer->file) && !writer->error)
		writer->error = errno ? errno : EIO;
	error = writer->error;
	free(writer);
	return error;
}

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
	    (record.answer == VPMU_FAULT && !kinds[record.kind].may_fault)) {
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
	if (kinds[record.kind].index)
		record.index = (uint32_t)get_at_most(
			reader, UINT32_MAX,
			"the trace is damaged: the number of a register has more than 32 bits");
	if (has_value(record.kind, record.answer))
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
	size_t start = size < sizeof(magic) ? size : sizeof(magic);
	unsigned int version = size > sizeof(magic) ? reader->at[sizeof(magic)] : VERSION;

	if (memcmp(reader->at, magic, start) != 0 || size == 0)
		reader->error = "not a trace";
	else if (version > VERSION)
		reader->error = "the trace is of a newer version than this program reads";
	else if (version == 0)
		reader->error = "the trace is damaged: it has no version";
	else if (size < (version == 1 ? HEADER_SIZE_1 : HEADER_SIZE))
		reader->error = cut_short;
	if (reader->error)
		return;
	reader->at += sizeof(magic) + 1;
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
