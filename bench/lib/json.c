/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See json.h.
 */
#include "json.h"

#include <glib.h>
#include <math.h>

/* Up to here a double has all whole numbers. */
#define WHOLE_MAX 9007199254740992.0

json_t *json_from_text(const char *text)
{
	char *valid;
	json_t *value;

	if (!text)
		return json_null();
	valid = g_utf8_make_valid(text, -1);
	value = json_string(valid);
	g_free(valid);
	return value;
}

json_t *json_from_number(double number)
{
	if (!isfinite(number))
		return json_null();
	if (fabs(number) <= WHOLE_MAX && trunc(number) == number)
		return json_integer((json_int_t)number);
	return json_real(number);
}

void json_print(FILE *file, json_t *value)
{
	/* Digits enough to tell any two samples apart. */
	json_dumpf(value, file, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	fputc('\n', file);
	json_decref(value);
}
