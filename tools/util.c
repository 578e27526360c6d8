/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See util.h.
 */
#define _GNU_SOURCE
#include "util.h"

#include <glib.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

char *text(const char *format, ...)
{
	va_list list;
	char *result;

	va_start(list, format);
	result = g_strdup_vprintf(format, list);
	va_end(list);
	return result;
}

bool parse_number(const char *word, unsigned long max, unsigned long *value)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(word, 10, 0, max, &number, NULL))
		return false;
	*value = number;
	return true;
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

bool is_script(const char *path)
{
	FILE *file = fopen(path, "re");
	bool script = file && getc(file) == '#' && getc(file) == '!';

	if (file)
		fclose(file);
	return script;
}

char *file_identity(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return NULL;
	return text("%ju %ju %ju %jd.%ld %jd.%ld", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
		    (uintmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		    (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
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

bool option_take(char **argv, int *i, const struct option_text *options, size_t count)
{
	for (size_t k = 0; k < count; k++) {
		const char *value = option_value(argv, i, options[k].name);

		if (value) {
			*options[k].to = value;
			return true;
		}
	}
	return false;
}
