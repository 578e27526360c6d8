/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See report.h.
 */
#include "report.h"

#include <glib.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct report_table *report_table(struct report *report, const char *key, const char *title,
				  const struct report_column *columns, size_t count)
{
	struct report_table *table = g_new(struct report_table, 1);

	*table = (struct report_table){
		.key = g_strdup(key),
		.title = g_strdup(title),
		.column_count = count,
		.columns = g_new(struct report_column, count),
	};
	for (size_t i = 0; i < count; i++)
		table->columns[i] = (struct report_column){
			.key = g_strdup(columns[i].key),
			.title = g_strdup(columns[i].title),
			.decimals = columns[i].decimals,
		};
	if (report->last)
		report->last->next = table;
	else
		report->first = table;
	report->last = table;
	return table;
}

struct report_value *report_row(struct report_table *table)
{
	size_t count = table->column_count;
	struct report_value *row = g_new(struct report_value, count);

	for (size_t i = 0; i < count; i++)
		row[i] = (struct report_value){ .kind = REPORT_ABSENT };
	table->rows = g_renew(struct report_value *, table->rows, table->row_count + 1);
	table->rows[table->row_count++] = row;
	return row;
}

static void clear(struct report_value *value)
{
	free(value->text);
	*value = (struct report_value){ .kind = REPORT_ABSENT };
}

void report_number(struct report_value *value, double number)
{
	clear(value);
	if (isfinite(number))
		*value = (struct report_value){ .kind = REPORT_NUMBER, .number = number };
}

void report_text(struct report_value *value, const char *format, ...)
{
	va_list list;

	clear(value);
	value->kind = REPORT_TEXT;
	va_start(list, format);
	value->text = g_strdup_vprintf(format, list);
	va_end(list);
}

static bool has_note(const struct report_table *table, const char *note)
{
	for (size_t i = 0; i < table->note_count; i++)
		if (!strcmp(table->notes[i], note))
			return true;
	return false;
}

void report_note(struct report_table *table, const char *format, ...)
{
	va_list list;
	char *note;

	va_start(list, format);
	note = g_strdup_vprintf(format, list);
	va_end(list);
	if (has_note(table, note)) {
		free(note);
		return;
	}
	table->notes = g_renew(char *, table->notes, table->note_count + 1);
	table->notes[table->note_count++] = note;
}

static char *number_text(double number, unsigned int decimals)
{
	char *text = g_strdup_printf("%.*f", (int)decimals, number);

	if (text[0] == '-' && !text[strspn(text, "-0.")])
		memmove(text, text + 1, strlen(text));
	return text;
}

static char *value_text(const struct report_value *value, unsigned int decimals)
{
	switch (value->kind) {
	case REPORT_ABSENT:
		break;
	case REPORT_NUMBER:
		return number_text(value->number, decimals);
	case REPORT_TEXT:
		return g_strdup(value->text);
	}
	return g_strdup("-");
}

static bool is_text_column(const struct report_table *table, size_t column)
{
	return table->row_count && table->rows[0][column].kind == REPORT_TEXT;
}

/* Negative for texts, as printf has it for what stands on the left. */
static int column_width(const struct report_table *table, size_t column)
{
	size_t width = strlen(table->columns[column].title);

	for (size_t i = 0; i < table->row_count; i++) {
		char *text = value_text(&table->rows[i][column], table->columns[column].decimals);

		if (strlen(text) > width)
			width = strlen(text);
		free(text);
	}
	return is_text_column(table, column) ? -(int)width : (int)width;
}

static void print_head(FILE *file, const struct report_table *table, const int *widths)
{
	for (size_t i = 0; i < table->column_count; i++)
		fprintf(file, "  %*s", widths[i], table->columns[i].title);
	fputc('\n', file);
}

static void print_row(FILE *file, const struct report_table *table, const struct report_value *row,
		      const int *widths)
{
	for (size_t i = 0; i < table->column_count; i++) {
		char *text = value_text(&row[i], table->columns[i].decimals);

		fprintf(file, "  %*s", widths[i], text);
		free(text);
	}
	fputc('\n', file);
}

static void print_table(FILE *file, const struct report_table *table)
{
	int *widths = g_new(int, table->column_count);

	for (size_t i = 0; i < table->column_count; i++)
		widths[i] = column_width(table, i);
	if (*table->title)
		fprintf(file, "%s\n\n", table->title);
	print_head(file, table, widths);
	for (size_t i = 0; i < table->row_count; i++)
		print_row(file, table, table->rows[i], widths);
	if (table->note_count)
		fputc('\n', file);
	for (size_t i = 0; i < table->note_count; i++)
		fprintf(file, "  %s\n", table->notes[i]);
	free(widths);
}

void report_print(FILE *file, const struct report *report, bool details)
{
	for (const struct report_table *table = report->first; table; table = table->next) {
		if (table->is_detail && !details)
			continue;
		if (table != report->first)
			fputc('\n', file);
		print_table(file, table);
	}
}

static json_t *json_of_value(const struct report_value *value)
{
	switch (value->kind) {
	case REPORT_ABSENT:
		break;
	case REPORT_NUMBER:
		return json_from_number(value->number);
	case REPORT_TEXT:
		return json_from_text(value->text);
	}
	return json_null();
}

static json_t *json_of_columns(const struct report_table *table)
{
	json_t *columns = json_array();

	for (size_t i = 0; i < table->column_count; i++) {
		const struct report_column *column = &table->columns[i];

		json_array_append_new(columns,
				      json_pack("{s:s, s:s, s:i}", "key", column->key, "title",
						column->title, "decimals", (int)column->decimals));
	}
	return columns;
}

static json_t *json_of_rows(const struct report_table *table)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < table->row_count; i++) {
		json_t *row = json_object();

		for (size_t column = 0; column < table->column_count; column++)
			json_object_set_new(row, table->columns[column].key,
					    json_of_value(&table->rows[i][column]));
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *json_of_notes(const struct report_table *table)
{
	json_t *notes = json_array();

	for (size_t i = 0; i < table->note_count; i++)
		json_array_append_new(notes, json_from_text(table->notes[i]));
	return notes;
}

json_t *report_json(const struct report *report)
{
	json_t *tables = json_object();

	for (const struct report_table *table = report->first; table; table = table->next)
		json_object_set_new(tables, table->key,
				    json_pack("{s:s, s:b, s:o, s:o, s:o}", "title", table->title,
					      "detail", table->is_detail, "columns",
					      json_of_columns(table), "rows", json_of_rows(table),
					      "notes", json_of_notes(table)));
	return tables;
}

static void free_table(struct report_table *table)
{
	for (size_t i = 0; i < table->column_count; i++) {
		free((char *)(uintptr_t)table->columns[i].key);
		free((char *)(uintptr_t)table->columns[i].title);
	}
	for (size_t i = 0; i < table->row_count; i++) {
		for (size_t column = 0; column < table->column_count; column++)
			clear(&table->rows[i][column]);
		free(table->rows[i]);
	}
	for (size_t i = 0; i < table->note_count; i++)
		free(table->notes[i]);
	free(table->notes);
	free(table->rows);
	free(table->columns);
	free(table->key);
	free(table->title);
	free(table);
}

void report_free(struct report *report)
{
	struct report_table *next;

	for (struct report_table *table = report->first; table; table = next) {
		next = table->next;
		free_table(table);
	}
	*report = (struct report){ NULL, NULL };
}
