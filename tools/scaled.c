/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See scaled.h. The measured program may have printed anything: the worst that comes of it is a
 * warning.
 */
#include "scaled.h"
#include "perf_words.h"
#include "util.h"

#include <ctype.h>
#include <glib.h>
#include <string.h>

#define ALL 100.0

/*
 * "49.98" and nothing else: perf's percentages have two decimals, behind the locale's point. -1:
 * it is none.
 */
static double percentage(const char *text, size_t length)
{
	size_t digits = strspn(text, "0123456789");
	double value;

	if (!digits || digits > 3 || length != digits + 3 || !strchr(".,", text[digits]) ||
	    !isdigit((unsigned char)text[digits + 1]) || !isdigit((unsigned char)text[digits + 2]))
		return -1;
	value = (double)g_ascii_strtoull(text, NULL, 10) + (text[digits + 1] - '0') / 10.0 +
		(text[digits + 2] - '0') / 100.0;
	return value <= ALL ? value : -1;
}

/* "  1234  cycles  #  1.0 GHz  ( +-  0.5% )  (49.98%)" */
static double read_text(struct scaled *scaled, const char *line)
{
	const char *open = strrchr(line, '(');
	const char *first = line + strspn(line, " ");
	const char *percent = open ? strchr(open, '%') : NULL;

	if (strstr(line, "Performance counter stats for") ||
	    (*first == '#' && strstr(line, "counts")))
		scaled->begun = true;
	if (!scaled->begun || !percent || strcmp(percent, "%)") != 0)
		return -1;
	return percentage(open + 1, (size_t)(percent - open - 1));
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

/*
 * The last whole number before a percentage: how long it ran, in ns, and how much of the time.
 * Which fields are in front of them depends on how perf was told to add up.
 */
static double read_fields(const struct scaled *scaled, const char *line)
{
	char **fields = g_strsplit(line, scaled->separator, -1);
	double found = -1;

	for (size_t i = 3; fields[0] && fields[1] && fields[2] && fields[i]; i++)
		if (is_number(fields[i - 1]) && percentage(fields[i], strlen(fields[i])) >= 0)
			found = percentage(fields[i], strlen(fields[i]));
	g_strfreev(fields);
	return found;
}

static double read_json(const char *line)
{
	static const char key[] = "\"pcnt-running\" : ";
	const char *at = *line == '{' ? strstr(line, key) : NULL;

	return at ? percentage(at + strlen(key), strspn(at + strlen(key), "0123456789.")) : -1;
}

static void read_line(struct scaled *scaled)
{
	double percent;

	while (scaled->have && strchr(" \r", scaled->line[scaled->have - 1]))
		scaled->have--;
	scaled->line[scaled->have] = '\0';
	percent = read_json(scaled->line);
	if (percent < 0)
		percent = *scaled->separator ? read_fields(scaled, scaled->line)
					     : read_text(scaled, scaled->line);
	scaled->have = 0;
	if (percent < 0 || percent >= ALL)
		return;
	if (!scaled->events++ || percent < scaled->least)
		scaled->least = percent;
}

void scaled_begin(struct scaled *scaled, char *const *words)
{
	struct args separators = { 0 };

	*scaled = (struct scaled){ .begun = false };
	perf_words_values(words, 'x', "field-separator", &separators);
	if (separators.count)
		g_strlcpy(scaled->separator, separators.v[separators.count - 1],
			  sizeof(scaled->separator));
	if (!strcmp(scaled->separator, "\\t"))
		strcpy(scaled->separator, "\t");
	args_free(&separators);
}

void scaled_take(struct scaled *scaled, const char *data, size_t size)
{
	for (; size; data++, size--) {
		if (*data == '\n')
			read_line(scaled);
		else if (scaled->have < sizeof(scaled->line) - 1)
			scaled->line[scaled->have++] = *data;
	}
}

void scaled_end(struct scaled *scaled)
{
	if (scaled->have)
		read_line(scaled);
	if (scaled->events)
		warn("%u of perf's counts are estimates, from as little as %.2f %% of the time: "
		     "more events than counters take turns, and perf extrapolates; ask for fewer "
		     "at a time",
		     scaled->events, scaled->least);
}
