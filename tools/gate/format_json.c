/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The comparison as JSON: our own, all of it, with docs/gate.schema.json as its schema; and the
 * counts now as Bencher (Bencher Metric Format) and github-action-benchmark
 * (customSmallerIsBetter) read them.
 */
#include "bench/lib/json.h"
#include "comparison.h"
#include "tools/util.h"

#include <glib.h>
#include <math.h>
#include <string.h>

#define FORMAT 1

static json_t *whole(uint64_t number)
{
	return json_integer((json_int_t)number);
}

static json_t *texts(const struct args *args)
{
	json_t *array = json_array();

	for (size_t i = 0; i < args->count; i++)
		json_array_append_new(array, json_from_text(args->v[i]));
	return array;
}

static json_t *range(const struct range *counts)
{
	return json_pack("{s:o, s:o}", "least", whole(counts->least), "most", whole(counts->most));
}

static json_t *limit(double value)
{
	return value < 0 ? json_null() : json_real(value);
}

static json_t *count(const struct pair *pair, const struct change *change, int event)
{
	json_t *object = json_object();
	const struct limits *limits = &pair->benchmark->limits;

	json_object_set_new(object, "now", range(&change->now));
	json_object_set_new(object, "baseline",
			    pair->before ? range(&change->before) : json_null());
	json_object_set_new(object, "change_per_cent",
			    pair->before && !isinf(change->per_cent) ? json_real(change->per_cent)
								     : json_null());
	json_object_set_new(object, "warn_per_cent", limit(limits->soft[event]));
	json_object_set_new(object, "limit_per_cent", limit(limits->hard[event]));
	json_object_set_new(object, "threshold",
			    pair->before && change->threshold != UINT64_MAX
				    ? whole(change->threshold)
				    : json_null());
	json_object_set_new(object, "verdict",
			    pair->before ? json_string(verdict_name(change->verdict))
					 : json_null());
	return object;
}

static json_t *total(const struct pair *pair)
{
	json_t *object = json_object();

	for (int i = 0; i < COUNT_EVENTS; i++) {
		struct change change = pair_change(pair, i);

		json_object_set_new(object, count_names[i], count(pair, &change, i));
	}
	return object;
}

static json_t *processes(const struct pair *pair)
{
	struct args names = pair_processes(pair);
	json_t *object = json_object();

	for (size_t i = 0; i < names.count; i++) {
		json_t *counts = json_object();

		for (int event = 0; event < COUNT_EVENTS; event++) {
			struct change change = pair_process_change(pair, names.v[i], event);

			json_object_set_new(
				counts, count_names[event],
				json_pack("{s:o, s:o}", "now", range(&change.now), "baseline",
					  pair->before ? range(&change.before) : json_null()));
		}
		json_object_set_new(object, names.v[i], counts);
	}
	args_free(&names);
	return object;
}

static json_t *functions(const struct pair *pair)
{
	size_t number;
	struct function_change *changes = pair_functions(pair, &number);
	json_t *array = json_array();

	for (size_t i = 0; i < number; i++)
		json_array_append_new(
			array, json_pack("{s:o, s:I, s:I}", "name", json_from_text(changes[i].name),
					 "instructions", (json_int_t)changes[i].instructions,
					 "error", (json_int_t)changes[i].error));
	g_free(changes);
	return array;
}

static json_t *benchmark(const struct pair *pair)
{
	return json_pack("{s:s, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "name", pair->benchmark->name,
			 "command", texts(&pair->benchmark->command), "runs", (int)pair->now->runs,
			 "baseline_runs",
			 pair->before ? json_integer(pair->before->runs) : json_null(), "counts",
			 total(pair), "processes", processes(pair), "sample_period",
			 pair->now->profile.period ? whole(pair->now->profile.period) : json_null(),
			 "functions", functions(pair));
}

static json_t *facts(const struct result *result)
{
	json_t *object = json_object();

	for (size_t i = 0; i < result->fact_count; i++)
		json_object_set_new(object, result->facts[i].name,
				    json_from_text(result->facts[i].value));
	return object;
}

void format_json(FILE *file, const struct comparison *comparison)
{
	json_t *benchmarks = json_array();

	for (size_t i = 0; i < comparison->config->benchmark_count; i++) {
		struct pair pair = comparison_pair(comparison, i);

		json_array_append_new(benchmarks, benchmark(&pair));
	}
	json_print(file, json_pack("{s:i, s:o, s:o, s:o, s:o}", "format", FORMAT, "verdict",
				   comparison->before ? json_string(verdict_name(comparison->worst))
						      : json_null(),
				   "environment", facts(comparison->now), "differences",
				   texts(&comparison->differences), "benchmarks", benchmarks));
}

/* Bencher's names of measures are slugs. */
static char *slug(const char *name)
{
	return g_strdelimit(g_strdup(name), ":", '-');
}

void format_bmf(FILE *file, const struct comparison *comparison)
{
	json_t *object = json_object();

	for (size_t i = 0; i < comparison->config->benchmark_count; i++) {
		struct pair pair = comparison_pair(comparison, i);
		json_t *measures = json_object();

		for (int event = 0; event < COUNT_EVENTS; event++) {
			const struct range *now = &pair.now->total[event];

			json_object_set_new(measures, slug(count_names[event]),
					    json_pack("{s:o, s:o, s:o}", "value", whole(now->least),
						      "lower_value", whole(now->least),
						      "upper_value", whole(now->most)));
		}
		json_object_set_new(object, pair.benchmark->name, measures);
	}
	json_print(file, object);
}

void format_github(FILE *file, const struct comparison *comparison)
{
	json_t *array = json_array();

	for (size_t i = 0; i < comparison->config->benchmark_count; i++) {
		struct pair pair = comparison_pair(comparison, i);

		for (int event = 0; event < COUNT_EVENTS; event++) {
			const struct range *now = &pair.now->total[event];
			json_t *entry =
				json_pack("{s:s, s:s, s:o}", "name",
					  text("%s: %s", pair.benchmark->name, count_names[event]),
					  "unit", "events", "value", whole(now->least));

			if (now->most != now->least)
				json_object_set_new(
					entry, "range",
					json_string(
						text("+%ju", (uintmax_t)(now->most - now->least))));
			json_array_append_new(array, entry);
		}
	}
	json_print(file, array);
}
