/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See plot.h. Bars lie, so that labels of any length can be read; the number
 * stands behind its bar, so that nobody has to measure.
 */
#include "plot.h"

#include "utf8.h"

#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	WIDTH = 960,
	RIGHT = 70, /* for the number behind the longest bar */
	MARGIN = 16,
	BAR = 14,
	GAP = 12,   /* between groups */
	LETTER = 7, /* about, at the font size below */
};

/* Told apart by people who see few colours, too (Okabe and Ito). */
static const char *const colours[] = { "#d55e00", "#e69f00", "#56b4e9", "#009e73",
				       "#cc79a7", "#0072b2", "#999999" };
#define COLOURS (sizeof(colours) / sizeof(colours[0]))

struct axis {
	double from; /* a number, or its logarithm to the base 10 */
	double to;
	double step;
	double left; /* where it is drawn */
	double width;
	bool logarithmic;
};

static void escape(FILE *file, const char *text)
{
	size_t length;

	for (; *text; text += length ? length : 1) {
		length = utf8_length(text);
		switch (*text) {
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '&':
			fputs("&amp;", file);
			break;
		default:
			if (!length)
				fputs("\xef\xbf\xbd", file); /* U+FFFD */
			else if (*text > 0 && *text < 0x20)
				fputc(' ', file);
			else
				fwrite(text, 1, length, file);
		}
	}
}

static void words(FILE *file, double x, double y, const char *more, const char *text)
{
	fprintf(file, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, more);
	escape(file, text);
	fputs("</text>\n", file);
}

/* A column is drawn if any of its values is a number. */
static bool is_drawn(const struct report_table *table, size_t column)
{
	for (size_t i = 0; i < table->row_count; i++)
		if (table->rows[i][column].kind == REPORT_NUMBER)
			return true;
	return false;
}

static size_t drawn_columns(const struct report_table *table)
{
	size_t count = 0;

	for (size_t column = 0; column < table->column_count; column++)
		count += is_drawn(table, column);
	return count;
}

static char *row_label(const struct report_table *table, const struct report_value *row)
{
	char *label = g_strdup("");

	for (size_t column = 0; column < table->column_count; column++) {
		char *longer;

		if (row[column].kind != REPORT_TEXT || !*row[column].text)
			continue;
		longer = g_strdup_printf("%s%s%s", label, *label ? ", " : "", row[column].text);
		free(label);
		label = longer;
	}
	return label;
}

static double label_width(const struct report_table *table)
{
	size_t longest = 0;

	for (size_t i = 0; i < table->row_count; i++) {
		char *label = row_label(table, table->rows[i]);

		if (strlen(label) > longest)
			longest = strlen(label);
		free(label);
	}
	return (double)longest * LETTER;
}

/* A step of 1, 2 or 5 times a power of ten that gives some five marks. */
static double round_step(double span)
{
	double power = pow(10, floor(log10(span / 5)));
	double times = span / 5 / power;

	return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

static void widen(struct axis *axis, const struct report_value *value)
{
	double number = value->number;

	if (value->kind != REPORT_NUMBER || (axis->logarithmic && number <= 0))
		return;
	if (axis->logarithmic)
		number = log10(number);
	if (number < axis->from)
		axis->from = number;
	if (number > axis->to)
		axis->to = number;
}

/* The nearest of 1, 2 or 5 times a power of ten, as logarithms, that is no less. */
static double mark_above(double logarithm)
{
	static const double marks[] = { 0, 0.301029995663981, 0.698970004336019, 1 };
	double power = floor(logarithm);
	size_t i = 0;

	while (power + marks[i] < logarithm - 1e-9)
		i++;
	return power + marks[i];
}

/* That is no more: the marks are the same upside down. */
static double mark_below(double logarithm)
{
	return -mark_above(-logarithm);
}

static void round_axis(struct axis *axis)
{
	if (axis->logarithmic) {
		/* Begins below the smallest bar, which would have no length. */
		axis->from = mark_below(axis->from - 0.01);
		axis->to = mark_above(axis->to);
		return;
	}
	/* Begins at zero, unless there is more below it than noise. */
	axis->step = round_step(axis->to - axis->from);
	axis->from = axis->step * floor(axis->from / axis->step + 0.25);
	axis->to = axis->step * ceil(axis->to / axis->step);
}

static struct axis axis_of(const struct plot *plot)
{
	const struct report_table *table = plot->table;
	struct axis axis = { .logarithmic = plot->logarithmic };

	if (plot->logarithmic) {
		axis.from = INFINITY;
		axis.to = -INFINITY;
	}
	for (size_t i = 0; i < table->row_count; i++)
		for (size_t column = 0; column < table->column_count; column++)
			widen(&axis, &table->rows[i][column]);
	if (!(axis.from < INFINITY))
		axis.from = axis.to = 0;
	if (axis.to <= axis.from)
		axis.to = axis.from + 1;
	round_axis(&axis);
	axis.left = MARGIN + label_width(table) + MARGIN;
	axis.width = WIDTH - RIGHT - axis.left;
	return axis;
}

static double place(const struct axis *axis, double number)
{
	double at = axis->logarithmic ? log10(number) : number;

	return axis->left + (at - axis->from) / (axis->to - axis->from) * axis->width;
}

static void draw_mark(FILE *file, const struct axis *axis, double number, double top, double bottom)
{
	double x = place(axis, number);
	char *text = g_strdup_printf("%.10g", fabs(number) < 1e-12 ? 0 : number);

	fprintf(file, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#ddd\"/>\n", x, top, bottom);
	words(file, x, bottom + 16, " text-anchor=\"middle\"", text);
	free(text);
}

static void draw_axis(FILE *file, const struct axis *axis, double top, double bottom)
{
	if (axis->logarithmic) {
		/* Over many powers of ten only those have room. */
		bool powers = axis->to - axis->from > 2;

		for (double at = axis->from; at < axis->to + 1e-6;
		     at = powers ? floor(at + 1 + 1e-6) : mark_above(at + 1e-6))
			draw_mark(file, axis, pow(10, at), top, bottom);
		return;
	}
	for (long i = 0; i <= lround((axis->to - axis->from) / axis->step); i++)
		draw_mark(file, axis, axis->from + (double)i * axis->step, top, bottom);
}

/* The bar from 0 (a logarithmic axis: from its left end), its number behind it. */
static void draw_bar(FILE *file, const struct axis *axis, const struct report_value *value,
		     unsigned int decimals, const char *colour, double y)
{
	double zero = axis->logarithmic ? axis->left : place(axis, 0);
	bool drawn = value->kind == REPORT_NUMBER && (!axis->logarithmic || value->number > 0);
	double end = drawn ? place(axis, value->number) : zero;
	double left = end < zero ? end : zero;
	double right = end < zero ? zero : end;
	char *text = value->kind == REPORT_NUMBER ? report_number_text(value->number, decimals)
						  : g_strdup("absent");

	/* One that is next to nothing is still to be seen. */
	if (drawn)
		fprintf(file,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
			left, y, right - left < 1 ? 1 : right - left, BAR - 2, colour);
	words(file, right + 4, y + BAR - 4, " font-size=\"11\" fill=\"#444\"", text);
	free(text);
}

static void draw_group(FILE *file, const struct plot *plot, const struct axis *axis,
		       const struct report_value *row, double y)
{
	const struct report_table *table = plot->table;
	char *label = row_label(table, row);
	double height = (double)drawn_columns(table) * BAR;
	size_t bar = 0;

	words(file, axis->left - MARGIN, y + height / 2 + 4, " text-anchor=\"end\"", label);
	free(label);
	for (size_t column = 0; column < table->column_count; column++) {
		if (!is_drawn(table, column))
			continue;
		draw_bar(file, axis, &row[column], table->columns[column].decimals,
			 colours[bar % COLOURS], y + (double)bar * BAR);
		bar++;
	}
}

static void draw_legend(FILE *file, const struct report_table *table, double y)
{
	double x = MARGIN;
	size_t bar = 0;

	for (size_t column = 0; column < table->column_count; column++) {
		const char *title = table->columns[column].title;

		if (!is_drawn(table, column))
			continue;
		fprintf(file,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x,
			y - 11, colours[bar++ % COLOURS]);
		words(file, x + 18, y, "", title);
		x += 18 + (double)(strlen(title) + 3) * LETTER;
	}
}

void plot_svg(FILE *file, const struct plot *plot)
{
	const struct report_table *table = plot->table;
	struct axis axis = axis_of(plot);
	double group = (double)drawn_columns(table) * BAR + GAP;
	double top = MARGIN + 20 + (plot->subtitle ? 20 : 0) + 24 + GAP;
	double bottom = top + group * (double)table->row_count;

	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\""
		" viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" font-size=\"13\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, bottom + 48, WIDTH, bottom + 48);
	words(file, MARGIN, MARGIN + 14, " font-size=\"16\" font-weight=\"bold\"", plot->title);
	if (plot->subtitle)
		words(file, MARGIN, MARGIN + 36, " fill=\"#444\"", plot->subtitle);
	draw_legend(file, table, top - GAP - 6);
	draw_axis(file, &axis, top - GAP / 2, bottom);
	for (size_t i = 0; i < table->row_count; i++)
		draw_group(file, plot, &axis, table->rows[i], top + group * (double)i);
	words(file, axis.left + axis.width / 2, bottom + 36, " text-anchor=\"middle\"", plot->axis);
	fputs("</svg>\n", file);
}
