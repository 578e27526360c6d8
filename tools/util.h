/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What all subcommands use: failing, texts, argument vectors. The command is
 * short-lived: what these allocate lives until it exits.
 */
#ifndef VPMU_TOOLS_UTIL_H
#define VPMU_TOOLS_UTIL_H

#include <stdbool.h>
#include <stddef.h>

/* The exit status of every refusal: bad usage, or something that is missing. */
#define EXIT_REFUSED 2

/* Print "vpmu: ...", one line, to stderr and exit with EXIT_REFUSED. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print "vpmu: ...", one line, to stderr. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A formatted text in memory of its own. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A NULL-terminated argument vector that grows. Starts as all zero. */
struct args {
	char **v;
	size_t count;
};

/* Append a copy of a word. */
void args_add(struct args *args, const char *word);
/* Append copies of all words of a NULL-terminated vector. */
void args_add_all(struct args *args, char *const *words);

/* "0" to "max" in decimal and nothing else; false if it is not. */
bool parse_number(const char *word, unsigned long max, unsigned long *value);

bool file_exists(const char *path);
/* A regular file that may be executed. */
bool is_program(const char *path);
/* The first program of that name on PATH; NULL if there is none. */
char *find_on_path(const char *name);

/*
 * If argv[*i] is the option name (as two words or with "="), its value, with
 * *i at its last word; NULL if it is another. Fails with one line if the value
 * is missing.
 */
const char *option_value(char **argv, int *i, const char *name);

/* A path as part of an option's value: QEMU splits those at single commas. */
char *double_commas(const char *path);

/*
 * Run a command with stdin from /dev/null and return what it writes to stdout
 * and stderr together (the first 64 KiB, NUL terminated), and its exit status,
 * or -1 if it could not be started, was killed or took more than seconds.
 */
char *run_and_read(char *const *argv, unsigned int seconds, int *status);

#endif
