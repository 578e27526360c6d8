/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a benchmark hands back: tables of numbers, some of which may be absent.
 * Printed as text or as JSON, from which figures/plot draws. Everything is copied.
 */
#ifndef VPMU_BENCH_LIB_REPORT_H
#define VPMU_BENCH_LIB_REPORT_H

#include "json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct report_column {
	const char *key;       /* its name in JSON */
	const char *title;     /* its name in text, and in a plot's legend */
	unsigned int decimals; /* of its numbers, in text and plots */
};

enum report_kind {
	REPORT_ABSENT, /* there is no such number; a note says why */
	REPORT_NUMBER,
	REPORT_TEXT,
};

struct report_value {
	enum report_kind kind;
	double number;
	char *text;
};

struct report_table {
	char *key;   /* its name in JSON */
	char *title; /* a line; may be empty */
	size_t column_count;
	struct report_column *columns;
	size_t row_count;
	struct report_value **rows; /* column_count values each */
	size_t note_count;
	char **notes;   /* lines below it */
	bool is_detail; /* for JSON, and for those who ask for details */
	struct report_table *next;
};

/* Starts as all zero. */
struct report {
	struct report_table *first;
	struct report_table *last;
};

/* A new table at the end of the report. */
struct report_table *report_table(struct report *report, const char *key, const char *title,
				  const struct report_column *columns, size_t count);
/* A new row: column_count values, all absent. */
struct report_value *report_row(struct report_table *table);
/* Set a value. A number that is none (NaN, infinite) is absent. */
void report_number(struct report_value *value, double number);
void report_text(struct report_value *value, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A line below the table; one that is there already is not repeated. */
void report_note(struct report_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An absent value is "-". Tables that are details only with details. */
void report_print(FILE *file, const struct report *report, bool details);
/* {KEY: {"title", "detail", "columns": [{"key", "title", "decimals"}], "rows": [{COLUMN: VALUE}],
 * "notes": []}}; absent is null. */
json_t *report_json(const struct report *report);
void report_free(struct report *report);

#endif
