/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu gate: run commands in throw-away guests, count what they do, and fail if that is more than
 * a baseline in the repository allows. Here are the options and the order of things.
 */
#define _GNU_SOURCE
#include "baseline.h"
#include "comparison.h"
#include "environment.h"
#include "run.h"
#include "stacks.h"
#include "tools/commands.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What seems to be more is counted so often again: it has to be more each time. */
#define CONFIRMATIONS 2

/* Runs of a profile. Samples that each is to have, about, and the least instructions between two.
 */
#define PROFILES     3
#define SAMPLES      100000
#define PERIOD_LEAST 499

#define OPTIONS_1 "--save, --compare, --baseline, --config, --runs, --limit, --warn, --name, "
#define OPTIONS_2 "--functions, --table, --json, --markdown, --bmf, --github, --folded, --callgrind"

const char gate_usage[] =
	"usage: vpmu gate [options] [BENCHMARK ...]\n"
	"       vpmu gate [options] -- COMMAND ...\n"
	"\n"
	"Counts what benchmarks (of vpmu.toml; all, or those named) or a command do, each run in "
	"a\n"
	"throw-away guest where the same command counts the same, and compares with a baseline.\n"
	"Exits with 0; with 3 if a count is more than its limit; with 4 if a command fails; with "
	"2\n"
	"if something else is wrong.\n"
	"\n"
	"  --save             write a baseline, vpmu-gate/NAME.toml, and compare with none\n"
	"  --compare          compare with the baseline (default)\n"
	"  --baseline NAME    which baseline (default main)\n"
	"  --config FILE      benchmarks and limits (default vpmu.toml)\n"
	"  --runs N           runs of each (default: 5 for a baseline, else 1)\n"
	"  --limit EVENT=N%   fail if a count is more by that; repeatable. Counts are\n"
	"                     instructions:u, instructions:k, branches:u, branches:k, syscalls,\n"
	"                     page-faults and context-switches (default instructions:u=0.05%)\n"
	"  --warn EVENT=N%    the same, but only say so\n"
	"  --name NAME        what COMMAND is called in the baseline (default: its program's "
	"name)\n"
	"  --functions WHEN   which functions have changed, by samples of three more runs: "
	"always,\n"
	"                     never, or auto, the default: for a baseline, and at a failure\n"
	"  --table FILE       the result for people (default: on standard output); here and below\n"
	"                     - is standard output\n"
	"  --json FILE        ... as JSON, all of it\n"
	"  --markdown FILE    ... as Markdown, appended: such as $GITHUB_STEP_SUMMARY\n"
	"  --bmf FILE         ... for Bencher\n"
	"  --github FILE      ... for github-action-benchmark (customSmallerIsBetter)\n"
	"  --folded FILE      the samples of functions as folded stacks, for flame graphs; this "
	"and\n"
	"                     the next one need one benchmark\n"
	"  --callgrind FILE   ... as callgrind.out, for KCachegrind\n"
	"  --help             this text\n"
	"\n"
	"The guest's options are those of vpmu exec, but for --bring-out, --bring-out-all and\n"
	"--regions; it is always --deterministic.\n";

enum functions { FUNCTIONS_AUTO, FUNCTIONS_ALWAYS, FUNCTIONS_NEVER };

static struct options {
	struct guest_options guest;
	bool save, compare;
	const char *baseline, *config, *runs, *name, *functions;
	const char *table, *json, *markdown, *bmf, *github, *folded, *callgrind;
	struct args limits, warnings;
} options = { .guest = GUEST_OPTIONS_DEFAULT };

static enum functions functions;
static unsigned int runs;

/* --- options ------------------------------------------------------------------------------- */

static bool take_repeatable(char **argv, int *i)
{
	const char *value = option_value(argv, i, "--limit");

	if (value) {
		args_add(&options.limits, value);
		return true;
	}
	value = option_value(argv, i, "--warn");
	if (value)
		args_add(&options.warnings, value);
	return value != NULL;
}

static bool take_option(char **argv, int *i)
{
	const struct option_text known[] = {
		{ "--baseline", &options.baseline },
		{ "--config", &options.config },
		{ "--runs", &options.runs },
		{ "--name", &options.name },
		{ "--functions", &options.functions },
		{ "--table", &options.table },
		{ "--json", &options.json },
		{ "--markdown", &options.markdown },
		{ "--bmf", &options.bmf },
		{ "--github", &options.github },
		{ "--folded", &options.folded },
		{ "--callgrind", &options.callgrind },
	};

	if (!strcmp(argv[*i], "--save"))
		options.save = true;
	else if (!strcmp(argv[*i], "--compare"))
		options.compare = true;
	else
		return option_take(argv, i, known, sizeof(known) / sizeof(known[0])) ||
		       take_repeatable(argv, i) || guest_option_take(&options.guest, argv, i);
	return true;
}

/* Returns the index of the words behind the options; 0: the usage was asked for. */
static int take_options(char **argv)
{
	int i = 1;

	for (; argv[i] && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
		if (!strcmp(argv[i], "--help")) {
			fputs(gate_usage, stdout);
			return 0;
		}
		if (!take_option(argv, &i))
			fail("gate: unknown option `%s'; there are " OPTIONS_1 OPTIONS_2
			     ", and those of a guest (vpmu gate --help)",
			     argv[i]);
	}
	return i;
}

static void check_functions(void)
{
	const char *when = options.functions ? options.functions : "auto";

	if (!strcmp(when, "always"))
		functions = FUNCTIONS_ALWAYS;
	else if (!strcmp(when, "never"))
		functions = FUNCTIONS_NEVER;
	else if (strcmp(when, "auto") != 0)
		fail("gate: --functions is always, never or auto, not `%s'", when);
	if (!options.folded && !options.callgrind)
		return;
	if (functions == FUNCTIONS_NEVER)
		fail("gate: --folded and --callgrind need samples: not with --functions never");
	functions = FUNCTIONS_ALWAYS;
}

static void check_options(void)
{
	unsigned long number;

	if (options.save && options.compare)
		fail("gate: --save or --compare: a baseline is compared with none");
	if (options.runs && (!parse_number(options.runs, CONFIG_RUNS_MAX, &number) || !number))
		fail("gate: --runs is a number from 1 to %d, not `%s'", CONFIG_RUNS_MAX,
		     options.runs);
	runs = options.runs ? (unsigned int)number : 0;
	if (options.baseline && !config_name_is_good(options.baseline))
		fail("gate: --baseline is a name of letters, digits, `_', `-', `+' and `.', not "
		     "`%s'",
		     options.baseline);
	if (options.name && !config_name_is_good(options.name))
		fail("gate: --name is a name of letters, digits, `_', `-', `+' and `.', not `%s'",
		     options.name);
	if (options.guest.out.count || options.guest.out_all || options.guest.regions)
		fail("gate: there is no --bring-out, --bring-out-all and --regions: they are for "
		     "vpmu perf and vpmu exec");
	check_functions();
	options.guest.deterministic = true;
	guest_options_settle(&options.guest);
}

/* --- what is to be run --------------------------------------------------------------------- */

static void set_limits(struct limits *limits)
{
	for (size_t i = 0; i < options.limits.count; i++)
		limits_take(limits->hard, options.limits.v[i]);
	for (size_t i = 0; i < options.warnings.count; i++)
		limits_take(limits->soft, options.warnings.v[i]);
}

/* A name that stands for the program's, if that is none. */
static char *name_of(const char *program)
{
	char *name = g_path_get_basename(program);

	for (char *at = name; *at; at++)
		if (!g_ascii_isalnum(*at) && !strchr("_-.+", *at))
			*at = '-';
	return g_ascii_isalnum(*name) ? name : text("x%s", name);
}

static void add_command(struct config *config, char *const *words)
{
	struct benchmark *benchmark;

	if (!words[0])
		fail("gate: which command? For example: vpmu gate --save -- sort words");
	config->benchmark_count = 0;
	benchmark = config_add(config, options.name ? options.name : name_of(words[0]));
	args_add_all(&benchmark->command, words);
}

static void keep_named(struct config *config, char *const *names)
{
	struct config all = *config;

	config->benchmarks = NULL;
	config->benchmark_count = 0;
	for (; *names; names++) {
		size_t i = 0;

		while (i < all.benchmark_count && strcmp(all.benchmarks[i].name, *names) != 0)
			i++;
		if (i == all.benchmark_count)
			fail("gate: there is no benchmark `%s' in %s (a command comes behind --)",
			     *names, options.config);
		*config_add(config, *names) = all.benchmarks[i];
	}
}

static void settle_config(struct config *config, char *const *words)
{
	bool named = options.config != NULL;

	*config = (struct config){ .baseline = (char *)"main",
				   .runs = CONFIG_RUNS,
				   .limits = limits_default };
	if (!named)
		options.config = CONFIG_FILE;
	if (named || file_exists(options.config))
		config_read(config, options.config);
	if (words[0] && !strcmp(words[0], "--"))
		add_command(config, words + 1);
	else if (words[0])
		keep_named(config, words);
	if (!config->benchmark_count)
		fail("gate: what is to be run? A command behind --, or benchmarks in %s",
		     options.config);
	if (options.name && (!words[0] || strcmp(words[0], "--") != 0))
		fail("gate: --name is for a command behind --");
	if ((options.folded || options.callgrind) && config->benchmark_count != 1)
		fail("gate: --folded and --callgrind are of one benchmark: name it");
	for (size_t i = 0; i < config->benchmark_count; i++)
		set_limits(&config->benchmarks[i].limits);
	if (options.baseline)
		config->baseline = (char *)options.baseline;
	runs = runs ? runs : options.save ? config->runs : 1;
}

/* Before anything runs: guests take long. */
static void check_programs(const struct config *config)
{
	for (size_t i = 0; i < config->benchmark_count; i++) {
		char *found = g_find_program_in_path(config->benchmarks[i].command.v[0]);

		if (!found)
			fail("gate: %s: there is no program `%s'", config->benchmarks[i].name,
			     config->benchmarks[i].command.v[0]);
		g_free(found);
	}
}

/* --- measuring ----------------------------------------------------------------------------- */

static void say(const struct benchmark *benchmark, const char *what, unsigned int number)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "vpmu: gate: %s: %s %u\n", benchmark->name, what, number);
}

static void count_benchmark(const struct benchmark *benchmark, struct benchmark_result *result,
			    const struct benchmark_result *before)
{
	args_add_all(&result->command, benchmark->command.v);
	for (unsigned int i = 0; i < runs; i++) {
		say(benchmark, "run", i + 1);
		run_count(&options.guest, benchmark, result);
	}
	for (unsigned int i = 0; before && i < CONFIRMATIONS; i++) {
		if (verdict_worst(before, result, &benchmark->limits) != VERDICT_FAILURE)
			return;
		say(benchmark, "more than its limit: run", result->runs + 1);
		run_count(&options.guest, benchmark, result);
	}
}

/* An even period could keep step with what programs do. */
static uint64_t choose_period(const struct benchmark_result *result)
{
	uint64_t period = result->total[COUNT_INSTRUCTIONS_USER].least / SAMPLES;

	return (period > PERIOD_LEAST ? period : PERIOD_LEAST) | 1;
}

static void open_and_print(const char *path, const char *mode, const struct comparison *comparison,
			   format_print *print)
{
	FILE *file;

	if (!path)
		return;
	if (!strcmp(path, "-")) {
		print(stdout, comparison);
		return;
	}
	file = fopen(path, mode);
	if (!file)
		fail("%s: %s", path, strerror(errno));
	print(file, comparison);
	if (ferror(file) | fclose(file))
		fail("%s: it cannot be written", path);
}

static FILE *open_for_stacks(const char *path)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "we") : fdopen(dup(STDOUT_FILENO), "w");

	if (!file)
		fail("%s: %s", path, strerror(errno));
	return file;
}

static void write_stacks(const struct stacks *stacks, const struct benchmark *benchmark,
			 uint64_t period)
{
	FILE *file;

	if (options.folded) {
		file = open_for_stacks(options.folded);
		stacks_print_folded(file, stacks, period);
		if (ferror(file) | fclose(file))
			fail("%s: it cannot be written", options.folded);
	}
	if (options.callgrind) {
		file = open_for_stacks(options.callgrind);
		stacks_print_callgrind(file, stacks, period, g_strjoinv(" ", benchmark->command.v));
		if (ferror(file) | fclose(file))
			fail("%s: it cannot be written", options.callgrind);
	}
}

/* Stacks are written of the first run. */
static void sample_benchmark(const struct benchmark *benchmark, struct benchmark_result *result,
			     const struct benchmark_result *before)
{
	struct profile *profile = &result->profile;

	profile->period =
		before && before->profile.period ? before->profile.period : choose_period(result);
	for (unsigned int i = 0; i < PROFILES; i++) {
		uint64_t period = profile->period + i * (profile->period / 50 * 2 + 2);
		struct stacks stacks = { 0 };
		char *script;

		say(benchmark, "samples, run", i + 1);
		script = run_profile(&options.guest, benchmark, period);
		stacks_parse(&stacks, script);
		g_free(script);
		stacks_profile(&stacks, profile, period);
		if (!i)
			write_stacks(&stacks, benchmark, period);
		stacks_free(&stacks);
	}
}

static bool wants_functions(const struct benchmark *benchmark,
			    const struct benchmark_result *result,
			    const struct benchmark_result *before)
{
	if (functions != FUNCTIONS_AUTO)
		return functions == FUNCTIONS_ALWAYS;
	return options.save ||
	       (before && verdict_worst(before, result, &benchmark->limits) == VERDICT_FAILURE);
}

static void measure(const struct config *config, const struct result *before, struct result *now)
{
	for (size_t i = 0; i < config->benchmark_count; i++) {
		const struct benchmark *benchmark = &config->benchmarks[i];
		const struct benchmark_result *old =
			before ? result_find(before, benchmark->name) : NULL;
		struct benchmark_result *result = result_add(now, benchmark->name);

		count_benchmark(benchmark, result, old);
		if (wants_functions(benchmark, result, old))
			sample_benchmark(benchmark, result, old);
	}
}

/* --- the result ---------------------------------------------------------------------------- */

static void judge(struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->config->benchmark_count; i++) {
		struct pair pair = comparison_pair(comparison, i);
		enum verdict worst;

		if (!pair.before)
			continue;
		worst = verdict_worst(pair.before, pair.now, &pair.benchmark->limits);
		if (worst > comparison->worst)
			comparison->worst = worst;
	}
}

static void print_all(const struct comparison *comparison)
{
	bool to_stdout = false;
	const char *others[] = { options.json,   options.markdown, options.bmf,
				 options.github, options.folded,   options.callgrind };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		to_stdout |= others[i] && !strcmp(others[i], "-");
	open_and_print(options.table ? options.table
		       : to_stdout   ? NULL
				     : "-",
		       "we", comparison, format_table);
	open_and_print(options.json, "we", comparison, format_json);
	open_and_print(options.markdown, "ae", comparison, format_markdown);
	open_and_print(options.bmf, "we", comparison, format_bmf);
	open_and_print(options.github, "we", comparison, format_github);
}

/* Benchmarks that were not run now stay as they are in it. */
static void save(const char *path, struct result *now)
{
	struct result old = { 0 }, merged = *now;

	if (file_exists(path))
		baseline_read(&old, path);
	merged.benchmarks = NULL;
	merged.benchmark_count = 0;
	for (size_t i = 0; i < old.benchmark_count; i++)
		if (!result_find(now, old.benchmarks[i].name))
			*result_add(&merged, "") = old.benchmarks[i];
	for (size_t i = 0; i < now->benchmark_count; i++)
		*result_add(&merged, "") = now->benchmarks[i];
	baseline_write(path, &merged);
	fprintf(stderr, "vpmu: gate: written: %s\n", path);
}

int command_gate(int argc, char **argv)
{
	struct result before = { 0 }, now = { 0 };
	struct comparison comparison = { .now = &now };
	struct config config;
	const char *path;
	int at = take_options(argv);

	(void)argc;
	if (!at)
		return 0;
	check_options();
	settle_config(&config, argv + at);
	check_programs(&config);
	path = baseline_path(config.baseline);
	if (!options.save && !file_exists(path))
		fail("gate: there is no baseline %s: `vpmu gate --save' writes it", path);
	if (!options.save) {
		baseline_read(&before, path);
		comparison.before = &before;
	}
	comparison.config = &config;
	run_begin(&options.guest);
	environment_add(&now, &options.guest);
	measure(&config, comparison.before, &now);
	if (comparison.before)
		environment_differences(&before, &now, &comparison.differences);
	judge(&comparison);
	print_all(&comparison);
	if (options.save)
		save(path, &now);
	return comparison.worst == VERDICT_FAILURE ? EXIT_BEYOND : 0;
}
