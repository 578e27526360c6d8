/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See launch.h.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "monitor.h"
#include "phases.h"
#include "process/process.h"
#include "room.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static pid_t qemu_process;
static char *key; /* of its snapshot; NULL: it has none */
static int memory = -1, room = -1, monitor = -1;
static uint64_t memory_size;
static char *state; /* where QEMU saves it */
static const sigset_t *mask;

/*
 * What a trace or the console is to show begins with the kernel. A guest of a guest is another
 * machine, without what is saved of a PMU. A script may start another QEMU each time.
 */
static bool may_be_kept(const struct guest_options *options, const struct qemu *qemu,
			const struct guest_parts *parts)
{
	return !options->no_snapshot && !is_script(qemu->path) && !guest_has_kvm(options) &&
	       !options->console && !options->pmu.trace && parts->room >= 0 && parts->memory >= 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int make_memory(const struct guest_options *options, bool serves_files)
{
	int fd = memfd_create("vpmu-memory", 0);

	memory_size = guest_memory(options);
	if (fd >= 0 && !ftruncate(fd, (off_t)memory_size))
		return fd;
	/* What serves the files has to have it; a limit of files' sizes may be lower. */
	if (serves_files)
		fail("no memory for the guest: %s", strerror(errno));
	close_one(&fd);
	return -1;
}

/* One end of it is QEMU's. */
static int connect_qemu(int *end)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		fail("the guest's streams: %s", strerror(errno));
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	*end = pair[1];
	return pair[0];
}

static void make_parts(struct guest_parts *parts, const struct guest_options *options,
		       const struct scratch *scratch)
{
	bool kvm = guest_has_kvm(options);

	/* A guest of a guest pays for each device. */
	parts->room = kvm ? -1 : room_open(scratch->folder);
	parts->table = kvm ? -1 : pmu_state_table();
	parts->memory = kvm && parts->files < 0 ? -1 : make_memory(options, parts->files >= 0);
}

/* QEMU has them. */
static void close_parts(const struct guest_parts *parts)
{
	int fds[] = { parts->files, parts->table, parts->port, parts->monitor, parts->incoming };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close_one(&fds[i]);
}

/* The descriptor of a snapshot to be restored, or -1; then it may be the one to be made. */
static int find_snapshot(const struct guest_options *options, const struct qemu *qemu,
			 struct guest_parts *parts)
{
	struct args files = job_initramfs_files(options);
	int snapshot;

	key = guest_key(options, qemu, &files);
	snapshot = snapshot_open(key, guest_memory(options));
	if (snapshot < 0 && snapshot_begin(key))
		monitor = connect_qemu(&parts->monitor);
	args_free(&files);
	return snapshot;
}

/* Its end that is written to. */
static int make_pipe(int *end)
{
	int ends[2];

	if (pipe(ends))
		fail("no pipe for the guest: %s", strerror(errno));
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	*end = ends[0];
	return ends[1];
}

static void stop_qemu(void)
{
	if (qemu_process > 0)
		process_stop(qemu_process);
	qemu_process = 0;
}

static bool start(const struct guest_options *options, const struct qemu *qemu,
		  const struct scratch *scratch, struct guest_parts *parts, int snapshot)
{
	int pipe = snapshot < 0 ? -1 : make_pipe(&parts->incoming);
	bool good = true;

	if (snapshot < 0)
		job_write_initramfs(options, scratch->initramfs);
	qemu_process = guest_start(options, qemu, scratch, parts, mask);
	close_parts(parts);
	phases_end("preparations");
	if (snapshot < 0)
		return true;
	good = snapshot_restore(snapshot, memory, pipe);
	close(snapshot);
	phases_end("QEMU starts, and takes the snapshot");
	return good;
}

struct launched launch(struct guest_options *options, const struct guest_job *job,
		       const struct qemu *qemu, const struct scratch *scratch,
		       const sigset_t *before)
{
	struct guest_parts parts = { .monitor = -1, .incoming = -1 };
	struct launched launched;
	int snapshot = -1;

	mask = before;
	state = text("%s/state", scratch->folder);
	if (!guest_has_kvm(options))
		pmu_check_files(&options->pmu);
	parts.files = files_start(options, job, before);
	make_parts(&parts, options, scratch);
	memory = parts.memory;
	room = parts.room;
	launched.streams = connect_qemu(&parts.port);
	if (may_be_kept(options, qemu, &parts))
		snapshot = find_snapshot(options, qemu, &parts);
	launched.restored = snapshot >= 0;
	if (!start(options, qemu, scratch, &parts, snapshot)) {
		launch_discard();
		launch_end();
		close(launched.streams);
		return launch(options, job, qemu, scratch, before);
	}
	launched.qemu = qemu_process;
	if (launched.restored)
		phases_guest_restored();
	return launched;
}

void launch_save(void)
{
	bool kept;

	if (monitor < 0)
		return;
	kept = monitor_save(monitor, state, mask) && !room_is_used(room) &&
	       snapshot_finish(memory, memory_size, state);
	unlink(state);
	snapshot_remove_new();
	/* It stands still, however far saving has come. */
	monitor_continue(monitor, mask);
	close_one(&monitor);
	phases_end(kept ? "it is kept as a snapshot" : "it could not be kept as a snapshot");
}

void launch_discard(void)
{
	warn("the guest cannot be restored from its snapshot: it boots");
	snapshot_remove(key);
}

void launch_end(void)
{
	stop_qemu();
	files_stop();
	snapshot_remove_new();
	close_one(&monitor);
	close_one(&memory);
	close_one(&room);
}
