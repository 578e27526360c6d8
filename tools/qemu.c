/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finding a QEMU and checking that it serves. What its own arguments mean for
 * the PMU is in qemu_arguments.c.
 */
#define _GNU_SOURCE
#include "qemu.h"
#include "process/process.h"
#include "qemu_checked.h"

#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME          "qemu-system-x86_64"
#define NEEDED_MAJOR  11
#define NEEDED_MINOR  1
#define CHECK_SECONDS 20

static void find_bundled(struct paths *paths)
{
	char *loader = text("%s/ld-linux-x86-64.so.2", paths->build);

	if (!is_program(loader))
		return;
	paths->loader = loader;
	paths->libraries = text("%s/libs", paths->build);
	paths->perf = text("%s/perf", paths->build);
}

const struct paths *paths_get(void)
{
	static struct paths paths;
	char self[PATH_MAX];
	ssize_t length;

	if (paths.build)
		return &paths;
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		fail("/proc/self/exe cannot be read: is /proc mounted?");
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	paths.build = text("%s", self);
	paths.plugin = text("%s/hosts/qemu/libvpmu-qemu.so", self);
	paths.qemu = text("%s/qemu", self);
	paths.kernel = text("%s/kernel", self);
	find_bundled(&paths);
	return &paths;
}

char *kernel_release(const char *version)
{
	FILE *file = fopen(text("%s/%s/release", paths_get()->kernel, version), "re");
	char release[128] = "";
	bool read = file && fgets(release, sizeof(release), file);

	if (file)
		fclose(file);
	release[strcspn(release, "\n")] = '\0';
	return read ? text("%s", release) : NULL;
}

static int compare_versions(const void *a, const void *b)
{
	return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

struct args kernel_versions(void)
{
	GDir *folder = g_dir_open(paths_get()->kernel, 0, NULL);
	struct args versions = { 0 };
	const char *name;

	while (folder && (name = g_dir_read_name(folder)))
		if (kernel_release(name))
			args_add(&versions, name);
	if (folder)
		g_dir_close(folder);
	if (versions.count)
		qsort(versions.v, versions.count, sizeof(*versions.v), compare_versions);
	return versions;
}

static char *unpacked(const char *name)
{
	char *candidate = text("%s/usr/bin/%s", paths_get()->qemu, name);

	return is_program(candidate) ? candidate : NULL;
}

/* The unpacked QEMU's libraries are newer than the system's: it needs its own loader. */
static void start_unpacked(struct qemu *qemu)
{
	const char *root = paths_get()->qemu;

	args_add(&qemu->argv, text("%s/usr/lib64/ld-linux-x86-64.so.2", root));
	args_add(&qemu->argv, "--library-path");
	args_add(&qemu->argv, text("%s/usr/lib/x86_64-linux-gnu", root));
	args_add(&qemu->argv, qemu->path);
	args_add(&qemu->argv, "-L");
	args_add(&qemu->argv, text("%s/usr/share/qemu", root));
	args_add(&qemu->argv, "-L");
	args_add(&qemu->argv, text("%s/usr/share/seabios", root));
}

static bool is_unpacked(const char *path)
{
	char *real = realpath(path, NULL);
	char *root = realpath(paths_get()->qemu, NULL);
	bool inside =
		real && root && !strncmp(real, root, strlen(root)) && real[strlen(root)] == '/';

	free(real);
	free(root);
	return inside;
}

static char *ask(const struct qemu *qemu, const char *question, const char *what, int *status)
{
	struct args argv = { 0 };

	args_add_all(&argv, qemu->argv.v);
	args_add(&argv, question);
	if (what)
		args_add(&argv, what);
	return process_output(argv.v, CHECK_SECONDS, status);
}

static const char *check(struct qemu *qemu)
{
	static const char says[] = "QEMU emulator version ";
	unsigned int major, minor, micro = 0;
	const char *found;
	char *output;
	int status;

	qemu->version = qemu_checked(qemu->path);
	if (qemu->version)
		return NULL;
	output = ask(qemu, "--version", NULL, &status);
	found = strstr(output, says);
	if (status || !found ||
	    sscanf(found + strlen(says), "%u.%u.%u", &major, &minor, &micro) < 2)
		return text("%s is not a QEMU system emulator", qemu->path);
	qemu->version = text("%u.%u.%u", major, minor, micro);
	if (major < NEEDED_MAJOR || (major == NEEDED_MAJOR && minor < NEEDED_MINOR))
		return text("%s is QEMU %s; %d.%d or newer is needed (`make setup' unpacks one "
			    "into %s)",
			    qemu->path, qemu->version, NEEDED_MAJOR, NEEDED_MINOR,
			    paths_get()->qemu);
	free(output);
	free(ask(qemu, "-plugin", "help", &status));
	if (status)
		return text("%s (QEMU %s) is built without plugins", qemu->path, qemu->version);
	qemu_keep_checked(qemu->path, qemu->version);
	return NULL;
}

/* A name says which machine it emulates, if it is one of QEMU's own names. */
static bool is_other_machine(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return !strncmp(name, "qemu-system-", 12) && !strstr(name, "x86_64") &&
	       !strstr(name, "i386") && !strstr(name, "amd64");
}

static const char *check_path(char *path, struct qemu *qemu)
{
	*qemu = (struct qemu){ .path = path };
	if (is_other_machine(path))
		return text("%s does not emulate an x86 machine", path);
	if (is_unpacked(path))
		start_unpacked(qemu);
	else
		args_add(&qemu->argv, path);
	return check(qemu);
}

const char *qemu_find(const char *named, struct qemu *qemu)
{
	const char *name = named ? named : NAME;
	const char *error = NULL;
	char *path;

	*qemu = (struct qemu){ 0 };
	/* Another one may not find the plugin's libraries. */
	if (paths_get()->loader && !strchr(name, '/') && (path = unpacked(name)))
		return check_path(path, qemu);
	if (strchr(name, '/')) {
		if (!is_program(name))
			return text("%s: %s", name,
				    file_exists(name) ? "not a program" : "no such file");
		return check_path(text("%s", name), qemu);
	}
	path = g_find_program_in_path(name);
	if (path) {
		error = check_path(path, qemu);
		if (named || !error)
			return error;
	}
	path = unpacked(name);
	if (path)
		return check_path(path, qemu);
	if (error)
		return error;
	return text("%s is neither on PATH nor in %s (`make setup' unpacks one there)", name,
		    paths_get()->qemu);
}
