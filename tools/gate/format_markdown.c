/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The comparison in Markdown, with GitHub's tables.
 */
#include "comparison.h"
#include "tools/util.h"

#include <glib.h>

#define FUNCTIONS_SHOWN 10

/* As it is, between two tables' bars. */
static char *escape(const char *plain)
{
	GString *escaped = g_string_new("");

	for (; *plain; plain++) {
		if (g_ascii_ispunct(*plain))
			g_string_append_c(escaped, '\\');
		g_string_append_c(escaped, *plain);
	}
	return g_string_free(escaped, FALSE);
}

static const char *const words[] = {
	[VERDICT_SAME] = "",
	[VERDICT_LESS] = "less",
	[VERDICT_WARNING] = "**warning**",
	[VERDICT_FAILURE] = "**failure**",
};

static void print_counts(FILE *file, const struct pair *pair)
{
	fprintf(file, "| count | baseline | now | change | varies by | limit | |\n"
		      "| --- | ---: | ---: | ---: | ---: | ---: | --- |\n");
	for (int i = 0; i < COUNT_EVENTS; i++) {
		struct change change = pair_change(pair, i);

		fprintf(file, "| %s | %s | %s | %s | %s | %s | %s |\n", count_names[i],
			pair->before ? grouped(change.before.most) : "-", now_text(&change),
			pair->before ? per_cent(&change) : "-", spread_text(&change.before),
			pair->before ? limit_text(pair, i) : "-", words[change.verdict]);
	}
}

static void print_functions(FILE *file, const struct pair *pair)
{
	size_t count;
	struct function_change *changes = pair_functions(pair, &count);

	if (count)
		fprintf(file, "\n| function | instructions:u | +- |\n| --- | ---: | ---: |\n");
	for (size_t i = 0; i < count && i < FUNCTIONS_SHOWN; i++)
		fprintf(file, "| %s | %c%s | %s |\n", escape(changes[i].name),
			changes[i].instructions < 0 ? '-' : '+',
			grouped((uint64_t)llabs(changes[i].instructions)),
			grouped(changes[i].error));
	g_free(changes);
}

void format_markdown(FILE *file, const struct comparison *comparison)
{
	fprintf(file, "### vpmu gate: %s\n", verdict_name(comparison->worst));
	for (size_t i = 0; i < comparison->differences.count; i++)
		fprintf(file, "%s* environment: %s\n", i ? "" : "\n",
			escape(comparison->differences.v[i]));
	for (size_t i = 0; i < comparison->config->benchmark_count; i++) {
		struct pair pair = comparison_pair(comparison, i);

		fprintf(file, "\n#### %s\n\n", escape(pair.benchmark->name));
		print_counts(file, &pair);
		print_functions(file, &pair);
	}
	fputc('\n', file);
}
