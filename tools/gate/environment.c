/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See environment.h.
 */
#include "environment.h"
#include "process/process.h"
#include "tools/qemu.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 10

/* The first line of what a program says. NULL: it says nothing, or there is none. */
static char *first_line(const char *program, const char *option)
{
	char *const argv[] = { (char *)program, (char *)option, NULL };
	int status;
	char *said;

	if (strchr(program, '/') && !is_program(program))
		return NULL;
	said = process_output(argv, SECONDS, &status);
	if (status < 0 || !said)
		return NULL;
	said[strcspn(said, "\n")] = 0;
	return *said ? g_utf8_make_valid(said, -1) : NULL;
}

/* The machine's, which is not vpmu's own in a bundle. musl's loader has no --version. */
static const char *libc(void)
{
	const char *line = first_line("/lib64/ld-linux-x86-64.so.2", "--version");

	if (!line && is_program("/lib/ld-musl-x86_64.so.1")) {
		char *const argv[] = { "/lib/ld-musl-x86_64.so.1", NULL };
		int status;
		char *said = process_output(argv, SECONDS, &status);

		if (said && strstr(said, "Version"))
			line = text("musl %.*s", (int)strcspn(strstr(said, "Version"), "\n"),
				    strstr(said, "Version"));
	}
	return line ? line : "none";
}

static const char *compiler(void)
{
	char *found = g_find_program_in_path("cc");
	const char *line = found ? first_line(found, "--version") : NULL;

	return line ? line : "none";
}

static size_t length_of(const char *name)
{
	const char *value = getenv(name);

	return value ? strlen(value) : 0;
}

static const char *qemu_version(const char *named)
{
	struct qemu qemu = { 0 };
	const char *why = qemu_find(named, &qemu);

	if (why)
		fail("%s", why);
	return qemu.version;
}

void environment_add(struct result *result, const struct guest_options *options)
{
	char *directory = g_get_current_dir();
	const char *release = kernel_release(options->kernel);

	result_add_fact(result, "vpmu", VPMU_TOOLS_VERSION);
	result_add_fact(result, "QEMU", qemu_version(options->qemu));
	result_add_fact(result, "kernel", release ? release : options->kernel);
	result_add_fact(result, "CPU", options->cpu);
	result_add_fact(result, "PMU", options->pmu.pmu);
	result_add_fact(result, "memory", options->memory);
	result_add_fact(result, "libc", libc());
	result_add_fact(result, "compiler", compiler());
	/* They are on the program's stack, whose place changes with their length. */
	result_add_fact(result, "lengths",
			text("PATH %zu, HOME %zu, working directory %zu", length_of("PATH"),
			     length_of("HOME"), strlen(directory)));
	g_free(directory);
}

static void compare_commands(const struct result *before, const struct benchmark_result *now,
			     struct args *differences)
{
	const struct benchmark_result *old = result_find(before, now->name);

	if (old &&
	    !g_strv_equal((const char *const *)old->command.v, (const char *const *)now->command.v))
		args_add_format(differences, "command of %s: was %s, is %s", now->name,
				g_strjoinv(" ", old->command.v), g_strjoinv(" ", now->command.v));
}

void environment_differences(const struct result *before, const struct result *now,
			     struct args *differences)
{
	for (size_t i = 0; i < now->fact_count; i++) {
		const struct fact *fact = &now->facts[i];
		const char *old = result_fact(before, fact->name);

		if (!old || strcmp(old, fact->value) != 0)
			args_add_format(differences, "%s: was %s, is %s", fact->name,
					old ? old : "not kept", fact->value);
	}
	for (size_t i = 0; i < now->benchmark_count; i++)
		compare_commands(before, &now->benchmarks[i], differences);
}
