/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See util.h.
 */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_MAX 65536

static void complain(const char *format, va_list list)
{
	fflush(stdout);
	fputs("vpmu: ", stderr);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
}

_Noreturn void fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(format, list);
	va_end(list);
	exit(EXIT_REFUSED);
}

void warn(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(format, list);
	va_end(list);
}

static void *must(void *memory)
{
	if (!memory)
		fail("out of memory");
	return memory;
}

char *text(const char *format, ...)
{
	va_list list;
	char *result;

	va_start(list, format);
	if (vasprintf(&result, format, list) < 0)
		fail("out of memory");
	va_end(list);
	return result;
}

void args_add(struct args *args, const char *word)
{
	args->v = must(realloc(args->v, (args->count + 2) * sizeof(*args->v)));
	args->v[args->count++] = must(strdup(word));
	args->v[args->count] = NULL;
}

void args_add_all(struct args *args, char *const *words)
{
	for (; *words; words++)
		args_add(args, *words);
}

bool parse_number(const char *word, unsigned long max, unsigned long *value)
{
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	errno = 0;
	*value = strtoul(word, &end, 10);
	return !*end && !errno && *value <= max;
}

bool file_exists(const char *path)
{
	return !access(path, F_OK);
}

bool is_program(const char *path)
{
	struct stat info;

	return !stat(path, &info) && S_ISREG(info.st_mode) && !access(path, X_OK);
}

char *find_on_path(const char *name)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t length = strcspn(path, ":");
		char *candidate = text("%.*s/%s", (int)length, path, name);

		if (length && is_program(candidate))
			return candidate;
		free(candidate);
		path += length + (path[length] == ':');
	}
	return NULL;
}

const char *option_value(char **argv, int *i, const char *name)
{
	size_t length = strlen(name);
	const char *value;

	if (strncmp(argv[*i], name, length) != 0)
		return NULL;
	if (argv[*i][length] == '=')
		value = argv[*i] + length + 1;
	else if (!argv[*i][length])
		value = argv[++*i];
	else
		return NULL;
	if (!value || !*value)
		fail("%s needs a value", name);
	return value;
}

char *double_commas(const char *path)
{
	char *doubled = text("%s%s", path, path);
	char *to = doubled;

	for (; *path; path++) {
		*to++ = *path;
		if (*path == ',')
			*to++ = ',';
	}
	*to = '\0';
	return doubled;
}

static _Noreturn void child(char *const *argv, int output)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Read until the other side closes, or the deadline; true if it closed. */
static bool read_until(int fd, char *buffer, long deadline)
{
	char rest[4096];
	size_t filled = 0;

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		long left = deadline - now_ms();
		bool full = filled == OUTPUT_MAX - 1;
		ssize_t got;

		if (left <= 0 || poll(&poll_fd, 1, (int)left) <= 0)
			return false;
		got = full ? read(fd, rest, sizeof(rest))
			   : read(fd, buffer + filled, OUTPUT_MAX - 1 - filled);
		if (got <= 0)
			return !got;
		if (!full)
			filled += (size_t)got;
		buffer[filled] = '\0';
	}
}

char *run_and_read(char *const *argv, unsigned int seconds, int *status)
{
	char *output = must(calloc(1, OUTPUT_MAX));
	int ends[2];
	int how;
	pid_t pid;

	*status = -1;
	if (pipe2(ends, O_CLOEXEC))
		return output;
	pid = fork();
	if (!pid)
		child(argv, ends[1]);
	close(ends[1]);
	if (pid > 0) {
		if (!read_until(ends[0], output, now_ms() + (long)seconds * 1000))
			kill(pid, SIGKILL);
		if (waitpid(pid, &how, 0) == pid && WIFEXITED(how) && WEXITSTATUS(how) != 127)
			*status = WEXITSTATUS(how);
	}
	close(ends[0]);
	return output;
}
