/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See alloc.h.
 */
#define _GNU_SOURCE
#include "alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void *alloc_resize(void *memory, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		abort();
	return must(realloc(memory, count && size ? count * size : 1));
}

char *alloc_text(const char *text)
{
	return must(strdup(text));
}

char *alloc_format(const char *format, ...)
{
	va_list list;
	char *text;

	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		abort();
	va_end(list);
	return text;
}

char *alloc_number(double number, unsigned int decimals)
{
	char *text = alloc_format("%.*f", (int)decimals, number);

	if (text[0] == '-' && !text[strspn(text, "-0.")])
		memmove(text, text + 1, strlen(text));
	return text;
}
