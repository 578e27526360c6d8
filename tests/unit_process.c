/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unit tests of process/: argument lists, and starting, awaiting and ending programs.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/args.h"
#include "process/process.h"

static pid_t start(char *const *argv)
{
	const struct process_start start = { .argv = argv, .in = -1, .out = -1, .err = -1 };

	return process_start(&start);
}

static void a_list_of_words_ends_with_null(void **state)
{
	struct args args = { 0 };
	char *more[] = { "b", "c", NULL };

	(void)state;
	args_add(&args, "a");
	args_add_all(&args, more);
	args_add_format(&args, "%s%d", "d", 4);
	assert_int_equal(args.count, 4);
	assert_string_equal(args.v[0], "a");
	assert_string_equal(args.v[2], "c");
	assert_string_equal(args.v[3], "d4");
	assert_null(args.v[4]);
	args_free(&args);
	assert_null(args.v);
}

static void commas_are_doubled_for_qemu(void **state)
{
	char *doubled = args_double_commas("/a,b/,,c");

	(void)state;
	assert_string_equal(doubled, "/a,,b/,,,,c");
	g_free(doubled);
}

static void a_program_that_is_not_there_is_told_at_its_start(void **state)
{
	char *none[] = { "/none/such", NULL };
	char *not_a_program[] = { "/dev/null", NULL };

	(void)state;
	assert_int_equal(start(none), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(start(not_a_program), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_name_without_a_slash_is_looked_up_on_path(void **state)
{
	char *argv[] = { "true", NULL };
	int status = -1;
	pid_t pid = start(argv);

	(void)state;
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_signal_n_is_exit_status_128_plus_n(void **state)
{
	char *argv[] = { "sh", "-c", "kill -TERM $$", NULL };
	int status = 0;

	(void)state;
	waitpid(start(argv), &status, 0);
	assert_int_equal(process_exit_status(status), 128 + SIGTERM);
	assert_int_equal(process_exit_status(7 << 8), 7);
}

static void a_wait_ends_with_its_time(void **state)
{
	char *argv[] = { "sleep", "1000", NULL };
	pid_t pid = start(argv);
	int status;

	(void)state;
	assert_false(process_wait(pid, 0, &status));
	assert_int_equal(process_exit_status(process_stop(pid)), 128 + SIGTERM);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

static void an_own_group_is_not_the_terminals(void **state)
{
	char *argv[] = { "sleep", "1000", NULL };
	const struct process_start start = {
		.argv = argv, .in = -1, .out = -1, .err = -1, .own_group = true
	};
	pid_t pid = process_start(&start);

	(void)state;
	assert_int_equal(getpgid(pid), pid);
	process_stop(pid);
}

static void the_signal_mask_is_the_one_that_is_asked_for(void **state)
{
	char *argv[] = { "sleep", "1000", NULL };
	sigset_t all, before;
	struct process_start start = {
		.argv = argv, .in = -1, .out = -1, .err = -1, .mask = &before
	};

	(void)state;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	assert_int_equal(process_exit_status(process_stop(process_start(&start))), 128 + SIGTERM);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* The child's child waits for its own death signal; the pipe ends when it is gone. */
static void a_death_signal_comes_when_the_parent_dies(void **state)
{
	char *argv[] = { "sleep", "1000", NULL };
	struct process_start start = {
		.argv = argv, .in = -1, .out = -1, .err = -1, .death_signal = SIGKILL
	};
	int ends[2];
	char byte;
	pid_t parent;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	start.out = ends[1];
	parent = fork();
	if (!parent) {
		process_start(&start);
		_exit(0);
	}
	close(ends[1]);
	waitpid(parent, NULL, 0);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

static void output_is_of_both_streams_with_the_exit_status(void **state)
{
	char *argv[] = { "sh", "-c", "cat; echo out; echo err >&2; exit 3", NULL };
	int status;
	char *output = process_output(argv, 60, &status);

	(void)state;
	assert_string_equal(output, "out\nerr\n");
	assert_int_equal(status, 3);
	g_free(output);
}

static void of_much_output_the_first_64_kib_are_kept(void **state)
{
	char *argv[] = { "sh", "-c", "yes | head -c 1000000", NULL };
	int status;
	char *output = process_output(argv, 60, &status);

	(void)state;
	assert_int_equal(strlen(output), 65536);
	assert_int_equal(status, 0);
	g_free(output);
}

static void a_command_that_takes_too_long_is_ended(void **state)
{
	char *argv[] = { "sleep", "1000", NULL };
	char *none[] = { "/none/such", NULL };
	int status;

	(void)state;
	g_free(process_output(argv, 0, &status));
	assert_int_equal(status, -1);
	g_free(process_output(none, 60, &status));
	assert_int_equal(status, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_of_words_ends_with_null),
		cmocka_unit_test(commas_are_doubled_for_qemu),
		cmocka_unit_test(a_program_that_is_not_there_is_told_at_its_start),
		cmocka_unit_test(a_name_without_a_slash_is_looked_up_on_path),
		cmocka_unit_test(a_signal_n_is_exit_status_128_plus_n),
		cmocka_unit_test(a_wait_ends_with_its_time),
		cmocka_unit_test(an_own_group_is_not_the_terminals),
		cmocka_unit_test(the_signal_mask_is_the_one_that_is_asked_for),
		cmocka_unit_test(a_death_signal_comes_when_the_parent_dies),
		cmocka_unit_test(output_is_of_both_streams_with_the_exit_status),
		cmocka_unit_test(of_much_output_the_first_64_kib_are_kept),
		cmocka_unit_test(a_command_that_takes_too_long_is_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
