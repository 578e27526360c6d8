/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The first and only program of vpmu perf's throw-away guest: it mounts the
 * host's files with a scratch layer on top, runs the job that the initramfs
 * carries, and pumps its streams through one virtio port. It knows nothing of
 * PMUs, and it never returns: the host ends the guest.
 */
#define _GNU_SOURCE
#include "ahead.h"
#include "exits.h"
#include "fixed.h"
#include "port.h"
#include "send.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIXED_SIZE (1 << 20) /* of /dev/urandom, where that is a file */

/* Strings of the job; the vector ends with NULL. */
struct list {
	char **v;
	size_t count;
};

struct job {
	const char *cwd;
	const char *files; /* the type of this machine's file system */
	uid_t uid;
	gid_t gid;
	struct list groups;              /* decimal */
	struct list modules, parameters; /* to be loaded in order, each with its parameters */
	struct list args;
	struct list environment;
	rlim_t stack;      /* its soft limit, by which the kernel limits arguments; 0: as it is */
	const char *input; /* what stdin and stdout are: perf tells pipes from others */
	const char *output;
	bool fixed;      /* the same random numbers each time */
	bool signals;    /* a signal that ends a child of the job's is the job's end, too */
	struct list out; /* files and folders to bring out: absolute paths */
};

/* One of the job's streams on its way to the port. */
struct stream {
	int fd;
	uint8_t type;
};

static struct job job = { .cwd = "/", .files = "9p", .input = WIRE_SOCKET, .output = WIRE_SOCKET };

static void send_status(int status)
{
	int32_t value = status;

	port_send(WIRE_STATUS, &value, sizeof(value));
}

static void mount_or_give_up(const char *from, const char *at, const char *type,
			     unsigned long flags, const char *options)
{
	mkdir(at, 0755);
	if (mount(from, at, type, flags, options))
		give_up("cannot mount %s in the guest: %s", at, strerror(errno));
}

static char *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *data;
	size_t have = 0;

	if (fd < 0 || fstat(fd, &st))
		give_up("cannot open %s in the guest: %s", path, strerror(errno));
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		give_up("no memory for %s in the guest", path);
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, data + have, (size_t)st.st_size - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	data[have] = 0;
	*size = have;
	return data;
}

/* There is room for a power of two, NULL included; it doubles when it is full. */
static void append(struct list *list, char *text)
{
	if (!(list->count & (list->count + 1))) {
		list->v = realloc(list->v, (2 * list->count + 2) * sizeof(*list->v));
		if (!list->v)
			give_up("no memory for the job in the guest");
	}
	list->v[list->count++] = text;
	list->v[list->count] = NULL;
}

static void take_setting(const char *key, char *value)
{
	if (!strcmp(key, "cwd"))
		job.cwd = value;
	else if (!strcmp(key, "files"))
		job.files = value;
	else if (!strcmp(key, "uid"))
		job.uid = (uid_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "gid"))
		job.gid = (gid_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "group"))
		append(&job.groups, value);
	else if (!strcmp(key, "stack"))
		job.stack = strtoul(value, NULL, 10);
	else if (!strcmp(key, "stdin"))
		job.input = value;
	else if (!strcmp(key, "stdout"))
		job.output = value;
	else if (!strcmp(key, "fixed"))
		job.fixed = true;
	else if (!strcmp(key, "signals"))
		job.signals = true;
	else if (!strcmp(key, "module"))
		append(&job.modules, value);
	else if (!strcmp(key, "parameters"))
		append(&job.parameters, value);
	else if (!strcmp(key, "arg"))
		append(&job.args, value);
	else if (!strcmp(key, "env"))
		append(&job.environment, value);
	else if (!strcmp(key, "out"))
		append(&job.out, value);
}

/* The job: strings "key=value", each ended by a NUL. */
static void read_job(void)
{
	size_t size;
	char *data = read_file("/job", &size);
	char *end = data + size;

	for (char *at = data; at < end; at += strlen(at) + 1) {
		char *value = strchr(at, '=');

		if (!value)
			continue;
		/* The separator becomes the key's end, so step over the value by hand. */
		*value++ = 0;
		take_setting(at, value);
		at = value;
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_module(const char *folder, const char *name, const char *parameters)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* ENOENT is the kernel's word for a symbol that nothing has yet. */
	if (fd < 0 || syscall(SYS_finit_module, fd, parameters, 0))
		give_up("cannot load %s in the guest: %s", name,
			fd >= 0 && errno == ENOENT ? "a module that it needs is not loaded"
						   : strerror(errno));
	close(fd);
}

/* Those of the initramfs are named so that their order is the order of need. */
static void load_own_modules(void)
{
	struct dirent **names;
	int count = scandir("/modules", &names, NULL, by_name);

	for (int i = 0; i < count; i++)
		if (names[i]->d_name[0] != '.')
			load_module("/modules/", names[i]->d_name, "");
}

/* From this machine's files. KVM's device is for all, as udev has it. */
static void load_job_modules(void)
{
	for (size_t i = 0; i < job.modules.count; i++)
		load_module("/new", job.modules.v[i], job.parameters.v[i]);
	chmod("/dev/kvm", 0666);
}

static void set_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	write_all(fd, value, strlen(value));
	close(fd);
}

static void set_sysctls(void)
{
	/* Under emulation a PMI takes long: the kernel must not throttle for it. */
	set_sysctl("kernel/perf_event_max_sample_rate",
		   "100000"); /* not to be set after the next */
	set_sysctl("kernel/perf_cpu_time_max_percent", "0");
	set_sysctl("kernel/perf_event_paranoid", "-1");
	set_sysctl("kernel/perf_event_mlock_kb", "16384");
	set_sysctl("kernel/kptr_restrict", "0");
	set_sysctl("kernel/dmesg_restrict", "0");
	set_sysctl("kernel/hostname", "vpmu");
	/* What is swapped out comes back in larger pieces: each takes long. */
	set_sysctl("vm/page-cluster", "6");
}

/* A file each in their place: whoever opens one finds the same. */
static void fix_devices(void)
{
	static const char *const devices[] = { "random", "urandom" };
	char path[64], device[64];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/scratch/%s", devices[i]);
		snprintf(device, sizeof(device), "/new/dev/%s", devices[i]);
		if (!fixed_write(path, FIXED_SIZE) || mount(path, device, NULL, MS_BIND, NULL))
			give_up("no fixed %s in the guest: %s", devices[i], strerror(errno));
	}
}

/* Memory, and what does not fit goes where vpmu has made room for it. */
static void mount_scratch(void)
{
	char options[64] = "mode=0755,size=80%";

	if (!swapon("/dev/vda", 0))
		snprintf(options, sizeof(options), "mode=0755,nr_inodes=0,size=%llu", WIRE_ROOM);
	mount_or_give_up("scratch", "/scratch", "tmpfs", 0, options);
	mkdir("/scratch/upper", 0755);
	mkdir("/scratch/work", 0755);
}

/*
 * One of this machine's folders, with a layer on top. Files keep their inode numbers: xino would
 * mix the layer's into them. A folder of this machine's can be renamed: redirect_dir.
 */
static void mount_layer(const char *folder, const char *upper, const char *work)
{
	char at[64], options[256];

	snprintf(at, sizeof(at), "/new%s", folder);
	snprintf(options, sizeof(options),
		 "lowerdir=/lower%s,upperdir=%s,workdir=%s,xino=off,index=off,metacopy=off,"
		 "redirect_dir=on",
		 folder, upper, work);
	mount_or_give_up("root", at, "overlay", 0, options);
}

/* What is written there is found where all the rest is: send.c looks nowhere else. */
static void mount_shared_memory(void)
{
	struct stat st;

	if (stat("/lower/dev/shm", &st) || !S_ISDIR(st.st_mode)) {
		mount_or_give_up("shm", "/new/dev/shm", "tmpfs", 0, "mode=1777");
		return;
	}
	mkdir("/new/dev/shm", 0755);
	mkdir("/scratch/upper/dev", 0755);
	mkdir("/scratch/upper/dev/shm", 01777);
	mkdir("/scratch/work-shm", 0755);
	mount_layer("/dev/shm", "/scratch/upper/dev/shm", "/scratch/work-shm");
}

/* 127.0.0.1 and ::1 come with it. */
static void start_loopback(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		ioctl(fd, SIOCSIFFLAGS, &loopback);
	close(fd);
}

static void mount_root(void)
{
	static const char options_9p[] = "trans=virtio,version=9p2000.L,msize=262144,cache=loose";

	mount_or_give_up("root", "/lower", job.files, MS_RDONLY,
			 strcmp(job.files, "9p") ? NULL : options_9p);
	mount_scratch();
	mount_layer("", "/scratch/upper", "/scratch/work");
	mount_or_give_up("proc", "/new/proc", "proc", 0, NULL);
	mount_or_give_up("sys", "/new/sys", "sysfs", 0, NULL);
	mount_or_give_up("dev", "/new/dev", "devtmpfs", 0, NULL);
	mount("debug", "/new/sys/kernel/debug", "debugfs", 0, "mode=0755");
	mount("trace", "/new/sys/kernel/tracing", "tracefs", 0, "mode=0755");
	mount_or_give_up("pts", "/new/dev/pts", "devpts", 0, "ptmxmode=0666");
	mount_shared_memory();
	if (job.fixed)
		fix_devices();
	symlink("/proc/self/fd", "/new/dev/fd");
	symlink("/proc/self/fd/0", "/new/dev/stdin");
	symlink("/proc/self/fd/1", "/new/dev/stdout");
	symlink("/proc/self/fd/2", "/new/dev/stderr");
}

static void read_files_ahead(void)
{
	size_t size;
	char *texts;

	if (access("/ahead", F_OK))
		return;
	texts = read_file("/ahead", &size);
	ahead_read(texts, size, "/lower");
	free(texts);
}

static void enter_root(void)
{
	if (chroot("/new") || chdir("/"))
		give_up("cannot enter the guest's root: %s", strerror(errno));
	if (chdir(job.cwd))
		give_up("%s: %s", job.cwd, strerror(errno));
}

static bool take_identity(void)
{
	gid_t *groups = calloc(job.groups.count + 1, sizeof(*groups));

	if (!groups)
		return false;
	for (size_t i = 0; i < job.groups.count; i++)
		groups[i] = (gid_t)strtoul(job.groups.v[i], NULL, 10);
	return !setgroups(job.groups.count, groups) && !setgid(job.gid) && !setuid(job.uid);
}

static bool set_stack(void)
{
	struct rlimit limit = { .rlim_cur = job.stack, .rlim_max = RLIM_INFINITY };

	return !job.stack || !setrlimit(RLIMIT_STACK, &limit);
}

__attribute__((noreturn)) static void run_job(const int in[2], const int out[2], const int err[2])
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	enter_root();
	if (!set_stack() || !take_identity())
		give_up("cannot take the user's identity in the guest: %s", strerror(errno));
	execve(job.args.v[0], job.args.v, job.environment.v);
	give_up("%s: %s", job.args.v[0], strerror(errno));
}

/* A fork of the job. */
static pid_t fork_job(void)
{
	if (job.signals)
		exits_record();
	return fork();
}

/* The job's wait status, or that of the command under it. */
static int job_status(pid_t pid, int status)
{
	int by_signal = job.signals && !status ? exits_by_signal(pid) : 0;

	return by_signal ? by_signal : status;
}

/* End as the job did. */
__attribute__((noreturn)) static void end_as(int status)
{
	const struct rlimit none = { 0, 0 };

	if (WIFSIGNALED(status)) {
		setrlimit(RLIMIT_CORE, &none);
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

/* Of a process that stays: a pipe has ended when nobody holds its other end. */
static void close_job_ends(const int in[2], const int out[2], const int err[2])
{
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
		close(err[i]);
	}
}

/* The first process of the job's own numbering: what the kernel starts takes none of its numbers.
 */
__attribute__((noreturn)) static void run_numbered_job(const int in[2], const int out[2],
						       const int err[2], int result)
{
	pid_t child, ended;
	int status;

	mount_or_give_up("proc", "/new/proc", "proc", 0, NULL);
	child = fork_job();
	if (!child) {
		if (!fixed_enter())
			give_up("no filter in the guest: %s", strerror(errno));
		run_job(in, out, err);
	}
	close_job_ends(in, out, err);
	do
		ended = wait(&status);
	while (ended > 0 && ended != child);
	status = job_status(child, status);
	if (ended != child || write(result, &status, sizeof(status)) != sizeof(status))
		give_up("the job is lost in the guest");
	_exit(0);
}

/* The job with what is fixed for it, and the process that serves that. */
__attribute__((noreturn)) static void run_fixed_job(const int in[2], const int out[2],
						    const int err[2])
{
	int gate[2], result[2], status;
	char byte;
	pid_t child;

	if (pipe2(gate, O_CLOEXEC) || pipe2(result, O_CLOEXEC) || unshare(CLONE_NEWPID))
		give_up("cannot fix anything in the guest: %s", strerror(errno));
	child = fork();
	if (!child) {
		if (read(gate[0], &byte, 1) != 1)
			give_up("nothing is fixed in the guest");
		run_numbered_job(in, out, err, result[1]);
	}
	close_job_ends(in, out, err);
	close(result[1]);
	if (child < 0 || !fixed_serve(child, gate[1], &status))
		give_up("cannot trace in the guest: %s", strerror(errno));
	if (read(result[0], &status, sizeof(status)) != sizeof(status))
		give_up("the job is lost in the guest");
	end_as(status);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Standard input from the host, one frame at a time; its pipe may be full. */
static void pump_input(int *to, char *data, size_t *have)
{
	if (!*have) {
		struct wire_header header;

		port_read(&header, sizeof(header));
		port_read(data, header.size);
		if (!header.size)
			close_fd(to);
		*have = header.size;
	} else if (*to >= 0) {
		ssize_t n = write(*to, data, *have);

		if (n < 0 && errno != EAGAIN)
			close_fd(to);
		if (n > 0) {
			memmove(data, data + n, *have - (size_t)n);
			*have -= (size_t)n;
		}
	}
	if (*to < 0)
		*have = 0;
}

/* Returns false at the stream's end. */
static bool pump_output(const struct stream *stream)
{
	char data[WIRE_MAX];
	ssize_t n = read(stream->fd, data, sizeof(data));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n == 0)
		return false;
	port_send(stream->type, data, (size_t)n);
	return true;
}

static int child_pipe[2]; /* SIGCHLD's word to the pump */

static void on_child(int signal_number)
{
	int kept = errno;

	(void)signal_number;
	if (write(child_pipe[1], "", 1) < 0)
		errno = kept;
	errno = kept;
}

/* Orphans of the job's are ours, too. Says whether the job itself has ended. */
static bool reap(pid_t child, int *status)
{
	char bytes[64];
	bool ended = false;
	pid_t pid;
	int how;

	while (read(child_pipe[0], bytes, sizeof(bytes)) > 0)
		;
	while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
		if (pid != child)
			continue;
		*status = how;
		ended = true;
	}
	return ended;
}

/* Whatever a dead job's descendants have not written yet is lost; what is in the pipes is not. */
static void drain(const struct stream *stream)
{
	fcntl(stream->fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd poll_fd = { .fd = stream->fd, .events = POLLIN };

		if (poll(&poll_fd, 1, 0) <= 0 || !pump_output(stream))
			return;
	}
}

/* Returns the job's wait status. */
static int pump(pid_t child, int in, struct stream streams[2])
{
	char data[WIRE_MAX];
	size_t have = 0;
	int status;

	fcntl(in, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = streams[0].fd, .events = POLLIN },
			{ .fd = streams[1].fd, .events = POLLIN },
			{ .fd = have ? in : port_fd(), .events = have ? POLLOUT : POLLIN },
			{ .fd = child_pipe[0], .events = POLLIN },
		};

		if (poll(fds, 4, -1) < 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (fds[i].revents && !pump_output(&streams[i]))
				close_fd(&streams[i].fd);
		if (fds[2].revents)
			pump_input(&in, data, &have);
		if (fds[3].revents && reap(child, &status))
			return status;
	}
}

/* pair[0] is the end to read from, pair[1] the end to write to. */
static bool connect_pair(int pair[2], const char *kind)
{
	if (!strcmp(kind, WIRE_PIPE))
		return !pipe2(pair, O_CLOEXEC);
	return !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int run(void)
{
	int in[2], out[2], err[2];
	struct stream streams[2];
	pid_t child;
	int status;

	if (!connect_pair(in, job.input) || !connect_pair(out, job.output) ||
	    !connect_pair(err, WIRE_PIPE) || pipe2(child_pipe, O_CLOEXEC | O_NONBLOCK))
		give_up("no pipes in the guest");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, on_child);
	child = job.fixed ? fork() : fork_job();
	if (child < 0)
		give_up("cannot fork in the guest");
	if (!child && job.fixed)
		run_fixed_job(in, out, err);
	if (!child)
		run_job(in, out, err);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	streams[0] = (struct stream){ .fd = out[0], .type = WIRE_STDOUT };
	streams[1] = (struct stream){ .fd = err[0], .type = WIRE_STDERR };
	status = pump(child, in[1], streams);
	if (!job.fixed)
		status = job_status(child, status);
	for (int i = 0; i < 2; i++)
		if (streams[i].fd >= 0)
			drain(&streams[i]);
	return status;
}

int main(void)
{
	int status;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	umask(0);
	read_job();
	load_own_modules();
	port_open();
	set_sysctls();
	start_loopback();
	mount_root();
	load_job_modules();
	read_files_ahead();
	umask(022);
	status = run();
	kill(-1, SIGKILL);
	for (size_t i = 0; i < job.out.count; i++)
		send_written((uint32_t)i, job.out.v[i]);
	send_status(status);
	sleep_for_ever();
}
