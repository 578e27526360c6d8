/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the initramfs of a throw-away guest carries: the init, the modules that it needs, and
 * the job, which is who runs what where.
 */
#define _GNU_SOURCE
#include "bring_out.h"
#include "guest.h"
#include "initramfs.h"
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
static const char *const kept_variables[] = { "PATH=" };
static const char *const deterministic_variables[] = { "HOME=/", "LC_ALL=C" };

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

static void put_identity(FILE *job)
{
	int count = getgroups(0, NULL);
	gid_t *groups = g_new(gid_t, (size_t)count + 1);

	put_number(job, "uid", getuid());
	put_number(job, "gid", getgid());
	count = getgroups(count, groups);
	for (int i = 0; i < count; i++)
		put_number(job, "group", groups[i]);
	g_free(groups);
}

/* What the caller's kernel lets it start with that many words, the guest's has to. */
static void put_stack_limit(FILE *job)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_STACK, &limit))
		put(job, "stack", text("%ju", (uintmax_t)limit.rlim_cur));
}

static void put_stream(FILE *job, const char *key, int fd)
{
	struct stat st;
	bool is_pipe = !fstat(fd, &st) && S_ISFIFO(st.st_mode);

	put(job, key, is_pipe ? WIRE_PIPE : WIRE_SOCKET);
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

static void put_job(FILE *to, const struct guest_options *options, const struct guest_job *job,
		    const struct args *out)
{
	char *cwd = realpath(".", NULL);

	if (!cwd)
		fail("the working directory: %s", strerror(errno));
	put(to, "cwd", cwd);
	put(to, "files", options->files);
	put_identity(to);
	/* Addresses depend on it. */
	if (!options->deterministic)
		put_stack_limit(to);
	put_stream(to, "stdin", STDIN_FILENO);
	put_stream(to, "stdout", STDOUT_FILENO);
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
	free(cwd);
}

static void add_modules(struct initramfs *archive, const char *kernel)
{
	initramfs_add_folder(archive, "modules");
	for (unsigned int i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const char *path = text("%s/modules/kernel/%s.ko", kernel, modules[i]);

		if (file_exists(path))
			initramfs_add_file(archive, text("modules/%02u.ko", i), 0644, path);
	}
}

void job_write(const struct guest_options *options, const struct guest_job *job,
	       const struct args *out, const char *path)
{
	static const char *const folders[] = { "dev", "proc", "sys", "lower", "new", "scratch" };
	const char *kernel = text("%s/%s", paths_get()->kernel, options->kernel);
	struct initramfs archive;
	const char *ahead;
	char *data = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&data, &size);

	if (!file)
		fail("out of memory");
	put_job(file, options, job, out);
	fclose(file);
	initramfs_open(&archive, path);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		initramfs_add_folder(&archive, folders[i]);
	initramfs_add_file(&archive, "init", 0755,
			   text("%s/tools/init/vpmu-init", paths_get()->build));
	add_modules(&archive, kernel);
	initramfs_add(&archive, "job", 0600, data, size);
	ahead = files_ahead(&size);
	if (ahead)
		initramfs_add(&archive, "ahead", 0600, ahead, size);
	initramfs_close(&archive);
	free(data);
}
