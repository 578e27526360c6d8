/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu perf: run perf, and a command under it, in a throw-away guest (guest/guest.h). Here
 * is what is perf's: what it writes, and what its status does not say.
 */
#define _GNU_SOURCE
#include "commands.h"
#include "guest/guest.h"
#include "perf_program.h"
#include "perf_words.h"
#include "qemu.h"
#include "scaled.h"
#include "tools/init/wire.h"

#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char perf_usage[] =
	"usage: vpmu perf [options] PERF-COMMAND [perf's own options] [-- COMMAND ...]\n"
	"\n"
	"Runs perf in a throw-away guest with a PMU. The guest sees this machine's files;\n"
	"what it writes is lost, but for perf's own output files and what --bring-out names.\n"
	"Exits as perf does, which is as COMMAND does; with 128 + N if signal N ends it.\n";

/* --- the files that perf writes ------------------------------------------------------------ */

/* What a perf command writes if it is not told where. */
static const struct output {
	const char *command;
	const char *word;  /* only with this word behind it; NULL: always */
	bool unless_named; /* not if it is told where */
	const char *file;
} outputs[] = {
	{ "kvm", "record", false, "perf.data.guest" },
	{ "kvm", "record", false, "perf.data.host" },
	{ "kvm", "record", false, "perf.data.kvm" },
	{ "timechart", NULL, true, "output.svg" },
	{ "archive", NULL, false, "perf.data.tar.bz2" },
};

/* -o means something else to these. */
static const char *const without_output[] = { "diff", "lock", "report", "script", "top" };

static bool names_its_output(char *const *words)
{
	for (size_t i = 0; i < sizeof(without_output) / sizeof(without_output[0]); i++)
		if (!strcmp(words[0], without_output[i]))
			return perf_words_have(words, "record");
	return true;
}

static bool goes_to_file(const char *name)
{
	return *name && strcmp(name, "-") != 0;
}

/* With most, perf adds ".old" to the name of a file that it replaces. */
static void add_output(struct args *out, const char *file, bool keeps_old)
{
	if (!goes_to_file(file))
		return;
	args_add(out, file);
	if (keeps_old)
		args_add(out, text("%s.old", file));
}

/*
 * What perf writes as perf.data, with what perf on this machine lacks to read it. Without "--"
 * the command's own -o looks like perf's.
 */
static void add_profiles(struct guest_job *job, char *const *words, const struct args *named)
{
	struct args profiles = { 0 };
	bool sure = false;

	for (char *const *word = words; *word; word++)
		sure |= !strcmp(*word, "--");
	args_add_all(&profiles, named->count ? named->v : (char *[]){ NULL });
	if (!named->count || !sure)
		args_add(&profiles, "perf.data");
	for (size_t i = 0; i < profiles.count; i++) {
		if (!goes_to_file(profiles.v[i]))
			continue;
		args_add(&job->profiles, profiles.v[i]);
		add_output(&job->out, profiles.v[i], true);
	}
	job->kernel_symbols = !perf_words_user_only(words);
}

/* JIT compilers' names for the code in a profile that is to be read. */
static void find_maps(struct guest_job *job, char *const *words)
{
	struct args profiles = { 0 };
	const char *folder;

	perf_words_values(words, 'i', "input", &profiles);
	folder = text("%s" GUEST_MAPS,
		      profiles.count ? profiles.v[profiles.count - 1] : "perf.data");
	job->maps = realpath(folder, NULL);
}

static void add_outputs(struct guest_job *job, char *const *words)
{
	struct args named = { 0 };

	if (names_its_output(words))
		perf_words_values(words, 'o', "output", &named);
	if (!strcmp(words[0], "record") || perf_words_have(words, "record")) {
		add_profiles(job, words, &named);
	} else {
		find_maps(job, words);
		for (size_t i = 0; i < named.count; i++)
			add_output(&job->out, named.v[i], strcmp(words[0], "stat") != 0);
		perf_words_values(words, 0, "to-json", &job->out);
		perf_words_values(words, 0, "to-ctf", &job->out);
	}
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
		if (!strcmp(words[0], outputs[i].command) &&
		    (!outputs[i].word || perf_words_have(words, outputs[i].word)) &&
		    (!outputs[i].unless_named || !named.count))
			args_add(&job->out, outputs[i].file);
}

/* --- counts that perf has extrapolated ----------------------------------------------------- */

static struct scaled scaled;
static int scaled_fd = STDERR_FILENO;

static void watch_counts(int fd, const char *data, size_t size)
{
	/* A terminal shows both as one. */
	if (fd == scaled_fd || isatty(fd))
		scaled_take(&scaled, data, size);
}

/* perf stat -o FILE. With --append it begins behind what was there before. */
static void read_counts(const char *file, off_t from)
{
	char data[4096];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;

	if (fd >= 0)
		lseek(fd, from, SEEK_SET);
	while (fd >= 0 && (n = read(fd, data, sizeof(data))) > 0)
		scaled_take(&scaled, data, (size_t)n);
	if (fd >= 0)
		close(fd);
}

static int run_stat(struct guest_options *options, struct guest_job *job, char *const *words)
{
	struct args files = { 0 }, streams = { 0 };
	const char *file = NULL;
	struct stat st;
	off_t from = 0;
	int status;

	/* By SIGTERM it would end without a word. */
	job->instead_of_term = SIGINT;
	scaled_begin(&scaled, words);
	job->printed = watch_counts;
	perf_words_values(words, 0, "log-fd", &streams);
	if (streams.count)
		scaled_fd = atoi(streams.v[streams.count - 1]);
	perf_words_values(words, 'o', "output", &files);
	if (files.count)
		file = files.v[files.count - 1];
	if (file && perf_words_have(words, "--append") && !stat(file, &st))
		from = st.st_size;
	status = guest_run(options, job);
	if (file && !perf_words_have(words, "record") && !stat(file, &st) && S_ISREG(st.st_mode))
		read_counts(file, from);
	scaled_end(&scaled);
	return status;
}

/*
 * perf stat exits with 0 if a signal ends its command. If its own --timeout does so, the
 * command is not to blame.
 */
static bool hides_signals(char *const *argv)
{
	if (strcmp(argv[0], "stat") != 0)
		return false;
	while (*++argv && strcmp(*argv, "--") != 0)
		if (!strncmp(*argv, "--timeout", strlen("--timeout")))
			return false;
	return true;
}

/* perf begins with all events off, and listens to the program. */
static void add_regions(struct args *words, const char *command)
{
	if (strcmp(command, "stat") != 0 && strcmp(command, "record") != 0)
		fail("--regions is for perf stat and perf record, not for perf %s", command);
	args_add(words, "-D");
	args_add(words, "-1");
	args_add(words, "--control");
	args_add(words, "fifo:" WIRE_CONTROL "," WIRE_ANSWER);
}

int command_perf(int argc, char **argv)
{
	struct guest_options options = GUEST_OPTIONS_DEFAULT;
	struct guest_job job = { 0 };
	int at = guest_options_take(&options, argv, perf_usage);

	(void)argc;
	if (!at)
		return 0;
	if (!argv[at])
		fail("perf: which perf command? For example: vpmu perf stat -- true");
	perf_program_add(&job.words, kernel_release(options.kernel));
	args_add(&job.words, argv[at]);
	if (options.regions)
		add_regions(&job.words, argv[at]);
	args_add_all(&job.words, argv + at + 1);
	add_outputs(&job, argv + at);
	job.child_signals = hides_signals(argv + at);
	if (!strcmp(argv[at], "stat"))
		return run_stat(&options, &job, argv + at);
	return guest_run(&options, &job);
}
