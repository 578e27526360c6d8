/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What all subcommands use: failing, texts, options. The command is short-lived: what these
 * allocate lives until it exits.
 */
#ifndef VPMU_TOOLS_UTIL_H
#define VPMU_TOOLS_UTIL_H

#include <stdbool.h>
#include <stddef.h>

/* The exit status of every refusal: bad usage, or something that is missing. */
#define EXIT_REFUSED 2
/* Not all that was asked for has been counted; in vpmu gate, a count is more than its limit. */
#define EXIT_BEYOND 3

/* Print "vpmu: ...", one line, to stderr and exit with EXIT_REFUSED. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print "vpmu: ...", one line, to stderr. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A formatted text in memory of its own. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "0" to "max" in decimal and nothing else; false if it is not. */
bool parse_number(const char *word, unsigned long max, unsigned long *value);

bool file_exists(const char *path);
/* A regular file that may be executed. */
bool is_program(const char *path);
bool is_script(const char *path);

/* A text that becomes another when the file does; NULL: there is none. Allocated. */
char *file_identity(const char *path);

/*
 * If argv[*i] is the option name (as two words or with "="), its value, with
 * *i at its last word; NULL if it is another. Fails with one line if the value
 * is missing.
 */
const char *option_value(char **argv, int *i, const char *name);

/* An option whose value is kept as it is. */
struct option_text {
	const char *name;
	const char **to;
};

/* Takes argv[*i] if it is one of them, as option_value() does. */
bool option_take(char **argv, int *i, const struct option_text *options, size_t count);

#endif
