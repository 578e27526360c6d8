/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See comparison.h.
 */
#include "comparison.h"
#include "tools/util.h"

#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fewer samples than these are nothing, however well runs agree. */
#define SAMPLES_LEAST 3

static const struct range none;

struct pair comparison_pair(const struct comparison *comparison, size_t i)
{
	const struct benchmark *benchmark = &comparison->config->benchmarks[i];

	return (struct pair){
		.benchmark = benchmark,
		.before = comparison->before ? result_find(comparison->before, benchmark->name)
					     : NULL,
		.now = result_find(comparison->now, benchmark->name),
	};
}

struct change pair_change(const struct pair *pair, int event)
{
	const struct range *now = &pair->now->total[event];

	return verdict_of(pair->before ? &pair->before->total[event] : now, now,
			  pair->benchmark->limits.soft[event], pair->benchmark->limits.hard[event]);
}

static const struct range *range_of(const struct benchmark_result *result, const char *process,
				    int event)
{
	const struct process_counts *counts = result_process(result, process);

	return counts ? &counts->counts[event] : &none;
}

struct change pair_process_change(const struct pair *pair, const char *process, int event)
{
	const struct range *now = range_of(pair->now, process, event);

	return verdict_of(pair->before ? range_of(pair->before, process, event) : now, now,
			  pair->benchmark->limits.soft[event], pair->benchmark->limits.hard[event]);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct args pair_processes(const struct pair *pair)
{
	struct args names = { 0 };

	for (size_t i = 0; i < pair->now->process_count; i++)
		args_add(&names, pair->now->processes[i].name);
	for (size_t i = 0; pair->before && i < pair->before->process_count; i++)
		if (!result_process(pair->now, pair->before->processes[i].name))
			args_add(&names, pair->before->processes[i].name);
	if (names.count)
		qsort(names.v, names.count, sizeof(*names.v), by_text);
	return names;
}

/* --- functions ----------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	const struct function_change *left = a, *right = b;
	int64_t difference = llabs(right->instructions) - llabs(left->instructions);

	if (difference)
		return difference > 0 ? 1 : -1;
	return strcmp(left->name, right->name);
}

static bool compare_function(const struct pair *pair, const char *name,
			     struct function_change *change)
{
	struct range then = profile_counts(&pair->before->profile, name);
	struct range now = profile_counts(&pair->now->profile, name);
	int64_t grown = (int64_t)(now.least + now.most) / 2 - (int64_t)(then.least + then.most) / 2;
	uint64_t error = then.most - then.least + now.most - now.least;

	*change = (struct function_change){ name, grown, error };
	return (uint64_t)llabs(grown) > error + SAMPLES_LEAST * pair->now->profile.period;
}

struct function_change *pair_functions(const struct pair *pair, size_t *count)
{
	const struct profile *before = pair->before ? &pair->before->profile : NULL;
	const struct profile *now = &pair->now->profile;
	struct function_change *changes;

	*count = 0;
	if (!before || !before->period || !now->period)
		return NULL;
	changes = g_new(struct function_change, before->function_count + now->function_count);
	for (size_t i = 0; i < now->function_count; i++)
		*count += compare_function(pair, now->functions[i].name, &changes[*count]);
	for (size_t i = 0; i < before->function_count; i++)
		if (!profile_has(now, before->functions[i].name))
			*count +=
				compare_function(pair, before->functions[i].name, &changes[*count]);
	qsort(changes, *count, sizeof(*changes), by_size);
	return changes;
}

/* --- texts --------------------------------------------------------------------------------- */

char *grouped(uint64_t number)
{
	char *digits = text("%ju", (uintmax_t)number);
	size_t length = strlen(digits);
	GString *result = g_string_new("");

	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			g_string_append_c(result, ',');
		g_string_append_c(result, digits[i]);
	}
	g_free(digits);
	return g_string_free(result, FALSE);
}

char *now_text(const struct change *change)
{
	return grouped(change->per_cent > 0 ? change->now.least : change->now.most);
}

char *spread_text(const struct range *counts)
{
	return counts->most == counts->least ? text("exact")
					     : grouped(counts->most - counts->least);
}

char *per_cent(const struct change *change)
{
	if (isinf(change->per_cent))
		return text("new");
	if (change->per_cent == 0)
		return text(change->before.most != change->before.least ? "within" : "0");
	return text("%+.*f %%", fabs(change->per_cent) < 0.1 ? 4 : 2, change->per_cent);
}

char *limit_text(const struct pair *pair, int event)
{
	double hard = pair->benchmark->limits.hard[event];
	double soft = pair->benchmark->limits.soft[event];
	double limit = hard < 0 ? soft : hard;
	struct change change = pair_change(pair, event);

	if (limit < 0)
		return text("-");
	if ((double)change.threshold > limit / 100 * (double)change.before.most)
		return text("%s%s", grouped(change.threshold), hard < 0 ? " (warns)" : "");
	return text("%g %%%s", limit, hard < 0 ? " (warns)" : "");
}
