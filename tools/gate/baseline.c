/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See baseline.h. A count is "EVENT" = [LEAST, MOST], of all runs.
 */
#define _GNU_SOURCE
#include "baseline.h"
#include "document.h"
#include "tools/util.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1

/* Others are not kept: they would make much text and say little. */
#define FUNCTIONS_MAX 100
#define SAMPLES_LEAST 10

char *baseline_path(const char *name)
{
	return text(BASELINE_FOLDER "/%s.toml", name);
}

/* --- reading ------------------------------------------------------------------------------- */

static void read_facts(struct result *result, const char *path, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(document_table(path, object, "environment"), name, value)
	{
		if (!json_is_string(value))
			fail("%s: environment: `%s' is a text, in quotes", path, name);
		result_add_fact(result, name, json_string_value(value));
	}
}

static struct range read_range(const char *path, const char *where, const char *name, json_t *value)
{
	json_t *least = json_array_get(value, 0), *most = json_array_get(value, 1);

	if (json_array_size(value) != 2 || !json_is_integer(least) || !json_is_integer(most) ||
	    json_integer_value(least) < 0 || json_integer_value(most) < json_integer_value(least))
		fail("%s: %s: `%s' is [LEAST, MOST], two whole numbers", path, where, name);
	return (struct range){ (uint64_t)json_integer_value(least),
			       (uint64_t)json_integer_value(most) };
}

static void read_counts(const char *path, const char *where, json_t *table,
			struct range counts[COUNT_EVENTS])
{
	const char *name;
	json_t *value;

	if (!json_is_object(table))
		fail("%s: the table [%s] is missing", path, where);
	json_object_foreach(table, name, value)
		counts[count_find(text("%s: %s", path, where), name)] =
			read_range(path, where, name, value);
	if (json_object_size(table) != COUNT_EVENTS)
		fail("%s: %s has not all counts: %s", path, where, count_list());
}

static void read_processes(struct benchmark_result *benchmark, const char *path, json_t *object)
{
	json_t *table = document_table(path, object, "process"), *counts;
	const char *name;

	json_object_foreach(table, name, counts)
	{
		struct process_counts *process = result_add_process(benchmark, name);

		read_counts(path, text("benchmark.%s.process.%s", benchmark->name, name), counts,
			    process->counts);
	}
}

static void read_functions(struct profile *profile, const char *path, const char *where,
			   json_t *table)
{
	const char *name;
	json_t *value;
	size_t i = 0;

	profile->function_count = json_object_size(table);
	profile->functions = g_new0(struct function_counts, profile->function_count + 1);
	json_object_foreach(table, name, value)
	{
		profile->functions[i].name = g_strdup(name);
		profile->functions[i++].counts = read_range(path, where, name, value);
	}
}

static void read_profile(struct benchmark_result *benchmark, const char *path, json_t *object)
{
	static const char *const keys[] = { "period", "runs", "left-out", "functions", NULL };
	json_t *table = document_table(path, object, "profile");
	const char *where = text("benchmark.%s.profile", benchmark->name);
	struct profile *profile = &benchmark->profile;

	if (!table)
		return;
	document_check_keys(path, where, table, keys);
	profile->period = document_number(path, table, "period");
	profile->runs = (unsigned int)document_number(path, table, "runs");
	profile->left_out = document_number(path, table, "left-out");
	if (!profile->period || !profile->runs)
		fail("%s: %s: `period' and `runs' are numbers from 1", path, where);
	read_functions(profile, path, where, document_table(path, table, "functions"));
}

static void read_benchmark(struct result *result, const char *path, const char *name,
			   json_t *object)
{
	static const char *const keys[] = {
		"command", "runs", "total", "process", "profile", NULL
	};
	const char *where = text("benchmark.%s", name);
	struct benchmark_result *benchmark;

	if (!json_is_object(object))
		fail("%s: `%s' is a table, [%s]", path, where, where);
	document_check_keys(path, where, object, keys);
	benchmark = result_add(result, name);
	document_command(path, object, "command", &benchmark->command);
	benchmark->runs = (unsigned int)document_number(path, object, "runs");
	if (!benchmark->runs)
		fail("%s: %s: `runs' is a number from 1", path, where);
	read_counts(path, text("%s.total", where), json_object_get(object, "total"),
		    benchmark->total);
	read_processes(benchmark, path, object);
	read_profile(benchmark, path, object);
}

void baseline_read(struct result *result, const char *path)
{
	static const char *const keys[] = { "format", "environment", "benchmark", NULL };
	json_t *object = document_read(path), *value;
	const char *name;

	document_check_keys(path, "a baseline", object, keys);
	if (document_number(path, object, "format") != FORMAT)
		fail("%s: `format' is %d in a baseline of this vpmu", path, FORMAT);
	read_facts(result, path, object);
	json_object_foreach(document_table(path, object, "benchmark"), name, value)
		read_benchmark(result, path, name, value);
	json_decref(object);
}

/* --- writing ------------------------------------------------------------------------------- */

static void print_counts(FILE *file, const struct range counts[COUNT_EVENTS])
{
	for (int i = 0; i < COUNT_EVENTS; i++)
		fprintf(file, "\"%s\" = [%ju, %ju]\n", count_names[i], (uintmax_t)counts[i].least,
			(uintmax_t)counts[i].most);
}

static void print_command(FILE *file, const struct args *command)
{
	fprintf(file, "command = [");
	for (size_t i = 0; i < command->count; i++)
		fprintf(file, "%s%s", i ? ", " : "", document_quote(command->v[i]));
	fprintf(file, "]\n");
}

static int by_count(const void *a, const void *b)
{
	const struct function_counts *left = a, *right = b;

	if (left->counts.most != right->counts.most)
		return left->counts.most < right->counts.most ? 1 : -1;
	return strcmp(left->name, right->name);
}

static int by_function(const void *a, const void *b)
{
	const struct function_counts *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int by_process(const void *a, const void *b)
{
	const struct process_counts *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* The largest ones come first then. */
static size_t choose_functions(const struct profile *profile, struct function_counts *functions)
{
	size_t count = 0;

	qsort(functions, profile->function_count, sizeof(*functions), by_count);
	while (count < MIN(profile->function_count, FUNCTIONS_MAX) &&
	       functions[count].counts.most >= SAMPLES_LEAST * profile->period)
		count++;
	return count;
}

static void print_profile(FILE *file, const char *name, const struct profile *profile)
{
	struct function_counts *functions =
		g_memdup2(profile->functions, profile->function_count * sizeof(*functions));
	uint64_t left_out = profile->left_out;
	size_t count;

	if (!profile->period || !profile->function_count)
		return;
	count = choose_functions(profile, functions);
	/* What a baseline has left out before is not in this one either. */
	if (count < profile->function_count && functions[count].counts.most > left_out)
		left_out = functions[count].counts.most;
	fprintf(file, "\n[benchmark.\"%s\".profile]\nperiod = %ju\nruns = %u\nleft-out = %ju\n",
		name, (uintmax_t)profile->period, profile->runs, (uintmax_t)left_out);
	fprintf(file, "\n[benchmark.\"%s\".profile.functions]\n", name);
	qsort(functions, count, sizeof(*functions), by_function);
	for (size_t i = 0; i < count; i++)
		fprintf(file, "%s = [%ju, %ju]\n", document_quote(functions[i].name),
			(uintmax_t)functions[i].counts.least, (uintmax_t)functions[i].counts.most);
	g_free(functions);
}

static void print_benchmark(FILE *file, const struct benchmark_result *benchmark)
{
	struct process_counts *processes =
		g_memdup2(benchmark->processes, benchmark->process_count * sizeof(*processes));

	fprintf(file, "\n[benchmark.\"%s\"]\n", benchmark->name);
	print_command(file, &benchmark->command);
	fprintf(file, "runs = %u\n", benchmark->runs);
	fprintf(file, "\n[benchmark.\"%s\".total]\n", benchmark->name);
	print_counts(file, benchmark->total);
	if (benchmark->process_count)
		qsort(processes, benchmark->process_count, sizeof(*processes), by_process);
	for (size_t i = 0; i < benchmark->process_count; i++) {
		fprintf(file, "\n[benchmark.\"%s\".process.%s]\n", benchmark->name,
			document_quote(processes[i].name));
		print_counts(file, processes[i].counts);
	}
	print_profile(file, benchmark->name, &benchmark->profile);
	g_free(processes);
}

void baseline_print(FILE *file, const struct result *result)
{
	fprintf(file,
		"# A baseline, written by `vpmu gate --save'. Counts are [LEAST, MOST] of all "
		"runs.\nformat = %d\n\n[environment]\n",
		FORMAT);
	for (size_t i = 0; i < result->fact_count; i++)
		fprintf(file, "%s = %s\n", document_quote(result->facts[i].name),
			document_quote(result->facts[i].value));
	for (size_t i = 0; i < result->benchmark_count; i++)
		print_benchmark(file, &result->benchmarks[i]);
}

void baseline_write(const char *path, const struct result *result)
{
	const char *new = text("%s.%d", path, (int)getpid());
	char *folder = g_path_get_dirname(path);
	FILE *file;

	if (g_mkdir_with_parents(folder, 0777))
		fail("%s: %s", folder, strerror(errno));
	file = fopen(new, "we");
	if (!file)
		fail("%s: %s", new, strerror(errno));
	baseline_print(file, result);
	if (ferror(file) | fclose(file) || rename(new, path)) {
		int error = errno;

		unlink(new);
		fail("%s: %s", path, strerror(error));
	}
	g_free(folder);
}
