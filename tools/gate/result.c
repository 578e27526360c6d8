/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See result.h.
 */
#include "result.h"
#include "tools/util.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

const char *const count_names[COUNT_EVENTS] = {
	[COUNT_INSTRUCTIONS_USER] = "instructions:u",
	[COUNT_INSTRUCTIONS_KERNEL] = "instructions:k",
	[COUNT_BRANCHES_USER] = "branches:u",
	[COUNT_BRANCHES_KERNEL] = "branches:k",
	[COUNT_SYSCALLS] = "syscalls",
	[COUNT_PAGE_FAULTS] = "page-faults",
	[COUNT_SWITCHES] = "context-switches",
};

const char *count_list(void)
{
	static char *list;

	if (!list) {
		const char *names[COUNT_EVENTS + 1] = { NULL };

		memcpy(names, count_names, sizeof(count_names));
		list = g_strjoinv(", ", (char **)names);
	}
	return list;
}

enum count_event count_find(const char *where, const char *name)
{
	for (int i = 0; i < COUNT_EVENTS; i++)
		if (!strcmp(count_names[i], name))
			return (enum count_event)i;
	fail("%s: there is no count `%s', but %s", where, name, count_list());
}

void result_add_fact(struct result *result, const char *name, const char *value)
{
	struct fact fact = { g_strdup(name), g_strdup(value) };

	result->facts = g_renew(struct fact, result->facts, result->fact_count + 1);
	result->facts[result->fact_count++] = fact;
}

const char *result_fact(const struct result *result, const char *name)
{
	for (size_t i = 0; i < result->fact_count; i++)
		if (!strcmp(result->facts[i].name, name))
			return result->facts[i].value;
	return NULL;
}

struct benchmark_result *result_add(struct result *result, const char *name)
{
	struct benchmark_result *added;

	result->benchmarks =
		g_renew(struct benchmark_result, result->benchmarks, result->benchmark_count + 1);
	added = &result->benchmarks[result->benchmark_count++];
	*added = (struct benchmark_result){ .name = g_strdup(name) };
	return added;
}

const struct benchmark_result *result_find(const struct result *result, const char *name)
{
	for (size_t i = 0; i < result->benchmark_count; i++)
		if (!strcmp(result->benchmarks[i].name, name))
			return &result->benchmarks[i];
	return NULL;
}

const struct process_counts *result_process(const struct benchmark_result *benchmark,
					    const char *name)
{
	for (size_t i = 0; i < benchmark->process_count; i++)
		if (!strcmp(benchmark->processes[i].name, name))
			return &benchmark->processes[i];
	return NULL;
}

struct process_counts *result_add_process(struct benchmark_result *benchmark, const char *name)
{
	struct process_counts *added;

	benchmark->processes =
		g_renew(struct process_counts, benchmark->processes, benchmark->process_count + 1);
	added = &benchmark->processes[benchmark->process_count++];
	*added = (struct process_counts){ .name = g_strdup(name) };
	return added;
}

/* A name that was in no run before has had counts of 0 in these. */
static struct process_counts *take_process(struct benchmark_result *benchmark, const char *name)
{
	struct process_counts *process = (struct process_counts *)result_process(benchmark, name);

	if (process)
		return process;
	process = result_add_process(benchmark, name);
	for (int i = 0; i < COUNT_EVENTS && !benchmark->runs; i++)
		process->counts[i].least = UINT64_MAX;
	return process;
}

static void widen(struct range *range, uint64_t value)
{
	if (value < range->least)
		range->least = value;
	if (value > range->most)
		range->most = value;
}

/* "V... NAME": the values of this run, and the name that is behind them. */
static const char *read_values(const char *line, uint64_t values[COUNT_EVENTS])
{
	for (int i = 0; i < COUNT_EVENTS; i++) {
		char *end;

		if (!g_ascii_isdigit(*line))
			return NULL;
		values[i] = g_ascii_strtoull(line, &end, 10);
		if (*end != ' ')
			return NULL;
		line = end + 1;
	}
	return *line ? line : NULL;
}

static bool take_line(struct benchmark_result *benchmark, const char *line, GHashTable *seen,
		      uint64_t total[COUNT_EVENTS])
{
	uint64_t values[COUNT_EVENTS];
	const char *name = NULL;
	struct process_counts *process;

	if (g_str_has_prefix(line, "process "))
		name = read_values(line + strlen("process "), values);
	if (!name || !g_str_is_ascii(name) || !g_hash_table_add(seen, g_strdup(name)))
		return false;
	process = take_process(benchmark, name);
	for (int i = 0; i < COUNT_EVENTS; i++) {
		widen(&process->counts[i], values[i]);
		total[i] += values[i];
	}
	return true;
}

static void end_run(struct benchmark_result *benchmark, GHashTable *seen,
		    const uint64_t total[COUNT_EVENTS])
{
	for (int i = 0; i < COUNT_EVENTS; i++) {
		if (!benchmark->runs)
			benchmark->total[i].least = UINT64_MAX;
		widen(&benchmark->total[i], total[i]);
	}
	for (size_t i = 0; i < benchmark->process_count; i++)
		if (!g_hash_table_contains(seen, benchmark->processes[i].name))
			for (int event = 0; event < COUNT_EVENTS; event++)
				benchmark->processes[i].counts[event].least = 0;
	benchmark->runs++;
}

bool result_take_run(struct benchmark_result *benchmark, const char *counts, int *status)
{
	GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	char **lines = g_strsplit(counts, "\n", -1);
	uint64_t total[COUNT_EVENTS] = { 0 };
	bool good = lines[0] && sscanf(lines[0], "status %d", status) == 1;

	for (size_t i = 1; good && lines[i] && *lines[i]; i++)
		good = take_line(benchmark, lines[i], seen, total);
	if (good)
		end_run(benchmark, seen, total);
	g_strfreev(lines);
	g_hash_table_destroy(seen);
	return good;
}

static struct range *find_function(const struct profile *profile, const char *name)
{
	for (size_t i = 0; i < profile->function_count; i++)
		if (!strcmp(profile->functions[i].name, name))
			return &profile->functions[i].counts;
	return NULL;
}

static void add_function(struct profile *profile, const char *name, uint64_t least, uint64_t most)
{
	profile->functions =
		g_renew(struct function_counts, profile->functions, profile->function_count + 1);
	profile->functions[profile->function_count++] =
		(struct function_counts){ g_strdup(name), { least, most } };
}

void profile_take_run(struct profile *profile, GHashTable *samples, uint64_t period)
{
	GHashTableIter iter;
	void *name, *number;

	for (size_t i = 0; i < profile->function_count; i++)
		if (!g_hash_table_contains(samples, profile->functions[i].name))
			profile->functions[i].counts.least = 0;
	g_hash_table_iter_init(&iter, samples);
	while (g_hash_table_iter_next(&iter, &name, &number)) {
		uint64_t count = GPOINTER_TO_SIZE(number) * period;
		struct range *counts = find_function(profile, name);

		if (counts)
			widen(counts, count);
		else
			add_function(profile, name, profile->runs ? 0 : count, count);
	}
	profile->runs++;
}

bool profile_has(const struct profile *profile, const char *function)
{
	return find_function(profile, function) != NULL;
}

struct range profile_counts(const struct profile *profile, const char *function)
{
	const struct range *counts = find_function(profile, function);

	return counts ? *counts : (struct range){ 0, profile->left_out };
}
