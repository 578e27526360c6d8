/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See run.h.
 */
#define _GNU_SOURCE
#include "run.h"

#include "bench/lib/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t stopped;
static struct sigaction before[SIGNALS];

void words_add(struct words *words, const char *format, ...)
{
	va_list args;
	char *word;

	va_start(args, format);
	if (vasprintf(&word, format, args) < 0)
		abort();
	va_end(args);
	words->v = alloc_resize(words->v, words->count + 2, sizeof(*words->v));
	words->v[words->count++] = word;
	words->v[words->count] = NULL;
}

void words_add_all(struct words *words, char *const *more)
{
	for (; *more; more++)
		words_add(words, "%s", *more);
}

void words_free(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->v[i]);
	free(words->v);
	*words = (struct words){ NULL, 0 };
}

static void on_signal(int number)
{
	stopped = number;
}

/* Without SA_RESTART: whoever waits is to notice. */
void run_begin(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	stopped = 0;
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &action, &before[i]);
}

void run_end(void)
{
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
	if (stopped)
		raise(stopped);
}

bool run_stopped(void)
{
	return stopped;
}

/* What the terminal sends is for the benchmark alone: it ends the others in order. */
static _Noreturn void become(char *const *argv, int in, int out, int errors, pid_t parent)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	for (size_t i = 0; i < SIGNALS; i++)
		signal(signals[i], SIG_DFL);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(errors, STDERR_FILENO);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

const char *process_start(struct process *process, char *const *argv)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int errors = memfd_create("stderr", MFD_CLOEXEC);
	pid_t parent = getpid();

	*process = (struct process){ .pid = 0 };
	if (errors < 0 || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return "no pipes are left";
	process->pid = fork();
	if (!process->pid)
		become(argv, in[0], out[1], errors, parent);
	close(in[0]);
	close(out[1]);
	process->to = in[1];
	process->from = out[0];
	process->errors = fdopen(errors, "r");
	return process->pid < 0 ? "no process can be started" : NULL;
}

bool process_say(struct process *process, const char *format, ...)
{
	void (*pipe_before)(int) = signal(SIGPIPE, SIG_IGN);
	va_list args;
	int written;

	va_start(args, format);
	written = vdprintf(process->to, format, args);
	va_end(args);
	signal(SIGPIPE, pipe_before);
	return written >= 0;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A whole line of what has been read; a serial line's ends with a carriage return, too. */
static const char *take_line(struct process *process)
{
	char *end;

	process->used -= process->given;
	memmove(process->text, process->text + process->given, process->used);
	process->given = 0;
	end = memchr(process->text, '\n', process->used);
	if (!end)
		return NULL;
	process->given = (size_t)(end - process->text) + 1;
	*end = '\0';
	if (end > process->text && end[-1] == '\r')
		end[-1] = '\0';
	return process->text;
}

const char *process_line(struct process *process, double seconds)
{
	double end = now() + seconds;
	const char *line;

	while (!(line = take_line(process))) {
		struct pollfd wait = { .fd = process->from, .events = POLLIN };
		double left = end - now();
		ssize_t length;

		if (stopped || left <= 0 || process->used == sizeof(process->text))
			return NULL;
		if (poll(&wait, 1, (int)(left * 1000) + 1) <= 0)
			continue;
		length = read(process->from, process->text + process->used,
			      sizeof(process->text) - process->used);
		if (length <= 0)
			return NULL;
		process->used += (size_t)length;
	}
	return line;
}

/* It ends in order, if it does so within some seconds. */
int process_end(struct process *process)
{
	const struct timespec tick = { .tv_nsec = 2000000 };
	int status = 0;

	if (process->pid <= 0)
		return -1;
	close(process->to);
	for (int i = 0; waitpid(process->pid, &status, WNOHANG) == 0; i++) {
		if (i == 50)
			kill(process->pid, SIGTERM);
		if (i == 5000)
			kill(process->pid, SIGKILL);
		nanosleep(&tick, NULL);
	}
	process->pid = 0;
	close(process->from);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *process_complaint(struct process *process)
{
	char line[512], last[512] = "it says nothing";

	if (process->errors)
		rewind(process->errors);
	while (process->errors && fgets(line, sizeof(line), process->errors)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] && !strstr(line, "TCG doesn't support"))
			memcpy(last, line, sizeof(line));
	}
	return alloc_text(last);
}

void process_free(struct process *process)
{
	process_end(process);
	if (process->errors)
		fclose(process->errors);
	process->errors = NULL;
}
