/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See args.h.
 */
#include "process/args.h"

#include <glib.h>
#include <stdarg.h>

static void take(struct args *args, char *word)
{
	args->v = g_renew(char *, args->v, args->count + 2);
	args->v[args->count++] = word;
	args->v[args->count] = NULL;
}

void args_add(struct args *args, const char *word)
{
	take(args, g_strdup(word));
}

void args_add_format(struct args *args, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	take(args, g_strdup_vprintf(format, list));
	va_end(list);
}

void args_add_all(struct args *args, char *const *words)
{
	for (; *words; words++)
		args_add(args, *words);
}

void args_free(struct args *args)
{
	g_strfreev(args->v);
	*args = (struct args){ 0 };
}

char *args_double_commas(const char *text)
{
	GString *doubled = g_string_new(text);

	g_string_replace(doubled, ",", ",,", 0);
	return g_string_free(doubled, FALSE);
}
