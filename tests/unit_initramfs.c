/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The archive that a throw-away guest starts from (tools/guest/initramfs.h).
 */
#define _GNU_SOURCE
#include "../tools/guest/initramfs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096

/* The size of an archive with a file of so many bytes. */
static off_t size_with(size_t bytes)
{
	char path[] = "/tmp/vpmu-test-XXXXXX";
	char *data = calloc(1, bytes + 1);
	int fd = mkstemp(path);
	struct initramfs archive;
	struct stat status;

	assert_true(data && fd >= 0);
	close(fd);
	initramfs_open(&archive, path);
	initramfs_add(&archive, "file", 0644, data, bytes);
	initramfs_close(&archive);
	assert_int_equal(stat(path, &status), 0);
	unlink(path);
	free(data);
	return status.st_size;
}

/* Or a microvm's ACPI tables, which follow it, are written over. */
static void ends_with_its_page(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < 2 * PAGE; bytes += 61) {
		off_t size = size_with(bytes);

		assert_true(size % PAGE == 0);
		assert_true((size_t)size >= bytes && (size_t)size <= bytes + 2 * PAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "an archive of any size ends where a page does",
		  .test_func = ends_with_its_page },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
