/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See run.h. A guest is a process's only one (guest/run.c), so each has a process of its own, which
 * ends in order when a signal comes.
 */
#define _GNU_SOURCE
#include "run.h"
#include "process/process.h"
#include "tools/perf_program.h"
#include "tools/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN 2000 /* bytes of a failed command's output, from its end */

static struct scratch scratch;
static pid_t owner;
static volatile sig_atomic_t interrupted;
static volatile pid_t child;

/* The terminal sends it to the guest's process as well. Who sends it by kill() does not. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	interrupted = number;
	if (child > 0 && info->si_code <= 0)
		kill(child, number);
}

static void clean_up(void)
{
	if (getpid() == owner)
		scratch_remove(&scratch);
}

void run_begin(const struct guest_options *options)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	owner = getpid();
	atexit(clean_up);
	scratch_make(&scratch, options);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static void end_if_interrupted(void)
{
	if (interrupted)
		exit(128 + interrupted);
}

static const char *file_in_scratch(const char *name)
{
	return text("%s/%s", scratch.folder, name);
}

/* The command's streams are the same, whatever those of vpmu are. */
static void redirect(void)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(file_in_scratch("output"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (in < 0 || out < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0)
		fail("%s: %s", scratch.folder, strerror(errno));
}

/* Returns vpmu's exit status in the guest's process. */
static int run_guest(const struct guest_options *options, struct guest_job *job)
{
	struct guest_options copy = *options;
	int status;

	copy.strict = true;
	end_if_interrupted();
	fflush(NULL);
	child = fork();
	if (child < 0)
		fail("a process for the guest: %s", strerror(errno));
	if (!child) {
		redirect();
		exit(guest_run(&copy, job));
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	child = 0;
	end_if_interrupted();
	return process_exit_status(status);
}

/* What has been printed, or the end of that. */
static void show_output(void)
{
	char *data;
	size_t size;

	if (!g_file_get_contents(file_in_scratch("output"), &data, &size, NULL))
		return;
	fputs(size > SHOWN ? data + size - SHOWN : data, stderr);
	g_free(data);
}

static __attribute__((noreturn)) void end_without_count(const struct benchmark *benchmark,
							const char *why)
{
	show_output();
	fail("gate: %s: %s", benchmark->name, why);
}

static void check_status(const struct benchmark *benchmark, int status)
{
	int exited = process_exit_status(status);

	if (exited == benchmark->exit_status)
		return;
	show_output();
	warn("gate: %s: the command has ended with exit status %d%s, not %d", benchmark->name,
	     exited, WIFSIGNALED(status) ? ", by a signal" : "", benchmark->exit_status);
	exit(EXIT_COMMAND);
}

static const char *group_words(void)
{
	int count = getgroups(0, NULL);
	gid_t *groups = g_new(gid_t, (size_t)count + 1);
	GString *words = g_string_new("");

	count = getgroups(count, groups);
	for (int i = 0; i < count; i++)
		g_string_append_printf(words, "%s%u", i ? "," : "", groups[i]);
	g_free(groups);
	return g_string_free(words, FALSE);
}

/* A program of ours that becomes the user, and behind that what it is to start. */
static void add_program(struct guest_job *job, const char *name, const char *file)
{
	job->as_root = true;
	args_add(&job->words, text("%s/tools/gate/count/%s", paths_get()->build, name));
	if (file)
		args_add(&job->words, file);
	args_add(&job->words, text("%u", getuid()));
	args_add(&job->words, text("%u", getgid()));
	args_add(&job->words, group_words());
}

void run_count(const struct guest_options *options, const struct benchmark *benchmark,
	       struct benchmark_result *result)
{
	const char *counts = file_in_scratch("counts");
	struct guest_job job = { 0 };
	char *data;
	int status;

	unlink(counts);
	add_program(&job, "vpmu-count", counts);
	args_add_all(&job.words, benchmark->command.v);
	args_add(&job.out, counts);
	if (run_guest(options, &job) == EXIT_BEYOND) {
		show_output();
		exit(EXIT_BEYOND);
	}
	if (!g_file_get_contents(counts, &data, NULL, NULL))
		end_without_count(benchmark, "there is no count of it; why not is above");
	if (!result_take_run(result, data, &status))
		end_without_count(benchmark, "the counts that the guest has sent make no sense");
	check_status(benchmark, status);
	g_free(data);
}

/* On this machine, whose files the profile is of. */
static char *read_profile(const char *profile, const char *release)
{
	struct args words = { 0 };
	GError *error = NULL;
	char *out, *errors;
	int status;

	perf_program_add(&words, release);
	args_add_all(&words, (char *[]){ "script", "--no-inline", "-F", "comm,ip,sym,dso", "-i",
					 (char *)profile, NULL });
	if (!g_spawn_sync(NULL, words.v, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &errors, &status,
			  &error))
		fail("gate: perf script: %s", error->message);
	if (process_exit_status(status))
		fail("gate: perf script: %s", g_strstrip(errors));
	g_free(errors);
	args_free(&words);
	return out;
}

char *run_profile(const struct guest_options *options, const struct benchmark *benchmark,
		  uint64_t period)
{
	const char *release = kernel_release(options->kernel);
	const char *profile = file_in_scratch("perf.data");
	struct guest_job job = { 0 };

	unlink(profile);
	add_program(&job, "vpmu-sample", NULL);
	perf_program_add(&job.words, release);
	args_add_all(&job.words,
		     (char *[]){ "record", "-q", "-N", "-g", "-e", "instructions:u", "-c", NULL });
	args_add(&job.words, text("%ju", (uintmax_t)period));
	args_add_all(&job.words, (char *[]){ "-o", (char *)profile, "--", NULL });
	args_add_all(&job.words, benchmark->command.v);
	args_add(&job.out, profile);
	run_guest(options, &job);
	if (!file_exists(profile))
		end_without_count(benchmark, "there is no profile of it; why not is above");
	return read_profile(profile, release);
}
