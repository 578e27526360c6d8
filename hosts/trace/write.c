/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes traces; the format is docs/trace.md.
 */
#define _POSIX_C_SOURCE 200809L
#include "format.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE 65536

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
	uint8_t *to = header + sizeof(trace_magic);

	memcpy(header, trace_magic, sizeof(trace_magic));
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
	       (record->answer == VPMU_FAULT && trace_kinds[record->kind].may_fault);
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
	if (trace_kinds[record->kind].index)
		length += put_varint(bytes + length, record->index);
	if (trace_has_value(record->kind, record->answer))
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
