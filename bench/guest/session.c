/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See session.h.
 */
#define _GNU_SOURCE
#include "session.h"

#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t interrupted_by;
static struct sigaction before[SIGNALS];

static void on_signal(int number)
{
	interrupted_by = number;
}

/* Without SA_RESTART, so that a signal ends the wait for a line. */
void interrupt_catch(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	interrupted_by = 0;
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &action, &before[i]);
}

void interrupt_release(void)
{
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
	if (interrupted_by)
		raise(interrupted_by);
}

bool interrupted(void)
{
	return interrupted_by;
}

const char *session_start(struct session *session, char *const *argv)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int errors = memfd_create("stderr", MFD_CLOEXEC);
	struct process_start start = {
		.argv = argv,
		/* What the terminal sends is for the benchmark alone, which ends the program. */
		.own_group = true,
		.death_signal = SIGTERM,
	};
	pid_t pid;

	*session = (struct session){ .pid = 0 };
	if (errors < 0 || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return "no pipes are left";
	start.in = in[0];
	start.out = out[1];
	start.err = errors;
	pid = process_start(&start);
	close(in[0]);
	close(out[1]);
	session->to = in[1];
	session->from = out[0];
	session->errors = fdopen(errors, "r");
	if (pid < 0)
		return g_strdup_printf("%s: %s", argv[0], strerror(errno));
	session->pid = pid;
	return NULL;
}

bool session_say(struct session *session, const char *format, ...)
{
	void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
	va_list args;
	int written;

	va_start(args, format);
	written = vdprintf(session->to, format, args);
	va_end(args);
	signal(SIGPIPE, pipe_before);
	return written >= 0;
}

/* A whole line of what has been read; a serial line's ends with a carriage return, too. */
static const char *take_line(struct session *session)
{
	char *end;

	session->used -= session->returned;
	memmove(session->text, session->text + session->returned, session->used);
	session->returned = 0;
	end = memchr(session->text, '\n', session->used);
	if (!end)
		return NULL;
	session->returned = (size_t)(end - session->text) + 1;
	*end = '\0';
	if (end > session->text && end[-1] == '\r')
		end[-1] = '\0';
	return session->text;
}

const char *session_line(struct session *session, double seconds)
{
	gint64 end = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
	const char *line;

	while (!(line = take_line(session))) {
		struct pollfd wait = { .fd = session->from, .events = POLLIN };
		gint64 left = end - g_get_monotonic_time();
		ssize_t length;

		if (interrupted_by || left <= 0 || session->used == sizeof(session->text))
			return NULL;
		if (poll(&wait, 1, (int)(left / 1000) + 1) <= 0)
			continue;
		length = read(session->from, session->text + session->used,
			      sizeof(session->text) - session->used);
		if (length <= 0)
			return NULL;
		session->used += (size_t)length;
	}
	return line;
}

/* A program that reads its stdin to the end then ends by itself. */
int session_end(struct session *session)
{
	int status;

	if (session->pid <= 0)
		return -1;
	close(session->to);
	if (!process_wait(session->pid, 0.1, &status))
		status = process_stop(session->pid);
	session->pid = 0;
	close(session->from);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *session_complaint(struct session *session)
{
	char line[512], last[512] = "it says nothing";

	if (session->errors)
		rewind(session->errors);
	while (session->errors && fgets(line, sizeof(line), session->errors)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] && !strstr(line, "TCG doesn't support"))
			memcpy(last, line, sizeof(line));
	}
	return g_strdup(last);
}

void session_free(struct session *session)
{
	session_end(session);
	if (session->errors)
		fclose(session->errors);
	session->errors = NULL;
}
