/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is kept of guests that have started (tools/guest/snapshot.h): what is restored is what was
 * saved, or nothing.
 */
#define _GNU_SOURCE
#include "tools/guest/snapshot.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE   4096u
#define PAGES  64u
#define MEMORY ((uint64_t)PAGE * PAGES)

static char cache[] = "/tmp/vpmu-snapshot-XXXXXX";
static const char machine[] = "what QEMU says";

/* 64 digits. */
static const char *key_of(unsigned int number)
{
	static char key[65];

	snprintf(key, sizeof(key), "%064x", number);
	return key;
}

static const char *path_of(const char *name)
{
	static char paths[2][256];
	static unsigned int turn;

	turn = !turn;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/vpmu/starts/%s", cache, name);
	return paths[turn];
}

/* Each third page is written, by its number. */
static int make_memory(bool filled)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	char page[PAGE];

	assert_true(fd >= 0 && !ftruncate(fd, (off_t)MEMORY));
	for (unsigned int i = 0; filled && i < PAGES; i += 3) {
		memset(page, (int)i + 1, sizeof(page));
		assert_int_equal(pwrite(fd, page, PAGE, (off_t)i * PAGE), PAGE);
	}
	return fd;
}

static void save(const char *key)
{
	char *state = strdup(path_of("state"));
	int memory = make_memory(true);
	FILE *file;

	assert_true(snapshot_begin(key));
	file = fopen(state, "w");
	assert_non_null(file);
	fputs(machine, file);
	fclose(file);
	assert_true(snapshot_finish(memory, MEMORY, state));
	unlink(state);
	free(state);
	close(memory);
}

/* Whether it is there, and what comes of it is what was saved. Fails if anything else comes. */
static bool restores(const char *key)
{
	int snapshot = snapshot_open(key, MEMORY), memory = make_memory(false), ends[2];
	int same = make_memory(true);
	char here[PAGE], there[PAGE], said[64] = "";
	bool good = false;

	assert_false(pipe(ends));
	if (snapshot >= 0) {
		good = snapshot_restore(snapshot, memory, ends[1]);
		close(snapshot);
	} else {
		close(ends[1]);
	}
	for (unsigned int i = 0; good && i < PAGES; i++) {
		assert_int_equal(pread(memory, here, PAGE, (off_t)i * PAGE), PAGE);
		assert_int_equal(pread(same, there, PAGE, (off_t)i * PAGE), PAGE);
		assert_memory_equal(here, there, PAGE);
	}
	if (good) {
		assert_int_equal(read(ends[0], said, sizeof(said)), strlen(machine));
		assert_string_equal(said, machine);
	}
	close(ends[0]);
	close(memory);
	close(same);
	return good;
}

static bool is_there(const char *name)
{
	struct stat st;

	return !lstat(path_of(name), &st);
}

static void what_is_restored_is_what_was_saved(void **state)
{
	struct stat st;

	(void)state;
	assert_false(restores(key_of(1)));
	save(key_of(1));
	assert_true(restores(key_of(1)));
	assert_true(restores(key_of(1)));
	assert_false(restores(key_of(2)));
	assert_int_equal(snapshot_open(key_of(1), 2 * MEMORY), -1);
	save(key_of(1));
	assert_int_equal(stat(path_of(key_of(1)), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(st.st_size < (off_t)MEMORY / 2);
}

/* Each byte of a small file would take long: some of each part. */
static void no_damaged_one_is_restored(void **state)
{
	struct stat st;

	(void)state;
	save(key_of(3));
	assert_int_equal(stat(path_of(key_of(3)), &st), 0);
	for (off_t at = 0; at < st.st_size; at += at < 600 ? 1 : 997) {
		int fd = open(path_of(key_of(3)), O_RDWR);
		char byte;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte = (char)(byte ^ 0x10);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		close(fd);
		assert_false(restores(key_of(3)));
		save(key_of(3));
	}
	for (off_t size = 0; size < st.st_size; size += size < 600 ? 61 : 9973) {
		assert_int_equal(truncate(path_of(key_of(3)), size), 0);
		assert_false(restores(key_of(3)));
		save(key_of(3));
	}
}

static void others_files_are_not_used(void **state)
{
	(void)state;
	save(key_of(4));
	assert_int_equal(chmod(path_of(key_of(4)), 0644), 0);
	assert_false(restores(key_of(4)));
	save(key_of(4));
	assert_int_equal(rename(path_of(key_of(4)), path_of("elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", path_of(key_of(4))), 0);
	assert_false(restores(key_of(4)));
	unlink(path_of("elsewhere"));
	unlink(path_of(key_of(4)));
	if (!geteuid()) {
		save(key_of(4));
		assert_int_equal(chown(path_of(key_of(4)), 1, 1), 0);
		assert_false(restores(key_of(4)));
	}
	save(key_of(4));
	assert_int_equal(chmod(path_of("."), 0777), 0);
	assert_false(restores(key_of(4)));
	assert_false(snapshot_begin(key_of(4)));
	assert_int_equal(chmod(path_of("."), 0700), 0);
	assert_true(restores(key_of(4)));
}

static void one_run_makes_it(void **state)
{
	char name[80];
	int status;
	pid_t pid;

	(void)state;
	snprintf(name, sizeof(name), "%s.new", key_of(5));
	assert_true(snapshot_begin(key_of(5)));
	pid = fork();
	if (!pid)
		_exit(snapshot_begin(key_of(5)));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snapshot_remove_new();
	assert_false(is_there(name));
	/* A run that is killed. */
	pid = fork();
	if (!pid)
		_exit(!snapshot_begin(key_of(5)));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(is_there(name));
	save(key_of(6));
	assert_false(is_there(name));
}

static void few_are_kept(void **state)
{
	unsigned int kept = 0;

	(void)state;
	for (unsigned int i = 100; i < 140; i++)
		save(key_of(i));
	for (unsigned int i = 0; i < 140; i++)
		kept += is_there(key_of(i));
	assert_true(kept <= 20);
	assert_true(restores(key_of(139)));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static int begin(void **state)
{
	(void)state;
	return !mkdtemp(cache) || setenv("XDG_CACHE_HOME", cache, 1);
}

static int end(void **state)
{
	(void)state;
	return nftw(cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "what is restored is what was saved",
		  .test_func = what_is_restored_is_what_was_saved },
		{ .name = "no damaged snapshot is restored",
		  .test_func = no_damaged_one_is_restored },
		{ .name = "a file or folder that others can write is not used",
		  .test_func = others_files_are_not_used },
		{ .name = "one run at a time makes a snapshot, and one that is killed leaves "
			  "nothing "
			  "that stays",
		  .test_func = one_run_makes_it },
		{ .name = "few snapshots are kept: those used last", .test_func = few_are_kept },
	};

	/* What is said of damaged ones, hundreds of times. */
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	return cmocka_run_group_tests(tests, begin, end);
}
