/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See json.h.
 */
#include "json.h"

#include <math.h>
#include <stddef.h>

/* The length of the UTF-8 sequence that starts here; 0: none does (RFC 3629). */
static size_t sequence(const unsigned char *at)
{
	size_t length = at[0] < 0x80   ? 1
			: at[0] < 0xc2 ? 0
			: at[0] < 0xe0 ? 2
			: at[0] < 0xf0 ? 3
				       : 4;

	if (at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* Too long a form, a surrogate, beyond the last code point. */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return length;
}

static void quote(FILE *file, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	fputc('"', file);
	while (*at) {
		size_t length = sequence(at);

		if (!length)
			fputs("\\ufffd", file);
		else if (*at == '"' || *at == '\\')
			fprintf(file, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(file, "\\u%04x", *at);
		else
			fwrite(at, 1, length, file);
		at += length ? length : 1;
	}
	fputc('"', file);
}

static void new_line(struct json *json)
{
	fputc('\n', json->file);
	for (unsigned int i = 0; i < json->depth; i++)
		fputs("  ", json->file);
}

/* What comes before a value: a comma, a line of its own, its key. */
static void lead_in(struct json *json, const char *key)
{
	if (json->filled)
		fputc(',', json->file);
	if (json->depth)
		new_line(json);
	if (key) {
		quote(json->file, key);
		fputs(": ", json->file);
	}
	json->filled = true;
}

static void open_group(struct json *json, const char *key, char bracket)
{
	lead_in(json, key);
	fputc(bracket, json->file);
	json->depth++;
	json->filled = false;
}

static void close_group(struct json *json, char bracket)
{
	json->depth--;
	if (json->filled)
		new_line(json);
	fputc(bracket, json->file);
	json->filled = true;
	if (!json->depth)
		fputc('\n', json->file);
}

void json_object(struct json *json, const char *key)
{
	open_group(json, key, '{');
}

void json_end_object(struct json *json)
{
	close_group(json, '}');
}

void json_array(struct json *json, const char *key)
{
	open_group(json, key, '[');
}

void json_end_array(struct json *json)
{
	close_group(json, ']');
}

void json_string(struct json *json, const char *key, const char *text)
{
	if (!text) {
		json_null(json, key);
		return;
	}
	lead_in(json, key);
	quote(json->file, text);
}

void json_number(struct json *json, const char *key, double number)
{
	if (!isfinite(number)) {
		json_null(json, key);
		return;
	}
	lead_in(json, key);
	/* Enough to tell any two samples apart; exact for whole numbers. */
	fprintf(json->file, "%.15g", number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	lead_in(json, key);
	fputs(value ? "true" : "false", json->file);
}

void json_null(struct json *json, const char *key)
{
	lead_in(json, key);
	fputs("null", json->file);
}
