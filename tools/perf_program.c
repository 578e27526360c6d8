/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See perf_program.h.
 */
#define _GNU_SOURCE
#include "perf_program.h"
#include "qemu.h"

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/*
 * This machine's, or else a bundle's, which is there for the guest as well. What serves no kernel
 * but this machine's own is a script.
 */
void perf_program_add(struct args *words, const char *release)
{
	const struct paths *paths = paths_get();
	const char *perf = g_find_program_in_path("perf");

	if (perf && !is_elf(perf))
		perf = find_versioned(perf, release);
	if (!perf && !paths->perf)
		fail("there is no perf on PATH: install the package linux-perf");
	if (!paths->perf || (perf && is_elf(perf))) {
		args_add(words, perf);
		return;
	}
	args_add(words, paths->loader);
	args_add(words, "--inhibit-cache");
	args_add(words, "--library-path");
	args_add(words, paths->libraries);
	args_add(words, paths->perf);
}
