/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu perf: run perf, and a command under it, in a throw-away guest (guest/guest.h). Here
 * is what is perf's: finding it, what it writes, and what its status does not say.
 */
#define _GNU_SOURCE
#include "commands.h"
#include "guest/guest.h"
#include "qemu.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char perf_usage[] =
	"usage: vpmu perf [options] PERF-COMMAND [perf's own options] [-- COMMAND ...]\n"
	"\n"
	"Runs perf in a throw-away guest with a PMU. The guest sees this machine's files;\n"
	"what it writes is lost, but for perf record's output and what --bring-out names.\n"
	"Exits as perf does, which is as COMMAND does; with 128 + N if signal N ends it.\n";

static bool is_elf(const char *path)
{
	char magic[4] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool elf = fd >= 0 && read(fd, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4);

	if (fd >= 0)
		close(fd);
	return elf;
}

/* On some systems perf is a script that looks for perf_VERSION of the running kernel. */
static const char *find_versioned(const char *perf, const char *release)
{
	static const char *const others[] = { "6.12", "6.1", "5.10" };
	unsigned int major, minor;
	const char *found;

	if (release && sscanf(release, "%u.%u", &major, &minor) == 2) {
		found = text("%s_%u.%u", perf, major, minor);
		if (is_elf(found))
			return found;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		found = text("%s_%s", perf, others[i]);
		if (is_elf(found))
			return found;
	}
	return perf;
}

static const char *find_perf(const char *release)
{
	const char *perf = g_find_program_in_path("perf");

	if (!perf)
		fail("there is no perf on PATH: install the package linux-perf");
	return is_elf(perf) ? perf : find_versioned(perf, release);
}

/* A file that perf writes; the one it replaces gets ".old" added, as perf does it. */
static void add_output(struct args *out, const char *file)
{
	if (!*file || !strcmp(file, "-"))
		return;
	args_add(out, file);
	args_add(out, text("%s.old", file));
}

/* perf record -o FILE, or perf.data. Without "--" the command's own -o looks the same. */
static void add_record_output(struct args *out, char **words)
{
	bool found = false, sure = false;

	for (char **word = words; *word; word++)
		sure |= !strcmp(*word, "--");
	for (; *words && strcmp(*words, "--"); words++) {
		const char *file = NULL;

		if ((!strcmp(*words, "-o") || !strcmp(*words, "--output")) && words[1])
			file = words[1];
		else if (!strncmp(*words, "--output=", 9))
			file = *words + 9;
		else if (!strncmp(*words, "-o", 2) && (*words)[2])
			file = *words + 2;
		if (file)
			add_output(out, file);
		found |= file != NULL;
	}
	if (!found || !sure)
		add_output(out, "perf.data");
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
	args_add(&job.words, find_perf(kernel_release(options.kernel)));
	args_add_all(&job.words, argv + at);
	if (!strcmp(argv[at], "record"))
		add_record_output(&job.out, argv + at + 1);
	job.child_signals = hides_signals(argv + at);
	return guest_run(&options, &job);
}
