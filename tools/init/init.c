/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The first and only program of vpmu perf's throw-away guest: it mounts the
 * host's files with a scratch layer on top, runs the job that the host sends,
 * and pumps its streams through one virtio port. It knows nothing of
 * PMUs, and it never returns: the host ends the guest.
 */
#define _GNU_SOURCE
#include "ahead.h"
#include "exits.h"
#include "fixed.h"
#include "port.h"
#include "send.h"
#include "signals.h"
#include "terminal.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/random.h>
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
#include <time.h>
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
	struct list limits; /* RESOURCE:SOFT:HARD, in decimal */
	mode_t umask;
	const char *input; /* what the streams are: perf tells pipes from others */
	const char *output;
	const char *errors;
	const char *now;    /* SECONDS.NANOSECONDS: the host's time of day when it sent the job */
	const char *seed;   /* of random numbers */
	const char *window; /* ROWS:COLUMNS of the terminal */
	bool fixed;         /* the same random numbers each time */
	bool signals;       /* a signal that ends a child of the job's is the job's end, too */
	struct list out;    /* files and folders to bring out: absolute paths */
	struct list
		profiles; /* PROFILE:KALLSYMS:MAPS: which of out is one, and its companions are */
	struct list writable; /* folders of the machine's that are to be written in */
	bool regions;         /* the job tells perf what to count */
	const char *maps;     /* a folder of JIT maps that perf is to find; NULL: none */
};

/* One of the job's streams on its way to the port. */
struct stream {
	int fd;
	uint8_t type;
};

/* What is to be read ahead (ahead.h). */
static char *ahead;
static size_t ahead_size;

static struct job job = {
	.cwd = "/",
	.files = "9p",
	.umask = 022,
	.input = WIRE_SOCKET,
	.output = WIRE_SOCKET,
	.errors = WIRE_PIPE,
};

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

/* For --verbose. It goes with the next frame. */
static void end_phase(const char *name)
{
	struct wire_phase phase = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	phase.nanoseconds = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	snprintf(phase.name, sizeof(phase.name), "%s", name);
	port_put(WIRE_PHASE, &phase, sizeof(phase));
}

/* What the host sends until a frame of it is empty. */
static char *receive(size_t *size)
{
	struct wire_header header;
	char *data = NULL;

	*size = 0;
	for (;;) {
		port_read(&header, sizeof(header));
		data = realloc(data, *size + header.size + 1);
		if (!data)
			give_up("no memory for what is sent to the guest");
		port_read(data + *size, header.size);
		*size += header.size;
		data[*size] = 0;
		if (!header.size)
			return data;
	}
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

/* Before anything of the job is written: a file of this run is newer than those that it reads. */
static void set_clock(const char *now)
{
	struct timespec time = { .tv_sec = strtoll(now, NULL, 10) };
	const char *point = strchr(now, '.');

	if (point)
		time.tv_nsec = strtol(point + 1, NULL, 10);
	clock_settime(CLOCK_REALTIME, &time);
}

/*
 * A guest that starts from a snapshot has the random numbers of all others that do: it forgets
 * them. seed: hexadecimal.
 */
static void seed_random(const char *seed)
{
	struct {
		struct rand_pool_info info;
		unsigned char bytes[WIRE_SEED];
	} entropy = { .info = { .entropy_count = 8 * WIRE_SEED, .buf_size = WIRE_SEED } };
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	for (size_t i = 0; i < WIRE_SEED; i++)
		if (sscanf(seed + 2 * i, "%2hhx", &entropy.bytes[i]) != 1)
			give_up("no seed for the guest's random numbers");
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &entropy) || ioctl(fd, RNDRESEEDCRNG))
		give_up("the guest's random numbers: %s", strerror(errno));
	close(fd);
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
	else if (!strcmp(key, "now"))
		job.now = value;
	else if (!strcmp(key, "seed"))
		job.seed = value;
	else if (!strcmp(key, "limit"))
		append(&job.limits, value);
	else if (!strcmp(key, "umask"))
		job.umask = (mode_t)strtoul(value, NULL, 8);
	else if (!strcmp(key, "window"))
		job.window = value;
	else if (!strcmp(key, "stdin"))
		job.input = value;
	else if (!strcmp(key, "stdout"))
		job.output = value;
	else if (!strcmp(key, "stderr"))
		job.errors = value;
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
	else if (!strcmp(key, "profile"))
		append(&job.profiles, value);
	else if (!strcmp(key, "writable"))
		append(&job.writable, value);
	else if (!strcmp(key, "regions"))
		job.regions = true;
	else if (!strcmp(key, "maps"))
		job.maps = value;
}

/* The job: strings "key=value", each ended by a NUL. */
static void read_job(void)
{
	size_t size;
	char *data, *end;

	end_phase("the guest's init");
	port_send(WIRE_HELLO, "", 0);
	data = receive(&size);
	ahead = receive(&ahead_size);
	end_phase("job");
	end = data + size;

	for (char *at = data; at < end; at += strlen(at) + 1) {
		char *value = strchr(at, '=');

		if (!value)
			continue;
		/* The separator becomes the key's end, so step over the value by hand. */
		*value++ = 0;
		take_setting(at, value);
		at = value;
	}
	if (!job.fixed && job.now)
		set_clock(job.now);
	if (!job.fixed && job.seed)
		seed_random(job.seed);
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
static void mount_scratch(bool has_room)
{
	char options[64] = "mode=0755,size=80%";

	if (has_room)
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

static void mount_root(bool has_room)
{
	static const char options_9p[] = "trans=virtio,version=9p2000.L,msize=262144,cache=loose";

	mount_or_give_up("root", "/lower", job.files, MS_RDONLY,
			 strcmp(job.files, "9p") ? NULL : options_9p);
	mount_scratch(has_room);
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

/* As they are here, in place of what the scratch layer would have kept. */
static void mount_writable(void)
{
	char tag[32], at[PATH_MAX];

	for (size_t i = 0; i < job.writable.count; i++) {
		snprintf(tag, sizeof(tag), "writable%zu", i);
		snprintf(at, sizeof(at), "/new%s", job.writable.v[i]);
		mount_or_give_up(tag, at, "9p", 0,
				 "trans=virtio,version=9p2000.L,msize=262144,cache=mmap");
	}
}

static void make_control(void)
{
	if (mkfifo("/new" WIRE_CONTROL, 0666) || mkfifo("/new" WIRE_ANSWER, 0666))
		give_up("no named pipes in the guest: %s", strerror(errno));
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

/* The caller's, as far as this kernel lets them be so high. */
static void set_limits(void)
{
	for (size_t i = 0; i < job.limits.count; i++) {
		unsigned long long soft, hard;
		unsigned int resource;
		struct rlimit limit;

		if (sscanf(job.limits.v[i], "%u:%llu:%llu", &resource, &soft, &hard) != 3)
			continue;
		limit = (struct rlimit){ .rlim_cur = soft, .rlim_max = hard };
		setrlimit((__rlimit_resource_t)resource, &limit);
	}
}

static bool is_terminal(const char *kind)
{
	return !strcmp(kind, WIRE_TERMINAL);
}

__attribute__((noreturn)) static void run_job(const int in[2], const int out[2], const int err[2])
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (is_terminal(job.input) || is_terminal(job.output) || is_terminal(job.errors))
		terminal_control();
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	enter_root();
	umask(job.umask);
	set_limits();
	if (!take_identity())
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
	terminal_close_jobs();
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

/* What the job has still to take of its standard input. */
struct input {
	int fd; /* -1: it takes no more */
	bool terminal;
	char data[WIRE_MAX];
	size_t have;
};

/* A terminal does not end; its user's end of file is a character. */
static void end_input(struct input *input)
{
	static const char end_of_file = 'D' - '@';

	if (input->terminal && write(input->fd, &end_of_file, 1) == 1)
		return;
	close_fd(&input->fd);
}

/* The job gets what it would get here: SIGPIPE, or EPIPE. */
static void close_output(struct stream streams[2], uint8_t type)
{
	for (int i = 0; i < 2; i++)
		if (streams[i].type == type)
			close_fd(&streams[i].fd);
}

static void take_frame(struct input *input, struct stream streams[2])
{
	struct wire_header header;
	char data[WIRE_MAX];
	struct wire_window window;
	int32_t number;

	port_read(&header, sizeof(header));
	port_read(data, header.size);
	switch (header.type) {
	case WIRE_STDIN:
		memcpy(input->data, data, header.size);
		input->have = input->fd >= 0 ? header.size : 0;
		if (!header.size && input->fd >= 0)
			end_input(input);
		break;
	case WIRE_SIGNAL:
		memcpy(&number, data, sizeof(number));
		signal_job(number);
		break;
	case WIRE_WINDOW:
		memcpy(&window, data, sizeof(window));
		terminal_resize(&window);
		break;
	case WIRE_CLOSED:
		close_output(streams, (uint8_t)data[0]);
		break;
	}
}

/* Its pipe may be full. The host sends more when it has all. */
static void pass_input(struct input *input)
{
	ssize_t n = write(input->fd, input->data, input->have);

	if (n < 0 && errno != EAGAIN) {
		close_fd(&input->fd);
		input->have = 0;
	}
	if (n > 0) {
		memmove(input->data, input->data + n, input->have - (size_t)n);
		input->have -= (size_t)n;
	}
	if (!input->have && input->fd >= 0)
		port_send(WIRE_MORE, "", 0);
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
	static struct input input;
	int status;

	input = (struct input){ .fd = in, .terminal = is_terminal(job.input) };
	fcntl(in, F_SETFL, O_NONBLOCK);
	port_put(WIRE_STARTED, "", 0);
	port_send(WIRE_MORE, "", 0);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = streams[0].fd, .events = POLLIN },
			{ .fd = streams[1].fd, .events = POLLIN },
			{ .fd = port_fd(), .events = POLLIN },
			{ .fd = child_pipe[0], .events = POLLIN },
			{ .fd = input.have ? input.fd : -1, .events = POLLOUT },
		};

		if (poll(fds, 5, -1) < 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (fds[i].revents && !pump_output(&streams[i]))
				close_fd(&streams[i].fd);
		if (fds[2].revents)
			take_frame(&input, streams);
		if (fds[4].revents)
			pass_input(&input);
		if (fds[3].revents && reap(child, &status))
			return status;
	}
}

/* pair[0] is the end to read from, pair[1] the end to write to; job: the one that is the job's. */
static bool connect_pair(int pair[2], const char *kind, int job_end)
{
	if (!strcmp(kind, WIRE_PIPE))
		return !pipe2(pair, O_CLOEXEC);
	if (!is_terminal(kind))
		return !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	pair[job_end] = terminal_jobs();
	pair[!job_end] = terminal_ours();
	return pair[0] >= 0 && pair[1] >= 0;
}

static bool connect_streams(int in[2], int out[2], int err[2])
{
	bool shown = is_terminal(job.output) || is_terminal(job.errors);

	if ((shown || is_terminal(job.input)) && !terminal_open(job.uid, job.window))
		return false;
	if (!connect_pair(in, job.input, 0) || !connect_pair(out, job.output, 1) ||
	    !connect_pair(err, job.errors, 1))
		return false;
	/* What both show comes once. */
	if (is_terminal(job.output) && is_terminal(job.errors))
		close_fd(&err[0]);
	return true;
}

static int run(void)
{
	int in[2], out[2], err[2];
	struct stream streams[2];
	pid_t child;
	int status;

	if (!connect_streams(in, out, err) || pipe2(child_pipe, O_CLOEXEC | O_NONBLOCK))
		give_up("no pipes or terminal in the guest: %s", strerror(errno));
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
	terminal_close_jobs();
	streams[0] = (struct stream){ .fd = out[0], .type = WIRE_STDOUT };
	streams[1] = (struct stream){ .fd = err[0], .type = WIRE_STDERR };
	status = pump(child, in[1], streams);
	if (!job.fixed)
		status = job_status(child, status);
	for (int i = 0; i < 2; i++)
		if (streams[i].fd >= 0)
			drain(&streams[i]);
	port_send(WIRE_ENDED, "", 0);
	return status;
}

/* A profile that the job has written is of use with what was only here: symbols, JIT maps. */
static void send_companions(const bool *sent)
{
	unsigned int profile, kallsyms, maps;

	for (size_t i = 0; i < job.profiles.count; i++) {
		if (sscanf(job.profiles.v[i], "%u:%u:%u", &profile, &kallsyms, &maps) != 3 ||
		    profile >= job.out.count || !sent[profile])
			continue;
		if (maps < job.out.count)
			send_jit_maps(maps);
		if (kallsyms < job.out.count)
			send_special(kallsyms, "/proc/kallsyms");
	}
}

static void bring_out(void)
{
	bool *sent = calloc(job.out.count + 1, sizeof(*sent));

	if (!sent)
		give_up("no memory in the guest");
	for (size_t i = 0; i < job.out.count; i++)
		sent[i] = send_written((uint32_t)i, job.out.v[i]);
	send_companions(sent);
	port_flush();
}

int main(void)
{
	bool has_room;
	int status;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	umask(0);
	end_phase("the guest's kernel");
	load_own_modules();
	set_sysctls();
	start_loopback();
	has_room = !swapon("/dev/vda", 0);
	port_open();
	/* Snapshots are taken here. */
	read_job();
	mount_root(has_room);
	mount_writable();
	if (job.regions)
		make_control();
	end_phase("mounts");
	load_job_modules();
	ahead_read(ahead, ahead_size, "/lower");
	end_phase("reading ahead");
	umask(022);
	if (job.maps)
		place_jit_maps(job.maps);
	status = run();
	kill(-1, SIGKILL);
	sync(); /* what is written through a mapping, to the folders of the machine */
	bring_out();
	send_status(status);
	sleep_for_ever();
}
