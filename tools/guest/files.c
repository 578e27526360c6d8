/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See files.h.
 */
#define _GNU_SOURCE
#include "files.h"
#include "ahead.h"
#include "guest.h"
#include "process/process.h"
#include "tools/files/seen.h"
#include "tools/files/server.h"
#include "tools/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SERVER_FD (STDERR_FILENO + 1) /* of the process: its connection */
#define SEEN_FD   (STDERR_FILENO + 2) /* and where it writes what the guest has asked for */

static pid_t server;
static int seen = -1; /* a file in memory */
static struct ahead ahead;

/* A kernel that has virtio built in has virtiofs built in as well. */
static bool kernel_has_virtiofs(const char *version)
{
	const char *modules = text("%s/%s/modules/kernel", paths_get()->kernel, version);

	return file_exists(text("%s/fs/fuse/virtiofs.ko", modules)) ||
	       !file_exists(text("%s/drivers/virtio/virtio.ko", modules));
}

/* Its connection's end is its own. */
static void on_terminate(int number)
{
	(void)number;
	shutdown(SERVER_FD, SHUT_RDWR);
}

/* Nothing of vpmu's but its memory: what the guest asks for is answered here. */
__attribute__((noreturn)) static void become_server(int connection, pid_t parent,
						    const sigset_t *before)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		signal(caught[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, before, NULL);
	signal(SIGTERM, on_terminate);
	/* Out of the way first. */
	connection = fcntl(connection, F_DUPFD, SEEN_FD + 1);
	seen = fcntl(seen, F_DUPFD, SEEN_FD + 1);
	for (int fd = 0; fd < SERVER_FD; fd++)
		dup2(null, fd);
	if (getppid() != parent || dup2(connection, SERVER_FD) != SERVER_FD ||
	    (seen >= 0 && dup2(seen, SEEN_FD) != SEEN_FD) ||
	    syscall(SYS_close_range, seen < 0 ? SEEN_FD : SEEN_FD + 1, ~0u, 0) ||
	    !files_give_up_writing())
		_exit(1);
	files_serve(SERVER_FD);
	if (seen >= 0)
		seen_write(SEEN_FD);
	_exit(0);
}

/* NULL, or why it cannot be. */
static const char *start(const struct guest_options *options, const sigset_t *before,
			 int *connection)
{
	pid_t parent = getpid();
	int pair[2];

	if (!kernel_has_virtiofs(options->kernel))
		return text("kernel %s has no virtiofs (`make setup' brings it)", options->kernel);
	if (ahead.path)
		seen = memfd_create("seen", MFD_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return strerror(errno);
	server = fork();
	if (!server)
		become_server(pair[1], parent, before);
	close(pair[1]);
	*connection = pair[0];
	return server < 0 ? strerror(errno) : NULL;
}

int files_start(struct guest_options *options, const struct guest_job *job, const sigset_t *before)
{
	bool any = !strcmp(options->files, FILES_AUTO);
	const char *error = NULL;
	int connection = -1;

	/* What is the same each time is so from the first time on. */
	if (!options->deterministic)
		ahead = ahead_load(&job->words);
	/* On a microvm, in a guest of a guest, 9p it is. */
	if (!strcmp(options->files, FILES_9P) || (any && guest_has_kvm(options)))
		error = "";
	else
		error = start(options, before, &connection);
	if (error && !strcmp(options->files, FILES_VIRTIOFS))
		fail("--files virtiofs: %s", error);
	options->files = error ? FILES_9P : FILES_VIRTIOFS;
	return error ? -1 : connection;
}

const char *files_ahead(size_t *size)
{
	*size = server > 0 ? ahead.size : 0;
	return server > 0 ? ahead.texts : NULL;
}

void files_stop(void)
{
	if (server > 0 && !process_stop(server) && seen >= 0)
		ahead_keep(&ahead, seen);
	server = 0;
}
