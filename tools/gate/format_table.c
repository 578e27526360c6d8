/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The comparison for people.
 */
#include "comparison.h"
#include "tools/util.h"

#include <glib.h>

#define FUNCTIONS_SHOWN 20

static const char *const words[] = {
	[VERDICT_SAME] = "",
	[VERDICT_LESS] = "  less",
	[VERDICT_WARNING] = "  WARNING",
	[VERDICT_FAILURE] = "  FAILURE",
};

static void print_counts(FILE *file, const struct pair *pair)
{
	fprintf(file, "  %-17s %16s %16s %11s %12s  %s\n", "", "baseline", "now", "change",
		"varies by", "limit");
	for (int i = 0; i < COUNT_EVENTS; i++) {
		struct change change = pair_change(pair, i);

		fprintf(file, "  %-17s %16s %16s %11s %12s  %s%s\n", count_names[i],
			grouped(change.before.most), now_text(&change), per_cent(&change),
			spread_text(&change.before), limit_text(pair, i), words[change.verdict]);
	}
}

static void print_new(FILE *file, const struct pair *pair)
{
	fprintf(file, "  %-17s %16s %12s\n", "", "most", "varies by");
	for (int i = 0; i < COUNT_EVENTS; i++) {
		const struct range *now = &pair->now->total[i];

		fprintf(file, "  %-17s %16s %12s\n", count_names[i], grouped(now->most),
			pair->now->runs == 1 ? "not known" : spread_text(now));
	}
}

/* Those whose instructions:u have changed. */
static void print_processes(FILE *file, const struct pair *pair)
{
	struct args names = pair_processes(pair);

	for (size_t i = 0; i < names.count; i++) {
		struct change change =
			pair_process_change(pair, names.v[i], COUNT_INSTRUCTIONS_USER);

		if (change.now.least <= change.before.most &&
		    change.now.most >= change.before.least)
			continue;
		fprintf(file, "  process %-16s instructions:u %16s %16s %11s\n", names.v[i],
			grouped(change.before.most), grouped(change.now.least), per_cent(&change));
	}
	args_free(&names);
}

static void print_functions(FILE *file, const struct pair *pair)
{
	size_t count;
	struct function_change *changes = pair_functions(pair, &count);

	if (!pair->now->profile.period)
		return;
	if (!changes) {
		fprintf(file, "  functions: the baseline has no samples to compare with\n");
		return;
	}
	fprintf(file, "  functions, by samples each %s instructions:u in %u runs%s\n",
		grouped(pair->now->profile.period), pair->now->profile.runs,
		count ? "" : ": none has changed by more than samples do by chance");
	for (size_t i = 0; i < count && i < FUNCTIONS_SHOWN; i++)
		fprintf(file, "  %c%15s +- %-10s %s\n", changes[i].instructions < 0 ? '-' : '+',
			grouped((uint64_t)llabs(changes[i].instructions)),
			grouped(changes[i].error), changes[i].name);
	if (count > FUNCTIONS_SHOWN)
		fprintf(file, "  ... and %zu more, by less\n", count - FUNCTIONS_SHOWN);
	g_free(changes);
}

void format_table(FILE *file, const struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->differences.count; i++)
		fprintf(file, "environment: %s\n", comparison->differences.v[i]);
	for (size_t i = 0; i < comparison->config->benchmark_count; i++) {
		struct pair pair = comparison_pair(comparison, i);

		fprintf(file, "%s%s: %u run%s%s\n", i ? "\n" : "", pair.benchmark->name,
			pair.now->runs, pair.now->runs == 1 ? "" : "s",
			pair.before          ? text(", %u at the baseline", pair.before->runs)
			: comparison->before ? ", not in the baseline"
					     : "");
		if (!pair.before) {
			print_new(file, &pair);
			continue;
		}
		print_counts(file, &pair);
		print_processes(file, &pair);
		print_functions(file, &pair);
	}
}
