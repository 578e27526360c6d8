/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes JSON (RFC 8259), and only that: commas, indentation and escapes are
 * taken care of. In an object each call names its key; in an array, and at the
 * top, key is NULL.
 */
#ifndef VPMU_BENCH_LIB_JSON_H
#define VPMU_BENCH_LIB_JSON_H

#include <stdbool.h>
#include <stdio.h>

/* Starts as { .file = ... }. */
struct json {
	FILE *file;
	unsigned int depth;
	bool filled; /* something stands before, at this depth */
};

void json_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_array(struct json *json, const char *key);
void json_end_array(struct json *json);

/* NULL is null; bytes that are not UTF-8 become U+FFFD. */
void json_string(struct json *json, const char *key, const char *text);
/* Not finite is null. */
void json_number(struct json *json, const char *key, double number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

#endif
