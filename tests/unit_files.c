/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What serves a guest this machine's files: whatever the guest asks, and wherever it says the
 * answer goes, it gets files as they are, read-only, and nothing outside its own memory is touched.
 *
 * VPMU_SEED in the environment chooses other random guests.
 */
#define _GNU_SOURCE
#include "random.h"
#include "tools/files/queue.h"
#include "tools/files/requests.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOT   1u
#define RANDOM 100000

static char folder[] = "/tmp/vpmu-files-XXXXXX";

/* --- questions ----------------------------------------------------------------------------- */

static struct {
	struct fuse_in_header header;
	char bytes[PATH_MAX];
} question;

static struct {
	struct fuse_out_header header;
	union {
		char bytes[65536];
		struct fuse_entry_out entry;
		struct fuse_attr_out attributes;
	} out;
} answer;

/* Returns the answer's errno. */
static int ask(uint32_t opcode, uint64_t node, const void *data, size_t size)
{
	struct chain chain = { .inputs = 1, .outputs = 1 };
	size_t written;

	question.header = (struct fuse_in_header){ .opcode = opcode, .unique = 7, .nodeid = node };
	if (size)
		memcpy(question.bytes, data, size);
	chain.input[0] = (struct iovec){ &question, sizeof(question.header) + size };
	chain.output[0] = (struct iovec){ &answer, sizeof(answer) };
	written = request_answer(&chain);
	assert_int_equal(written, answer.header.len);
	assert_int_equal(answer.header.unique, 7);
	return -answer.header.error;
}

static int look_up(uint64_t node, const char *name)
{
	return ask(FUSE_LOOKUP, node, name, strlen(name) + 1);
}

static uint64_t node_of(const char *path)
{
	char copy[PATH_MAX], *rest, *name;
	uint64_t node = ROOT;

	strcpy(copy, path);
	for (name = strtok_r(copy, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
		assert_int_equal(look_up(node, name), 0);
		node = answer.out.entry.nodeid;
	}
	return node;
}

static int read_from(uint64_t node, uint64_t offset, uint32_t size)
{
	struct fuse_read_in in = { .offset = offset, .size = size };

	return ask(FUSE_READ, node, &in, sizeof(in));
}

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *content)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static void a_file_is_what_it_is(void **state)
{
	struct stat st;

	(void)state;
	write_file("file", "its content");
	assert_int_equal(stat(path_of("file"), &st), 0);
	assert_int_equal(look_up(node_of(folder), "file"), 0);
	assert_int_equal(answer.out.entry.attr.ino, st.st_ino);
	assert_int_equal(answer.out.entry.attr.mtimensec, st.st_mtim.tv_nsec);
	assert_int_equal(answer.out.entry.attr.ctime, st.st_ctim.tv_sec);
	assert_int_equal(answer.out.entry.attr.mode, st.st_mode);
	assert_int_equal(read_from(answer.out.entry.nodeid, 4, 100), 0);
	assert_int_equal(answer.header.len, sizeof(answer.header) + 7);
	assert_memory_equal(answer.out.bytes, "content", 7);
}

static void what_is_not_there_is_worth_an_answer(void **state)
{
	(void)state;
	assert_int_equal(look_up(node_of(folder), "nothing"), 0);
	assert_int_equal(answer.out.entry.nodeid, 0);
	assert_true(answer.out.entry.entry_valid > 0);
}

static void a_name_is_one_component(void **state)
{
	static const char *const names[] = { "", ".", "..", "a/b", "../etc", "/" };
	uint64_t node = node_of(folder);
	char longer[NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(look_up(node, names[i]), EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(look_up(node, longer), EINVAL);
}

static void a_number_that_was_not_given_is_stale(void **state)
{
	static const uint64_t numbers[] = { 0, 1u << 30, UINT32_MAX, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(ask(FUSE_GETATTR, numbers[i], NULL, 0), ESTALE);
		assert_int_equal(read_from(numbers[i], 0, 10), ESTALE);
		assert_int_equal(ask(FUSE_READLINK, numbers[i], NULL, 0), ESTALE);
		assert_int_not_equal(look_up(numbers[i], "file"), 0);
	}
}

static void a_file_that_was_replaced_is_stale(void **state)
{
	char from[PATH_MAX];
	uint64_t node;

	(void)state;
	write_file("replaced", "old");
	write_file("another", "new");
	node = node_of(path_of("replaced"));
	strcpy(from, path_of("another"));
	assert_int_equal(rename(from, path_of("replaced")), 0);
	assert_int_equal(read_from(node, 0, 10), ESTALE);
	assert_int_equal(ask(FUSE_GETATTR, node, NULL, 0), ESTALE);
	assert_int_not_equal(node_of(path_of("replaced")), node);
}

static void a_link_in_a_folders_place_is_not_followed(void **state)
{
	uint64_t node;

	(void)state;
	assert_int_equal(mkdir(path_of("folder"), 0755), 0);
	write_file("folder/inside", "x");
	node = node_of(path_of("folder/inside"));
	assert_int_equal(unlink(path_of("folder/inside")), 0);
	assert_int_equal(rmdir(path_of("folder")), 0);
	assert_int_equal(symlink("/etc", path_of("folder")), 0);
	assert_int_not_equal(read_from(node, 0, 10), 0);
}

static void a_pipe_is_not_opened(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path_of("pipe"), 0666), 0);
	assert_int_equal(read_from(node_of(path_of("pipe")), 0, 10), EINVAL);
	assert_int_equal(read_from(node_of("/dev/zero"), 0, 10), EINVAL);
	assert_int_equal(read_from(node_of(folder), 0, 10), EINVAL);
}

static void this_kernels_own_is_not_shown(void **state)
{
	(void)state;
	assert_int_equal(look_up(node_of("/proc"), "self"), 0);
	assert_int_equal(answer.out.entry.nodeid, 0);
	assert_int_equal(look_up(node_of("/sys"), "kernel"), 0);
	assert_int_equal(answer.out.entry.nodeid, 0);
}

static void nothing_is_written(void **state)
{
	static const uint32_t opcodes[] = {
		FUSE_SETATTR, FUSE_SYMLINK,  FUSE_MKNOD,       FUSE_MKDIR, FUSE_UNLINK,
		FUSE_RMDIR,   FUSE_RENAME,   FUSE_RENAME2,     FUSE_LINK,  FUSE_WRITE,
		FUSE_CREATE,  FUSE_SETXATTR, FUSE_REMOVEXATTR,
	};

	(void)state;
	write_file("kept", "kept");
	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++)
		assert_int_equal(ask(opcodes[i], node_of(folder), "kept", 5), EROFS);
	assert_int_equal(ask(FUSE_FALLOCATE, node_of(folder), "kept", 5), ENOSYS);
	assert_int_equal(access(path_of("kept"), F_OK), 0);
}

static void a_list_tells_what_its_names_would(void **state)
{
	struct fuse_read_in in = { .size = 4096 };
	const char *at;
	int found = 0;

	(void)state;
	assert_int_equal(mkdir(path_of("list"), 0755), 0);
	for (int i = 0; i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "list/%d", i);
		write_file(name, "x");
	}
	for (;;) {
		uint64_t node = node_of(path_of("list"));

		assert_int_equal(ask(FUSE_READDIRPLUS, node, &in, sizeof(in)), 0);
		if (answer.header.len == sizeof(answer.header))
			break;
		for (at = answer.out.bytes; at < (char *)&answer + answer.header.len;) {
			const struct fuse_direntplus *entry = (const void *)at;

			if (entry->entry_out.nodeid) {
				assert_int_equal(entry->entry_out.attr.size, 1);
				assert_int_equal(entry->entry_out.attr.ino, entry->dirent.ino);
				found++;
			}
			in.offset = entry->dirent.off;
			at += FUSE_DIRENTPLUS_SIZE(entry);
		}
	}
	assert_int_equal(found, 100);
}

/* --- queues -------------------------------------------------------------------------------- */

#define SIZE  8
#define BYTES 8192

static struct {
	_Alignas(16) struct vring_desc descriptors[SIZE];
	struct vring_avail available;
	uint16_t ring[SIZE];
	_Alignas(4) struct vring_used used;
	struct vring_used_elem elements[SIZE];
	_Alignas(16) uint8_t bytes[BYTES];
} guest;

static const uint64_t base = 0x100000;

static struct memory memory_of_guest(void)
{
	return (struct memory){ .regions = { { .guest = base,
					       .qemu = 0x7000,
					       .size = sizeof(guest),
					       .at = (uint8_t *)&guest } },
				.count = 1 };
}

static struct queue new_queue(void)
{
	memset(&guest, 0, sizeof(guest));
	return (struct queue){ .descriptors = guest.descriptors,
			       .available = &guest.available,
			       .used = &guest.used,
			       .size = SIZE };
}

static uint64_t address(const void *of)
{
	return base + (uint64_t)((const uint8_t *)of - (const uint8_t *)&guest);
}

static void memory_ends_where_it_ends(void **state)
{
	struct memory memory = memory_of_guest();

	(void)state;
	assert_ptr_equal(memory_at(&memory, base, sizeof(guest)), &guest);
	assert_null(memory_at(&memory, base, sizeof(guest) + 1));
	assert_null(memory_at(&memory, base - 1, 1));
	assert_null(memory_at(&memory, base + sizeof(guest), 0));
	assert_null(memory_at(&memory, base + 1, UINT64_MAX));
	assert_null(memory_at(&memory, UINT64_MAX, 2));
	assert_ptr_equal(memory_at_qemu(&memory, 0x7001, 1), (uint8_t *)&guest + 1);
}

/* Is it taken, and does it make sense? */
static bool makes_sense(struct queue *queue)
{
	static struct chain chain;
	struct memory memory = memory_of_guest();

	guest.available.idx++;
	assert_true(queue_take(queue, &memory, &chain));
	assert_false(queue_take(queue, &memory, &chain));
	queue_give(queue, &chain, 0);
	assert_int_equal(guest.used.idx, guest.available.idx);
	return chain.inputs + chain.outputs > 0;
}

static void chains_that_make_no_sense_have_no_pieces(void **state)
{
	struct queue queue = new_queue();
	const struct vring_desc good = { .addr = address(guest.bytes), .len = 100 };

	(void)state;
	guest.descriptors[0] = good;
	assert_true(makes_sense(&queue));
	/* Outside. */
	guest.descriptors[0].len = BYTES + 100000;
	assert_false(makes_sense(&queue));
	/* A circle. */
	guest.descriptors[0] = good;
	guest.descriptors[0].flags = VRING_DESC_F_NEXT;
	assert_false(makes_sense(&queue));
	/* Beyond the table. */
	guest.descriptors[0].next = SIZE;
	assert_false(makes_sense(&queue));
	/* To be read behind what is to be written. */
	guest.descriptors[0].flags |= VRING_DESC_F_WRITE;
	guest.descriptors[0].next = 1;
	guest.descriptors[1] = good;
	assert_false(makes_sense(&queue));
	/* A table in a table. */
	guest.descriptors[0] = (struct vring_desc){ .addr = address(&guest.descriptors[1]),
						    .len = sizeof(good),
						    .flags = VRING_DESC_F_INDIRECT };
	assert_true(makes_sense(&queue));
	guest.descriptors[0].len = 0;
	assert_false(makes_sense(&queue));
	guest.available.ring[(uint16_t)(guest.available.idx) % SIZE] = SIZE;
	assert_false(makes_sense(&queue));
}

static void no_random_guest_gets_more(void **state)
{
	struct queue queue = new_queue();
	struct memory memory = memory_of_guest();
	struct random random = random_from(random_seed());
	static struct chain chain;

	(void)state;
	for (int i = 0; i < RANDOM; i++) {
		struct fuse_in_header *header = (void *)guest.bytes;

		for (size_t j = 0; j < SIZE; j++)
			guest.descriptors[j] = (struct vring_desc){
				.addr = address(guest.bytes) + random_below(&random, BYTES + 64),
				.len = random_below(&random, BYTES),
				.flags = (uint16_t)random_below(&random, 8),
				.next = (uint16_t)random_below(&random, SIZE + 1),
			};
		guest.descriptors[0].addr = address(guest.bytes);
		for (size_t j = 0; j < 64; j++)
			guest.bytes[j] = (uint8_t)random_bits(&random);
		header->opcode = random_below(&random, 50);
		header->nodeid = random_below(&random, 40);
		guest.available.idx++;
		while (queue_take(&queue, &memory, &chain))
			queue_give(&queue, &chain, request_answer(&chain));
	}
	assert_int_equal(guest.used.idx, guest.available.idx);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_what_it_is),
		cmocka_unit_test(what_is_not_there_is_worth_an_answer),
		cmocka_unit_test(a_name_is_one_component),
		cmocka_unit_test(a_number_that_was_not_given_is_stale),
		cmocka_unit_test(a_file_that_was_replaced_is_stale),
		cmocka_unit_test(a_link_in_a_folders_place_is_not_followed),
		cmocka_unit_test(a_pipe_is_not_opened),
		cmocka_unit_test(this_kernels_own_is_not_shown),
		cmocka_unit_test(nothing_is_written),
		cmocka_unit_test(a_list_tells_what_its_names_would),
		cmocka_unit_test(memory_ends_where_it_ends),
		cmocka_unit_test(chains_that_make_no_sense_have_no_pieces),
		cmocka_unit_test(no_random_guest_gets_more),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
