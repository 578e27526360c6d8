/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Trace files (docs/trace.md): what is written is read again, and nothing that
 * is damaged is.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace.h"

#define ALL_EVENTS 0x1ffu
#define FILE_SIZE  (1 << 20)

static char folder[] = "/tmp/vpmu-trace-XXXXXX";
static char path[64];

/* The example of docs/trace.md. */
static const uint8_t example[] = {
	0x56, 0x50, 0x4d, 0x55, 0x54, 0x52, 0x43, 0x0a, 0x02, 0x04, 0x04, 0x30,
	0x03, 0x30, 0x01, 0x27, 0x01, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xdc, 0x0b,
	0x8f, 0x07, 0x8f, 0x80, 0x80, 0x80, 0x70, 0x14, 0xac, 0x02, 0x80, 0x80,
	0x80, 0x80, 0x20, 0xfb, 0x05, 0xbc, 0x05, 0x04, 0x07, 0x04,
};

#define HEADER_SIZE 29

static const struct trace_record example_records[] = {
	{ TRACE_RESET, VPMU_DONE, 0, 0, 0, 0 },
	{ TRACE_WRMSR, VPMU_DONE, 0, 1500, 0x38f, UINT64_C(0x70000000f) },
	{ TRACE_PMI, VPMU_DONE, 1, 1800, 0, UINT64_C(1) << 33 },
	{ TRACE_RDPMC, VPMU_FAULT, 20, 2500, 4, 0 },
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct vpmu_config example_config(void)
{
	struct vpmu_config config = vpmu_config_intel(4, 0x127);

	config.debug_bits = 0x3;
	return config;
}

static uint64_t state = 1;

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_bits(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static void put_file(const void *bytes, size_t size)
{
	FILE *file;

	/* Not truncated: file systems make sure that what replaces a file is on the disk. */
	remove(path);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static size_t get_file(const char *name, uint8_t bytes[FILE_SIZE])
{
	FILE *file = fopen(name, "rb");
	size_t size;

	assert_non_null(file);
	size = fread(bytes, 1, FILE_SIZE, file);
	fclose(file);
	return size;
}

static void write_trace(const struct vpmu_config *config, const struct trace_record *records,
			size_t count)
{
	struct trace_writer *writer = trace_create(path, config);

	assert_non_null(writer);
	for (size_t i = 0; i < count; i++)
		trace_put(writer, &records[i]);
	assert_int_equal(trace_finish(writer), 0);
}

static void assert_same_record(const struct trace_record *a, const struct trace_record *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->answer, b->answer);
	assert_int_equal(a->vcpu, b->vcpu);
	assert_int_equal(a->time, b->time);
	assert_int_equal(a->index, b->index);
	assert_int_equal(a->value, b->value);
}

static void assert_same_config(const struct vpmu_config *a, const struct vpmu_config *b)
{
	assert_int_equal(a->vendor, b->vendor);
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->general, b->general);
	assert_int_equal(a->general_width, b->general_width);
	assert_int_equal(a->fixed, b->fixed);
	assert_int_equal(a->fixed_width, b->fixed_width);
	assert_int_equal(a->full_width_writes, b->full_width_writes);
	assert_int_equal(a->events, b->events);
	assert_int_equal(a->nested, b->nested);
	assert_int_equal(a->event_registers, b->event_registers);
	assert_true(a->debug_bits == b->debug_bits);
}

/* The file does not load, and says these words; nothing of it is left. */
static void assert_refused(const char *words)
{
	struct trace trace;
	const char *error = trace_load(path, &trace);

	assert_non_null(error);
	assert_null(strchr(error, '\n'));
	if (!strstr(error, words))
		fail_msg("'%s' does not say '%s'", error, words);
	assert_null(trace.records);
	assert_int_equal(trace.count, 0);
}

static void refuse_bytes(const void *bytes, size_t size, const char *words)
{
	put_file(bytes, size);
	assert_refused(words);
}

/* The example's header with other records behind it. */
static void refuse_records(const uint8_t *records, size_t size, const char *words)
{
	uint8_t bytes[256];

	assert_true(HEADER_SIZE + size <= sizeof(bytes));
	memcpy(bytes, example, HEADER_SIZE);
	memcpy(bytes + HEADER_SIZE, records, size);
	refuse_bytes(bytes, HEADER_SIZE + size, words);
}

#define REFUSE_RECORDS(words, ...)                                                                 \
	refuse_records((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
		       words)

static void writes_the_documented_bytes(void **unused)
{
	struct vpmu_config config = example_config();
	static uint8_t bytes[FILE_SIZE];

	(void)unused;
	write_trace(&config, example_records, LENGTH(example_records));
	assert_int_equal(get_file(path, bytes), sizeof(example));
	assert_memory_equal(bytes, example, sizeof(example));
}

static void reads_the_documented_bytes(void **unused)
{
	struct vpmu_config config = example_config();
	struct trace trace;

	(void)unused;
	put_file(example, sizeof(example));
	assert_null(trace_load(path, &trace));
	assert_same_config(&trace.config, &config);
	assert_int_equal(trace.vcpus, 21);
	assert_int_equal(trace.count, LENGTH(example_records));
	for (size_t i = 0; i < trace.count; i++)
		assert_same_record(&trace.records[i], &example_records[i]);
	trace_free(&trace);
	assert_null(trace.records);
}

static void a_trace_of_nothing_is_one(void **unused)
{
	struct vpmu_config config = { .general = 4 }; /* the PMU is off */
	struct trace trace;

	(void)unused;
	write_trace(&config, NULL, 0);
	config.general = 0;
	assert_null(trace_load(path, &trace));
	assert_same_config(&trace.config, &config);
	assert_int_equal(trace.count, 0);
	assert_int_equal(trace.vcpus, 0);
	trace_free(&trace);
}

static uint64_t random_value(void)
{
	return random_bits() >> (random_bits() % 64);
}

static struct trace_record random_record(uint64_t time)
{
	struct trace_record record = { .kind = (enum trace_kind)(random_bits() % TRACE_KINDS),
				       .vcpu = (unsigned int)(random_value() % 4096),
				       .time = time };
	bool access = record.kind != TRACE_RESET && record.kind != TRACE_PMI;

	if (access) {
		record.answer = random_bits() & 1 ? VPMU_FAULT : VPMU_DONE;
		record.index = (uint32_t)random_value();
	}
	if (record.kind != TRACE_RESET &&
	    (record.kind == TRACE_WRMSR || record.answer == VPMU_DONE))
		record.value = random_value();
	return record;
}

static void what_is_written_is_read(void **unused)
{
	static struct trace_record records[1000];
	struct trace trace;

	(void)unused;
	for (unsigned int round = 0; round < 200; round++) {
		size_t count = random_bits() % (LENGTH(records) + 1);
		struct vpmu_config config = vpmu_config_intel(2 + round % 4, ALL_EVENTS);
		uint64_t time = 0;

		config.full_width_writes = round & 4;
		for (size_t i = 0; i < count; i++) {
			time += random_value() >> 11;
			records[i] = random_record(time);
		}
		write_trace(&config, records, count);
		assert_null(trace_load(path, &trace));
		assert_same_config(&trace.config, &config);
		assert_int_equal(trace.count, count);
		for (size_t i = 0; i < count; i++)
			assert_same_record(&trace.records[i], &records[i]);
		trace_free(&trace);
	}
}

static void the_largest_numbers_fit(void **unused)
{
	static const struct trace_record records[] = {
		{ TRACE_WRMSR, VPMU_FAULT, 4095, UINT64_MAX, UINT32_MAX, UINT64_MAX },
		{ TRACE_PMI, VPMU_DONE, 14, UINT64_MAX, 0, UINT64_MAX },
		{ TRACE_RDMSR, VPMU_DONE, 15, UINT64_MAX, UINT32_MAX, UINT64_MAX },
	};
	struct vpmu_config config = vpmu_config_intel(5, ALL_EVENTS);
	struct trace trace;

	(void)unused;
	write_trace(&config, records, LENGTH(records));
	assert_null(trace_load(path, &trace));
	assert_int_equal(trace.vcpus, 4096);
	for (size_t i = 0; i < LENGTH(records); i++)
		assert_same_record(&trace.records[i], &records[i]);
	trace_free(&trace);
}

static void time_never_goes_backwards(void **unused)
{
	static const struct trace_record records[] = {
		{ TRACE_RESET, VPMU_DONE, 0, 500, 0, 0 },
		{ TRACE_RESET, VPMU_DONE, 0, 400, 0, 0 },
		{ TRACE_RESET, VPMU_DONE, 0, 600, 0, 0 },
	};
	struct vpmu_config config = vpmu_config_intel(5, ALL_EVENTS);
	struct trace trace;

	(void)unused;
	write_trace(&config, records, LENGTH(records));
	assert_null(trace_load(path, &trace));
	assert_int_equal(trace.records[1].time, 500);
	assert_int_equal(trace.records[2].time, 600);
	trace_free(&trace);
}

static void what_is_no_record_is_an_error(void **unused)
{
	static const struct trace_record wrong[] = {
		{ TRACE_KINDS, VPMU_DONE, 0, 0, 0, 0 },
		{ TRACE_RESET, VPMU_FAULT, 0, 0, 0, 0 },
		{ TRACE_PMI, VPMU_FAULT, 0, 0, 0, 0 },
		{ TRACE_RDMSR, VPMU_NOT_MINE, 0, 0, 0, 0 },
		{ TRACE_RDMSR, VPMU_DONE, 4096, 0, 0, 0 },
	};
	struct vpmu_config config = vpmu_config_intel(5, ALL_EVENTS);

	(void)unused;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		struct trace_writer *writer = trace_create(path, &config);

		trace_put(writer, &wrong[i]);
		trace_put(writer, &example_records[0]);
		assert_int_equal(trace_finish(writer), EINVAL);
	}
}

static void a_file_that_cannot_be_made_is_an_error(void **unused)
{
	struct vpmu_config config = vpmu_config_intel(4, ALL_EVENTS);

	(void)unused;
	assert_null(trace_create("/nowhere/trace", &config));
	assert_int_equal(errno, ENOENT);
	assert_null(trace_create("/tmp", &config));
	assert_int_equal(errno, EISDIR);
}

static void a_full_disk_is_told_at_the_end(void **unused)
{
	struct vpmu_config config = vpmu_config_intel(4, ALL_EVENTS);
	struct trace_writer *writer;

	(void)unused;
	if (access("/dev/full", W_OK) != 0)
		skip();
	writer = trace_create("/dev/full", &config);
	assert_non_null(writer);
	assert_int_equal(trace_finish(writer), ENOSPC);
	writer = trace_create("/dev/full", &config);
	for (unsigned int i = 0; i < 100000; i++)
		trace_put(writer, &example_records[1]);
	assert_int_equal(trace_finish(writer), ENOSPC);
}

static void an_old_file_is_replaced(void **unused)
{
	struct vpmu_config config = example_config();
	static uint8_t bytes[FILE_SIZE];

	(void)unused;
	put_file(bytes, sizeof(bytes));
	write_trace(&config, example_records, LENGTH(example_records));
	assert_int_equal(get_file(path, bytes), sizeof(example));
}

static void what_is_no_file_is_refused(void **unused)
{
	struct trace trace;
	const char *error;

	(void)unused;
	error = trace_load("/nowhere/trace", &trace);
	assert_string_equal(error, strerror(ENOENT));
	assert_non_null(trace_load("/tmp", &trace));
	assert_string_equal(trace_load("/dev/zero", &trace), "not a file");
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused("not a file");
	assert_int_equal(remove(path), 0);
	put_file(example, sizeof(example));
	assert_int_equal(truncate(path, (INT64_C(1) << 30) + 1), 0);
	assert_refused("larger than 1 GiB");
}

static void what_is_no_trace_is_refused(void **unused)
{
	uint8_t bytes[sizeof(example)];

	(void)unused;
	refuse_bytes("", 0, "not a trace");
	refuse_bytes("x", 1, "not a trace");
	refuse_bytes("#!/bin/sh\necho a script of some length\n", 38, "not a trace");
	for (size_t i = 0; i < 8; i++) {
		memcpy(bytes, example, sizeof(example));
		bytes[i] ^= 0x20;
		refuse_bytes(bytes, sizeof(bytes), "not a trace");
	}
}

/* The same trace as the documented one, with the header that version 1 had. */
static void version_1_is_read(void **unused)
{
	static const size_t old_header = 19;
	struct vpmu_config config = example_config();
	uint8_t bytes[sizeof(example)];
	struct trace trace;

	(void)unused;
	memcpy(bytes, example, old_header);
	bytes[8] = 1;
	bytes[16] = 0;
	memcpy(bytes + old_header, example + HEADER_SIZE, sizeof(example) - HEADER_SIZE);
	put_file(bytes, sizeof(example) - HEADER_SIZE + old_header);
	assert_null(trace_load(path, &trace));
	assert_same_config(&trace.config, &config);
	assert_int_equal(trace.count, LENGTH(example_records));
	trace_free(&trace);
}

static void other_versions_are_refused(void **unused)
{
	uint8_t bytes[sizeof(example)];

	(void)unused;
	memcpy(bytes, example, sizeof(example));
	bytes[8] = 3;
	refuse_bytes(bytes, sizeof(bytes), "newer version");
	refuse_bytes(bytes, 9, "newer version");
	bytes[8] = 255;
	refuse_bytes(bytes, sizeof(bytes), "newer version");
	bytes[8] = 0;
	refuse_bytes(bytes, sizeof(bytes), "no version");
}

static void an_impossible_pmu_is_refused(void **unused)
{
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {
		{ 9, 1 },    { 9, 6 },    { 9, 0 },     { 9, 255 }, { 10, 0 },   { 10, 9 },
		{ 10, 255 }, { 11, 31 },  { 11, 64 },   { 12, 5 },  { 12, 255 }, { 13, 49 },
		{ 14, 3 },   { 14, 128 }, { 16, 0x80 }, { 18, 1 },
	};
	uint8_t bytes[sizeof(example)];

	(void)unused;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		memcpy(bytes, example, sizeof(example));
		bytes[wrong[i].at] = wrong[i].value;
		refuse_bytes(bytes, sizeof(bytes), "no PMU such as");
	}
}

static void damaged_records_are_refused(void **unused)
{
	(void)unused;
	REFUSE_RECORDS("no known kind", 0x05, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("no known kind", 0x06, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("no known kind", 0x08, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("no known kind", 0x0c, 0x00, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("no known kind", 0x17, 0x00);
	REFUSE_RECORDS("vCPU", 0xf0, 0xf1, 0x1f, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("vCPU", 0xf0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("more than 32 bits", 0x0b, 0x00, 0x80, 0x80, 0x80, 0x80, 0x10, 0x07, 0x01);
	REFUSE_RECORDS("time runs over", 0x00, 0x01, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		       0xff, 0xff, 0x01, 0x07, 0x02);
	REFUSE_RECORDS("another number of records", 0x00, 0x00, 0x07, 0x00);
	REFUSE_RECORDS("another number of records", 0x00, 0x00, 0x07, 0xff, 0xff, 0xff, 0xff, 0xff,
		       0xff, 0xff, 0xff, 0xff, 0x01);
	REFUSE_RECORDS("something follows", 0x07, 0x00, 0x00);
	REFUSE_RECORDS("something follows", 0x07, 0x00, 0x07, 0x00);
}

static void malformed_numbers_are_refused(void **unused)
{
	(void)unused;
	/* More than 64 bits; longer than it has to be; without an end. */
	REFUSE_RECORDS("malformed", 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		       0x02, 0x07, 0x01);
	REFUSE_RECORDS("malformed", 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		       0x81, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("malformed", 0x00, 0x80, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("malformed", 0x00, 0xff, 0x80, 0x00, 0x07, 0x01);
	REFUSE_RECORDS("malformed", 0x07, 0x80, 0x00);
	REFUSE_RECORDS("cut short", 0x00, 0x80);
}

static void a_trace_cut_at_any_length_is_refused(void **unused)
{
	static struct trace_record records[100];
	static uint8_t bytes[FILE_SIZE];
	struct vpmu_config config = vpmu_config_intel(5, ALL_EVENTS);
	size_t size;

	(void)unused;
	for (size_t i = 0; i < LENGTH(records); i++)
		records[i] = random_record(i * 1000);
	write_trace(&config, records, LENGTH(records));
	size = get_file(path, bytes);
	refuse_bytes(bytes, 0, "not a trace");
	for (size_t length = 1; length < size; length++)
		refuse_bytes(bytes, length, "cut short");
}

/* Either it is refused, or it is what the writer makes of the records in it. */
static void load_anything(const uint8_t *bytes, size_t size)
{
	static uint8_t again[FILE_SIZE];
	struct trace trace;
	const char *error;

	put_file(bytes, size);
	error = trace_load(path, &trace);
	if (error) {
		assert_null(trace.records);
		return;
	}
	assert_true(trace.count <= size / 2);
	write_trace(&trace.config, trace.records, trace.count);
	/* The writer makes no old versions. */
	if (bytes[8] == example[8]) {
		assert_int_equal(get_file(path, again), size);
		assert_memory_equal(again, bytes, size);
	}
	trace_free(&trace);
}

static void random_bytes_do_no_harm(void **unused)
{
	uint8_t bytes[512];

	(void)unused;
	for (unsigned int round = 0; round < 20000; round++) {
		size_t size = random_bits() % sizeof(bytes);

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)random_value();
		if (round & 1 && size >= HEADER_SIZE)
			memcpy(bytes, example, HEADER_SIZE);
		load_anything(bytes, size);
	}
}

static void random_damage_does_no_harm(void **unused)
{
	uint8_t bytes[sizeof(example)];

	(void)unused;
	for (unsigned int round = 0; round < 20000; round++) {
		memcpy(bytes, example, sizeof(example));
		for (uint64_t n = 1 + random_bits() % 3; n; n--)
			bytes[random_bits() % sizeof(bytes)] = (uint8_t)random_bits();
		load_anything(bytes, sizeof(bytes));
	}
}

static void the_shipped_traces_load(void **unused)
{
	static const char *const names[] = { "one", "six", "ten" };
	static uint8_t bytes[FILE_SIZE], again[FILE_SIZE];
	struct trace trace;
	char name[64];
	size_t size;

	(void)unused;
	if (access("bench/traces", R_OK) != 0)
		skip();
	for (size_t i = 0; i < LENGTH(names); i++) {
		snprintf(name, sizeof(name), "bench/traces/%s.trace", names[i]);
		assert_null(trace_load(name, &trace));
		assert_int_equal(trace.vcpus, 1);
		write_trace(&trace.config, trace.records, trace.count);
		trace_free(&trace);
		size = get_file(name, bytes);
		assert_int_equal(get_file(path, again), size);
		assert_memory_equal(again, bytes, size);
	}
}

static int set_up(void **unused)
{
	(void)unused;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/trace", folder);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	remove(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_documented_bytes),
		cmocka_unit_test(reads_the_documented_bytes),
		cmocka_unit_test(a_trace_of_nothing_is_one),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_largest_numbers_fit),
		cmocka_unit_test(time_never_goes_backwards),
		cmocka_unit_test(what_is_no_record_is_an_error),
		cmocka_unit_test(a_file_that_cannot_be_made_is_an_error),
		cmocka_unit_test(a_full_disk_is_told_at_the_end),
		cmocka_unit_test(an_old_file_is_replaced),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(what_is_no_trace_is_refused),
		cmocka_unit_test(version_1_is_read),
		cmocka_unit_test(other_versions_are_refused),
		cmocka_unit_test(an_impossible_pmu_is_refused),
		cmocka_unit_test(damaged_records_are_refused),
		cmocka_unit_test(malformed_numbers_are_refused),
		cmocka_unit_test(a_trace_cut_at_any_length_is_refused),
		cmocka_unit_test(random_bytes_do_no_harm),
		cmocka_unit_test(random_damage_does_no_harm),
		cmocka_unit_test(the_shipped_traces_load),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
