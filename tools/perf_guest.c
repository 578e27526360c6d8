/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The throw-away guest of vpmu perf: what its initramfs carries and how QEMU
 * is started for it. What happens inside is init/init.c.
 */
#define _GNU_SOURCE
#include "bring_out.h"
#include "init/wire.h"
#include "initramfs.h"
#include "perf.h"
#include "process/process.h"
#include "qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order of need. What a kernel has built in is not there as a module. */
static const char *const modules[] = {
	"drivers/virtio/virtio_ring",
	"drivers/virtio/virtio",
	"drivers/virtio/virtio_pci_modern_dev",
	"drivers/virtio/virtio_pci_legacy_dev",
	"drivers/virtio/virtio_pci",
	"drivers/char/virtio_console",
	"fs/netfs/netfs",
	"fs/fscache/fscache",
	"net/9p/9pnet",
	"net/9p/9pnet_virtio",
	"fs/9p/9p",
	"fs/overlayfs/overlay",
};

/*
 * quiet and loglevel: the serial console is slow. tsc=reliable: no watchdog on a clock that
 * follows the host. nmi_watchdog=0: it would hold a counter. cryptomgr.notests, mitigations: time.
 */
static const char kernel_parameters[] =
	"console=ttyS0 panic=-1 tsc=reliable no_timer_check mitigations=off nmi_watchdog=0 "
	"random.trust_cpu=on cryptomgr.notests 8250.nr_uarts=1 raid=noautodetect audit=0 "
	"apparmor=0 selinux=0";

/*
 * --deterministic. User space without RDRAND and RDSEED asks the kernel, whose
 * answers the guest's init makes up. The kernel clears pages by REP STOSQ without ERMS:
 * under -icount QEMU enters a REP again for each iteration.
 */
static const char deterministic_parameters[] = "norandmaps nokaslr vdso=0";
static const char deterministic_features[] = ",-rdrand,-rdseed,-erms,-fsrm";
static const char *const deterministic_words[] = {
	"-icount", "shift=0,sleep=off", "-rtc", "base=2037-01-01T00:00:00,clock=vm", "-seed", "1",
};

/* What the command's counts may depend on, and nothing else of the caller's. */
static const char *const kept_variables[] = { "PATH=" };
static const char *const deterministic_variables[] = { "HOME=/", "LC_ALL=C" };

extern char **environ;

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

static void put_job(FILE *job, const struct perf_options *options, char *const *argv,
		    const char *release)
{
	char *cwd = realpath(".", NULL);

	if (!cwd)
		fail("the working directory: %s", strerror(errno));
	put(job, "cwd", cwd);
	put_identity(job);
	/* Addresses depend on it. */
	if (!options->deterministic)
		put_stack_limit(job);
	put_stream(job, "stdin", STDIN_FILENO);
	put_stream(job, "stdout", STDOUT_FILENO);
	if (hides_signals(argv))
		put(job, "signals", "1");
	put(job, "arg", find_perf(release));
	while (*argv)
		put(job, "arg", *argv++);
	put_environment(job, options->deterministic);
	if (options->deterministic)
		put(job, "fixed", "1");
	for (size_t i = 0; i < options->out.count; i++)
		put(job, "out", bring_out_real_name(options->out.v[i]));
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

void job_write(const struct perf_options *options, char *const *argv, const char *release,
	       const char *path)
{
	static const char *const folders[] = { "dev", "proc", "sys", "lower", "new", "scratch" };
	const char *kernel = text("%s/%s", paths_get()->kernel, options->kernel);
	struct initramfs archive;
	char *data = NULL;
	size_t size = 0;
	FILE *job = open_memstream(&data, &size);

	if (!job)
		fail("out of memory");
	put_job(job, options, argv, release);
	fclose(job);
	initramfs_open(&archive, path);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		initramfs_add_folder(&archive, folders[i]);
	initramfs_add_file(&archive, "init", 0755,
			   text("%s/tools/init/vpmu-init", paths_get()->build));
	add_modules(&archive, kernel);
	initramfs_add(&archive, "job", 0600, data, size);
	initramfs_close(&archive);
	free(data);
}

static void add_pair(struct args *words, const char *option, const char *value)
{
	args_add(words, option);
	args_add(words, value);
}

static void find_words(struct args *words, const struct perf_options *options)
{
	struct qemu qemu;
	const char *error = qemu_find(options->qemu, &qemu);

	if (error)
		fail("%s", error);
	pmu_check_files(&options->pmu);
	args_add_all(words, qemu.argv.v);
	add_pair(words, "-plugin", pmu_plugin_argument(&options->pmu));
}

static void build_words(struct args *words, const struct perf_options *options,
			const struct scratch *scratch, int port)
{
	const char *kernel = text("%s/%s", paths_get()->kernel, options->kernel);

	find_words(words, options);
	add_pair(words, "-machine", "q35");
	add_pair(words, "-accel", options->tcg ? text("tcg,%s", options->tcg) : "tcg");
	add_pair(words, "-cpu",
		 text("%s%s", options->cpu, options->deterministic ? deterministic_features : ""));
	for (size_t i = 0;
	     options->deterministic && i < sizeof(deterministic_words) / sizeof(char *); i++)
		args_add(words, deterministic_words[i]);
	add_pair(words, "-smp", options->cpus);
	add_pair(words, "-m", options->memory);
	args_add(words, "-nodefaults");
	args_add(words, "-no-user-config");
	args_add(words, "-no-reboot");
	add_pair(words, "-display", "none");
	/* The ELF kernel is entered by PVH: nothing is left to unpack in the guest. */
	add_pair(words, "-kernel", text("%s/vmlinux", kernel));
	add_pair(words, "-initrd", scratch->initramfs);
	add_pair(words, "-append",
		 text("%s %s %s %s", kernel_parameters,
		      options->deterministic ? deterministic_parameters : "",
		      options->console ? "loglevel=7" : "quiet loglevel=1",
		      options->append ? options->append : ""));
	add_pair(words, "-chardev",
		 text("file,id=console,path=%s", args_double_commas(scratch->console)));
	add_pair(words, "-serial", "chardev:console");
	add_pair(words, "-chardev", text("socket,id=port,fd=%d", port));
	add_pair(words, "-device", "virtio-serial-pci,max_ports=2");
	add_pair(words, "-device", "virtserialport,chardev=port,nr=1");
	/* All of this machine's files, of which the guest can write none. */
	add_pair(words, "-fsdev",
		 "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap");
	add_pair(words, "-device", "virtio-9p-pci,fsdev=root,mount_tag=root");
}

pid_t perf_guest_start(const struct perf_options *options, const struct scratch *scratch,
		       const sigset_t *before, int *streams)
{
	struct args words = { 0 };
	struct process_start start = {
		.in = -1,
		/* What the terminal sends is for vpmu alone: it ends the guest in order. */
		.own_group = true,
		.death_signal = SIGKILL,
		.mask = before,
	};
	int pair[2];
	pid_t pid;
	int log = open(scratch->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (log < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		fail("the guest's streams: %s", strerror(errno));
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	build_words(&words, options, scratch, pair[1]);
	start.argv = words.v;
	start.out = start.err = log;
	pid = process_start(&start);
	if (pid < 0)
		fail("%s: %s", words.v[0], strerror(errno));
	close(pair[1]);
	close(log);
	*streams = pair[0];
	return pid;
}
