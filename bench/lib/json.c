/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See json.h.
 */
#include "json.h"

#include "utf8.h"

#include <math.h>
#include <stddef.h>

static void quote(FILE *file, const char *text)
{
	fputc('"', file);
	while (*text) {
		size_t length = utf8_length(text);

		if (!length)
			fputs("\\ufffd", file);
		else if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else if ((*text > 0 && *text < 0x20) || *text == 0x7f)
			fprintf(file, "\\u%04x", (unsigned int)*text);
		else
			fwrite(text, 1, length, file);
		text += length ? length : 1;
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
