/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The job of a throw-away guest, which is who runs what where, and what its initramfs carries:
 * the init, and the modules that it needs. The job goes through the guest's port, and is in no
 * file: the environment may hold secrets.
 */
#define _GNU_SOURCE
#include "bring_out.h"
#include "guest.h"
#include "initramfs.h"
#include "terminal.h"
#include "tools/init/wire.h"
#include "tools/qemu.h"

#include <errno.h>
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order of need. What a kernel has built in is not there as a module. */
static const char *const modules[] = {
	"drivers/virtio/virtio_ring",
	"drivers/virtio/virtio",
	"drivers/virtio/virtio_pci_modern_dev",
	"drivers/virtio/virtio_pci_legacy_dev",
	"drivers/virtio/virtio_pci",
	"drivers/virtio/virtio_mmio",
	"drivers/char/virtio_console",
	"drivers/block/virtio_blk",
	"fs/netfs/netfs",
	"fs/fscache/fscache",
	"fs/fuse/fuse",
	"fs/fuse/virtiofs",
	"net/9p/9pnet",
	"net/9p/9pnet_virtio",
	"fs/9p/9p",
	"fs/overlayfs/overlay",
};

/* What the command's counts may depend on, and nothing else of the caller's. */
static const char *const kept_variables[] = { "HOME=", "PATH=" };
static const char *const deterministic_variables[] = { "LC_ALL=C" };

extern char **environ;

static void put(FILE *job, const char *key, const char *value)
{
	fprintf(job, "%s=%s", key, value);
	fputc('\0', job);
}

static void put_number(FILE *job, const char *key, unsigned int value)
{
	put(job, key, text("%u", value));
}

static void put_identity(FILE *job, bool as_root)
{
	int count = getgroups(0, NULL);
	gid_t *groups = g_new(gid_t, (size_t)count + 1);

	put_number(job, "uid", as_root ? 0 : getuid());
	put_number(job, "gid", as_root ? 0 : getgid());
	count = getgroups(count, groups);
	for (int i = 0; i < count; i++)
		put_number(job, "group", groups[i]);
	g_free(groups);
}

/*
 * Those that mean the same in another machine. What the caller's kernel lets it start with that
 * many words, for one, the guest's has to (RLIMIT_STACK).
 */
static void put_limits(FILE *job)
{
	static const int resources[] = { RLIMIT_STACK, RLIMIT_NOFILE, RLIMIT_CORE,
					 RLIMIT_FSIZE, RLIMIT_NPROC,  RLIMIT_MEMLOCK };
	struct rlimit limit;

	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (!getrlimit((__rlimit_resource_t)resources[i], &limit))
			put(job, "limit",
			    text("%d:%ju:%ju", resources[i], (uintmax_t)limit.rlim_cur,
				 (uintmax_t)limit.rlim_max));
}

static void put_umask(FILE *job)
{
	mode_t mask = umask(0);

	umask(mask);
	put(job, "umask", text("%o", mask));
}

static void put_stream(FILE *job, const char *key, int fd, const char *otherwise)
{
	struct stat st;

	if (isatty(fd) && terminal_output() >= 0)
		put(job, key, WIRE_TERMINAL);
	else
		put(job, key, !fstat(fd, &st) && S_ISFIFO(st.st_mode) ? WIRE_PIPE : otherwise);
}

static void put_streams(FILE *job)
{
	struct wire_window window;

	put_stream(job, "stdin", STDIN_FILENO, WIRE_SOCKET);
	put_stream(job, "stdout", STDOUT_FILENO, WIRE_SOCKET);
	put_stream(job, "stderr", STDERR_FILENO, WIRE_PIPE);
	if (terminal_size(&window))
		put(job, "window", text("%u:%u", window.rows, window.columns));
}

static bool is_kept(const char *variable)
{
	for (size_t i = 0; i < sizeof(kept_variables) / sizeof(kept_variables[0]); i++)
		if (!strncmp(variable, kept_variables[i], strlen(kept_variables[i])))
			return true;
	return false;
}

static void put_environment(FILE *job, bool deterministic)
{
	for (char **variable = environ; *variable; variable++)
		if (!deterministic || is_kept(*variable))
			put(job, "env", *variable);
	for (size_t i = 0; deterministic && i < sizeof(deterministic_variables) / sizeof(char *);
	     i++)
		put(job, "env", deterministic_variables[i]);
}

/* FILE, or FILE:PARAMETERS. The guest finds it where it is here. */
static void put_module(FILE *to, const char *module)
{
	const char *colon = strchrnul(module, ':');
	char *path = text("%.*s", (int)(colon - module), module);
	char *real = realpath(path, NULL);

	if (!real)
		fail("--module %s: %s", path, strerror(errno));
	put(to, "module", real);
	put(to, "parameters", *colon ? colon + 1 : "");
	free(real);
	free(path);
}

static size_t index_of(const struct args *out, const char *name)
{
	size_t i = 0;

	while (i < out->count && strcmp(out->v[i], name) != 0)
		i++;
	return i;
}

/* A profile, and what comes with it: by index. */
static void put_profile(FILE *to, const struct args *out, const char *profile)
{
	put(to, "profile",
	    text("%zu:%zu:%zu", index_of(out, profile),
		 index_of(out, text("%s" GUEST_KALLSYMS, profile)),
		 index_of(out, text("%s" GUEST_MAPS, profile))));
}

static void put_job(FILE *to, const struct guest_options *options, const struct guest_job *job,
		    const struct args *out)
{
	char *cwd = realpath(".", NULL);

	if (!cwd)
		fail("the working directory: %s", strerror(errno));
	put(to, "cwd", cwd);
	put(to, "files", options->files);
	put_identity(to, job->as_root);
	put_umask(to);
	/* Addresses depend on that of the stack. */
	if (!options->deterministic)
		put_limits(to);
	put_streams(to);
	if (job->child_signals)
		put(to, "signals", "1");
	for (size_t i = 0; i < options->modules.count; i++)
		put_module(to, options->modules.v[i]);
	for (size_t i = 0; i < job->words.count; i++)
		put(to, "arg", job->words.v[i]);
	put_environment(to, options->deterministic);
	if (options->deterministic)
		put(to, "fixed", "1");
	for (size_t i = 0; i < out->count; i++)
		put(to, "out", bring_out_real_name(out->v[i]));
	for (size_t i = 0; i < job->profiles.count; i++)
		put_profile(to, out, job->profiles.v[i]);
	for (size_t i = 0; i < options->writable.count; i++)
		put(to, "writable", options->writable.v[i]);
	if (options->regions) {
		put(to, "regions", "1");
		put(to, "env", "VPMU_CONTROL=" WIRE_CONTROL "," WIRE_ANSWER);
	}
	if (job->maps)
		put(to, "maps", job->maps);
	free(cwd);
}

/* The init, and then the modules. */
struct args job_initramfs_files(const struct guest_options *options)
{
	struct args files = { 0 };

	args_add(&files, text("%s/tools/init/vpmu-init", paths_get()->build));
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const char *path = text("%s/%s/modules/kernel/%s.ko", paths_get()->kernel,
					options->kernel, modules[i]);

		if (file_exists(path))
			args_add(&files, path);
	}
	return files;
}

char *job_words(const struct guest_options *options, const struct guest_job *job,
		const struct args *out, size_t *size)
{
	char *data = NULL;
	FILE *file = open_memstream(&data, size);

	if (!file)
		fail("out of memory");
	put_job(file, options, job, out);
	fclose(file);
	return data;
}

void job_write_initramfs(const struct guest_options *options, const char *path)
{
	static const char *const folders[] = { "dev", "proc", "sys", "lower", "new", "scratch" };
	struct args files = job_initramfs_files(options);
	struct initramfs archive;

	initramfs_open(&archive, path);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		initramfs_add_folder(&archive, folders[i]);
	initramfs_add_file(&archive, "init", 0755, files.v[0]);
	initramfs_add_folder(&archive, "modules");
	for (size_t i = 1; i < files.count; i++)
		initramfs_add_file(&archive, text("modules/%02zu.ko", i), 0644, files.v[i]);
	initramfs_close(&archive);
}
