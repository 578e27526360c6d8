/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See process.h.
 */
#define _GNU_SOURCE
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_SECONDS 10
#define OUTPUT_MAX   65536

static bool set_stream(int fd, int stream)
{
	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fd == stream || (fd >= 0 && dup2(fd, stream) == stream);
}

/* In the child. Returns only if the program cannot be started; errno says why. */
static void become(const struct process_start *start, pid_t parent)
{
	if (start->own_group)
		setpgid(0, 0);
	if (start->death_signal)
		prctl(PR_SET_PDEATHSIG, start->death_signal);
	/* It may have died before it was asked for its signal. */
	if (start->death_signal && getppid() != parent)
		_exit(1);
	if (!set_stream(start->in, STDIN_FILENO) || !set_stream(start->out, STDOUT_FILENO) ||
	    !set_stream(start->err, STDERR_FILENO))
		return;
	if (start->mask)
		sigprocmask(SIG_SETMASK, start->mask, NULL);
	execvp(start->argv[0], start->argv);
}

/* The errno of a child that could not become what it should; 0: it could. */
static int read_failure(int fd)
{
	int error = 0;
	ssize_t n;

	do
		n = read(fd, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(error) ? error : 0;
}

pid_t process_start(const struct process_start *start)
{
	pid_t parent = getpid();
	int failure[2]; /* closed by a successful exec */
	int error;
	pid_t pid;

	if (pipe2(failure, O_CLOEXEC))
		return -1;
	pid = fork();
	error = pid < 0 ? errno : 0;
	if (!pid) {
		become(start, parent);
		error = errno;
		_exit(write(failure[1], &error, sizeof(error)) < 0 ? 2 : 1);
	}
	close(failure[1]);
	if (pid > 0)
		error = read_failure(failure[0]);
	close(failure[0]);
	if (!error)
		return pid;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	errno = error;
	return -1;
}

bool process_wait(pid_t pid, double seconds, int *status)
{
	gint64 end = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);

	while (waitpid(pid, status, WNOHANG) == 0) {
		if (g_get_monotonic_time() >= end)
			return false;
		g_usleep(2000);
	}
	return true;
}

int process_stop(pid_t pid)
{
	int status = 0;

	kill(pid, SIGTERM);
	if (process_wait(pid, STOP_SECONDS, &status))
		return status;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

int process_exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Read until the other side closes, or until then; true if it closed. */
static bool read_until(int fd, GString *output, gint64 end)
{
	char data[4096];

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		gint64 left = end - g_get_monotonic_time();
		ssize_t got;

		if (left <= 0 || poll(&poll_fd, 1, (int)(left / 1000) + 1) <= 0)
			return false;
		got = read(fd, data, sizeof(data));
		if (got <= 0)
			return !got;
		/* What is beyond is read all the same: a full pipe would stop the program. */
		if (output->len < OUTPUT_MAX)
			g_string_append_len(output, data, got);
	}
}

char *process_output(char *const *argv, unsigned int seconds, int *status)
{
	struct process_start start = { .argv = argv, .in = -1 };
	GString *output = g_string_new(NULL);
	gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
	int how, ends[2];
	pid_t pid;

	*status = -1;
	if (pipe2(ends, O_CLOEXEC))
		return g_string_free(output, FALSE);
	start.out = start.err = ends[1];
	pid = process_start(&start);
	close(ends[1]);
	if (pid > 0) {
		if (!read_until(ends[0], output, end))
			kill(pid, SIGKILL);
		if (waitpid(pid, &how, 0) == pid && WIFEXITED(how))
			*status = WEXITSTATUS(how);
	}
	close(ends[0]);
	g_string_truncate(output, OUTPUT_MAX);
	return g_string_free(output, FALSE);
}
