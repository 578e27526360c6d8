/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See config.h.
 */
#include "config.h"
#include "document.h"
#include "result.h"
#include "tools/util.h"

#include <glib.h>
#include <string.h>

#define PER_CENT_MAX 1e6

/* What is exact fails. What depends on the guest's kernel and on its files is warned about. */
const struct limits limits_default = {
	.hard = {
		[COUNT_INSTRUCTIONS_USER] = 0.05,
		[COUNT_INSTRUCTIONS_KERNEL] = -1,
		[COUNT_BRANCHES_USER] = -1,
		[COUNT_BRANCHES_KERNEL] = -1,
		[COUNT_SYSCALLS] = -1,
		[COUNT_PAGE_FAULTS] = -1,
		[COUNT_SWITCHES] = -1,
	},
	.soft = {
		[COUNT_INSTRUCTIONS_USER] = 0.01,
		[COUNT_INSTRUCTIONS_KERNEL] = 10,
		[COUNT_BRANCHES_USER] = 0.05,
		[COUNT_BRANCHES_KERNEL] = 10,
		[COUNT_SYSCALLS] = 1,
		[COUNT_PAGE_FAULTS] = 5,
		[COUNT_SWITCHES] = 20,
	},
};

/* "0.05%" or "0.05". */
static bool parse_per_cent(const char *text, double *value)
{
	char *end;

	if (!g_ascii_isdigit(*text))
		return false;
	*value = g_ascii_strtod(text, &end);
	return *value <= PER_CENT_MAX && (!*end || !strcmp(end, "%"));
}

void limits_take(double to[COUNT_EVENTS], const char *word)
{
	char **parts = g_strsplit(word, "=", 2);
	enum count_event event;

	if (!parts[0] || !parts[1])
		fail("gate: a limit is EVENT=N%%, such as instructions:u=1%%, not `%s'", word);
	event = count_find("gate", parts[0]);
	if (!parse_per_cent(parts[1], &to[event]))
		fail("gate: a limit is a number of per cent, such as %s=1%%, not `%s'", parts[0],
		     parts[1]);
	g_strfreev(parts);
}

static void read_limits(double to[COUNT_EVENTS], const char *path, json_t *object, const char *key)
{
	json_t *table = document_table(path, object, key), *value;
	const char *name;

	json_object_foreach(table, name, value)
	{
		enum count_event event = count_find(path, name);

		if (json_is_false(value))
			to[event] = -1;
		else if (!json_is_string(value) ||
			 !parse_per_cent(json_string_value(value), &to[event]))
			fail("%s: %s: `%s' is a text such as \"1%%\", or false for no limit", path,
			     key, name);
	}
}

bool config_name_is_good(const char *name)
{
	if (!g_ascii_isalnum(*name))
		return false;
	for (; *name; name++)
		if (!g_ascii_isalnum(*name) && !strchr("_-.+", *name))
			return false;
	return true;
}

struct benchmark *config_add(struct config *config, const char *name)
{
	struct benchmark *added;

	config->benchmarks =
		g_renew(struct benchmark, config->benchmarks, config->benchmark_count + 1);
	added = &config->benchmarks[config->benchmark_count++];
	*added = (struct benchmark){ .name = g_strdup(name), .limits = config->limits };
	return added;
}

static void read_benchmark(struct config *config, const char *path, const char *name,
			   json_t *object)
{
	static const char *const keys[] = { "command", "exit-status", "limits", "warnings", NULL };
	struct benchmark *benchmark;

	if (!config_name_is_good(name))
		fail("%s: a benchmark's name has letters, digits, `_', `-', `+' and `.', and "
		     "begins "
		     "with a letter or digit: not `%s'",
		     path, name);
	if (!json_is_object(object))
		fail("%s: `%s' is a table, [benchmark.%s]", path, name, name);
	document_check_keys(path, text("[benchmark.%s]", name), object, keys);
	benchmark = config_add(config, name);
	document_command(path, object, "command", &benchmark->command);
	benchmark->exit_status = (int)document_number(path, object, "exit-status");
	read_limits(benchmark->limits.hard, path, object, "limits");
	read_limits(benchmark->limits.soft, path, object, "warnings");
}

static void read_runs(struct config *config, const char *path, json_t *object)
{
	uint64_t runs = document_number(path, object, "runs");

	if (runs > CONFIG_RUNS_MAX || (!runs && json_object_get(object, "runs")))
		fail("%s: `runs' is from 1 to %d", path, CONFIG_RUNS_MAX);
	if (runs)
		config->runs = (unsigned int)runs;
}

void config_read(struct config *config, const char *path)
{
	static const char *const keys[] = { "baseline", "runs",      "limits",
					    "warnings", "benchmark", NULL };
	json_t *object = document_read(path), *value;
	const char *name;

	document_check_keys(path, "it", object, keys);
	name = document_text(path, object, "baseline");
	if (name && !config_name_is_good(name))
		fail("%s: `baseline' is a name, of letters and digits, not `%s'", path, name);
	if (name)
		config->baseline = g_strdup(name);
	read_runs(config, path, object);
	read_limits(config->limits.hard, path, object, "limits");
	read_limits(config->limits.soft, path, object, "warnings");
	json_object_foreach(document_table(path, object, "benchmark"), name, value)
		read_benchmark(config, path, name, value);
	json_decref(object);
}
