/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes as a trace file, whole or behind a header that is in order, and bytes as
 * records to be written. What loads is sound, and written again it is the same.
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "trace.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the format, as the writer makes it. */
#define VERSION 2

#define VCPUS_MAX 4096

/* A file that is nowhere but in memory, and the name by which it is opened again. */
struct file {
	int fd;
	char path[32];
};

static void open_file(struct file *file)
{
	if (file->path[0])
		return;
	file->fd = memfd_create("trace", MFD_CLOEXEC);
	if (file->fd < 0) {
		perror("fuzz: memfd_create");
		exit(2);
	}
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

static void fill(const struct file *file, const uint8_t *bytes, size_t size)
{
	if (ftruncate(file->fd, 0) || pwrite(file->fd, bytes, size, 0) != (ssize_t)size) {
		perror("fuzz: write");
		exit(2);
	}
}

static bool has_bytes(const struct file *file, const uint8_t *bytes, size_t size)
{
	uint8_t *found = malloc(size + 1);
	bool equal = found && pread(file->fd, found, size + 1, 0) == (ssize_t)size &&
		     !memcmp(found, bytes, size);

	free(found);
	return equal;
}

static void check_config(const struct vpmu_config *config)
{
	static const struct vpmu_source_ops ops;
	struct vpmu pmu;

	hold(vpmu_init(&pmu, config, &ops, NULL) == VPMU_OK, "the configuration is none");
}

static void check_record(const struct trace_record *record, const struct trace *trace)
{
	bool access = record->kind != TRACE_RESET && record->kind != TRACE_PMI;
	bool fault = record->answer == VPMU_FAULT;

	hold(record->kind < TRACE_KINDS, "a record of kind %d", record->kind);
	hold(record->vcpu < trace->vcpus, "a record of vCPU %u", record->vcpu);
	hold(record->answer == VPMU_DONE || (access && fault), "an answer %d", record->answer);
	hold(access || record->index == 0, "a register where there is none");
	hold(!fault || record->kind == TRACE_WRMSR || record->value == 0, "a value of a #GP");
}

static void check_trace(const struct trace *trace)
{
	check_config(&trace->config);
	hold(trace->vcpus <= VCPUS_MAX, "%u vCPUs", trace->vcpus);
	for (size_t i = 0; i < trace->count; i++) {
		check_record(&trace->records[i], trace);
		hold(i == 0 || trace->records[i].time >= trace->records[i - 1].time,
		     "the time goes backwards");
	}
}

static void write_trace(const struct file *file, const struct vpmu_config *config,
			const struct trace_record *records, size_t count)
{
	struct trace_writer *writer = trace_create(file->path, config);

	hold(writer != NULL, "cannot write: %s", strerror(errno));
	for (size_t i = 0; i < count; i++)
		trace_put(writer, &records[i]);
	hold(trace_finish(writer) == 0, "a writer's error: %s", strerror(errno));
}

/* There is one encoding of a trace: what has been loaded, written, is what was loaded. */
static void load(const uint8_t *bytes, size_t size)
{
	static struct file in, out;
	struct trace trace;
	const char *error;

	open_file(&in);
	open_file(&out);
	fill(&in, bytes, size);
	error = trace_load(in.path, &trace);
	if (error) {
		hold(error[0] && !strchr(error, '\n'), "an error that is not one line");
		hold(!trace.records && !trace.count, "an error leaves records");
		return;
	}
	check_trace(&trace);
	write_trace(&out, &trace.config, trace.records, trace.count);
	/* The writer makes no old versions. */
	hold(bytes[8] != VERSION || has_bytes(&out, bytes, size),
	     "written again it is another trace");
	trace_free(&trace);
}

static void load_behind_header(const uint8_t *bytes, size_t size)
{
	static const uint8_t header[] = { 'V', 'P',  'M', 'U',  'T', 'R',  'C', '\n', VERSION, 4,
					  4,   0x30, 3,   0x30, 1,   0x27, 1,   0,    0,       0,
					  0,   3,    0,   0,    0,   0,    0,   0,    0 };
	uint8_t *file = malloc(sizeof(header) + size);

	if (!file)
		return;
	memcpy(file, header, sizeof(header));
	memcpy(file + sizeof(header), bytes, size);
	load(file, sizeof(header) + size);
	free(file);
}

/* One that a host may write. */
static struct trace_record take_record(struct input *in, uint64_t *time)
{
	static const unsigned int bytes[] = { 0, 1, 2, 4, 8 };
	struct trace_record record = { .kind = (enum trace_kind)(take8(in) % TRACE_KINDS) };
	uint8_t how = take8(in);
	bool access = record.kind != TRACE_RESET && record.kind != TRACE_PMI;

	record.vcpu = how & 1 ? (unsigned int)take(in, 2) % VCPUS_MAX : how >> 1 & 3;
	*time += take(in, bytes[how >> 3 & 3]);
	record.time = *time;
	record.answer = access && how & 0x80 ? VPMU_FAULT : VPMU_DONE;
	record.index = access ? (uint32_t)take(in, how & 0x20 ? 4 : 2) : 0;
	if (record.kind != TRACE_RESET &&
	    (record.kind == TRACE_WRMSR || record.answer == VPMU_DONE))
		record.value = take(in, how & 0x40 ? 8 : 2);
	return record;
}

static bool equal(const struct trace_record *a, const struct trace_record *b)
{
	return a->kind == b->kind && a->answer == b->answer && a->vcpu == b->vcpu &&
	       a->time == b->time && a->index == b->index && a->value == b->value;
}

static void write_and_load(struct input in)
{
	static struct file file;
	static struct trace_record records[512];
	unsigned int version = take8(&in) % 6;
	struct vpmu_config config = vpmu_config_intel(version, 0x127);
	struct trace trace;
	size_t count = 0;
	uint64_t time = 0;

	open_file(&file);
	while (in.left && count < sizeof(records) / sizeof(records[0]))
		records[count++] = take_record(&in, &time);
	write_trace(&file, &config, records, count);
	hold(trace_load(file.path, &trace) == NULL, "a trace that was written is none");
	hold(trace.count == count, "%zu records of %zu", trace.count, count);
	for (size_t i = 0; i < count; i++)
		hold(equal(&trace.records[i], &records[i]), "record %zu is another", i);
	check_trace(&trace);
	trace_free(&trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = take8(&in);

	if (how % 4 == 0)
		load(in.next, in.left);
	else if (how % 4 == 3)
		write_and_load(in);
	else
		load_behind_header(in.next, in.left);
	return 0;
}
