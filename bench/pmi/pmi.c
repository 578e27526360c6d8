/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pmi.h. Every round replays each trace with each subject, in turn; what the
 * engine and the system call counter find becomes tables. The subjects know nothing
 * of being measured.
 */
#define _GNU_SOURCE
#include "pmi.h"

#include "own.h"
#include "replay.h"
#include "sampler.h"
#include "syscalls.h"
#include "work.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUBJECTS 4
#define WARM_UP  20 /* PMIs */

/* What is measured of one subject on one trace. */
struct figures {
	struct replay_result whole;
	struct replay_result handler;
	struct replay_result service;
	struct syscalls syscalls;
};

/* One trace, in one surrounding. */
struct scene {
	char *name;
	struct trace trace;
	struct plan plan;     /* over perf events */
	struct plan own_plan; /* over memory */
	bool alone;           /* see struct replay_options */
	struct figures figures[SUBJECTS];
	struct own own; /* the library over memory */
};

struct bench {
	const struct bench_options *options;
	struct report *report;
	enum subject_events events;
	struct scene *scenes;
	size_t scene_count;
	double empty; /* ticks between two readings of the clock */
};

static const char *const shipped[] = { "one", "six", "ten" };

/* In the build folder, beside the program. */
static char *shipped_path(const char *name)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	path[length < 0 ? 0 : length] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	return g_strdup_printf("%s/bench/traces/%s.trace", path, name);
}

static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = g_strdup(slash ? slash + 1 : path);
	char *dot = strrchr(name, '.');

	if (dot && dot != name)
		*dot = '\0';
	return name;
}

static const char *add_scene(struct bench *bench, const char *path, bool alone)
{
	struct scene *scene;
	const char *error;

	bench->scenes = g_renew(struct scene, bench->scenes, bench->scene_count + 1);
	scene = &bench->scenes[bench->scene_count++];
	*scene = (struct scene){ .name = name_of(path), .alone = alone };
	error = trace_load(path, &scene->trace);
	if (!error)
		error = plan_make(&scene->plan, &scene->trace, 0, bench->events);
	if (!error)
		error = plan_make(&scene->own_plan, &scene->trace, 0, EVENTS_MEMORY);
	if (!error && scene->plan.timed <= WARM_UP)
		error = "it has no more than 20 PMIs with a handler";
	return error ? g_strdup_printf("%s: %s", path, error) : NULL;
}

static const char *add_scenes(struct bench *bench)
{
	const struct bench_options *options = bench->options;
	size_t count = options->trace_count;
	const char *error = NULL;
	const char *first;

	if (!count)
		count = sizeof(shipped) / sizeof(shipped[0]);
	for (size_t i = 0; i < count && !error; i++)
		error = add_scene(
			bench, options->trace_count ? options->traces[i] : shipped_path(shipped[i]),
			false);
	if (error)
		return error;
	first = options->trace_count ? options->traces[0] : shipped_path(shipped[0]);
	return add_scene(bench, first, true);
}

static void remove_scenes(struct bench *bench)
{
	for (size_t i = 0; i < bench->scene_count; i++) {
		struct scene *scene = &bench->scenes[i];

		for (int k = 0; k < SUBJECTS; k++) {
			replay_result_free(&scene->figures[k].whole);
			replay_result_free(&scene->figures[k].handler);
			replay_result_free(&scene->figures[k].service);
		}
		own_free(&scene->own);
		plan_free(&scene->plan);
		plan_free(&scene->own_plan);
		trace_free(&scene->trace);
		free(scene->name);
	}
	free(bench->scenes);
}

/* Measuring. */

static const char *measure_one(const struct plan *plan, const struct subject_ops *ops, bool alone,
			       struct figures *figures)
{
	struct replay_options options = { .warm_up = WARM_UP, .alone = alone };
	const char *error;

	options.time = TIME_WHOLE;
	error = replay_run(plan, ops, &options, &figures->whole);
	options.time = TIME_HANDLER;
	if (!error)
		error = replay_run(plan, ops, &options, &figures->handler);
	options.time = TIME_SERVICE;
	if (!error)
		error = replay_run(plan, ops, &options, &figures->service);
	return error;
}

/* Each subject once, starting with another one each time. */
static const char *measure_round(struct scene *scene, unsigned int round)
{
	const char *error = NULL;

	for (unsigned int i = 0; i < SUBJECTS && !error; i++) {
		unsigned int k = (round + i) % SUBJECTS;

		error = measure_one(&scene->plan, subjects[k], scene->alone, &scene->figures[k]);
	}
	if (!error && !scene->alone)
		own_run(&scene->own_plan, WARM_UP, &scene->own);
	return error;
}

static void progress(const struct bench *bench, double part)
{
	if (bench->options->progress)
		bench->options->progress(part);
}

static unsigned int rounds_wanted(const struct bench_options *options)
{
	if (options->repeat)
		return options->repeat;
	return options->quick ? 1 : 15;
}

static const char *measure_times(struct bench *bench)
{
	unsigned int rounds = rounds_wanted(bench->options);
	double end = measure_now() + bench->options->seconds;
	const char *error = NULL;

	for (unsigned int round = 0; (round < rounds || measure_now() < end) && !error; round++) {
		for (size_t i = 0; i < bench->scene_count && !error; i++)
			error = measure_round(&bench->scenes[i], round);
		progress(bench, round < rounds ? 0.8 * (round + 1) / rounds : 0.8);
	}
	return error;
}

static const char *count_calls(struct bench *bench)
{
	const char *error = NULL;

	for (size_t i = 0; i < bench->scene_count && !error; i++) {
		struct scene *scene = &bench->scenes[i];

		for (int k = 0; k < SUBJECTS && !error && !scene->alone; k++) {
			struct replay_options options = { .warm_up = WARM_UP };

			error = syscalls_count(&scene->plan, subjects[k], &options,
					       &scene->figures[k].syscalls);
		}
		progress(bench, 0.8 + 0.2 * (double)(i + 1) / (double)bench->scene_count);
	}
	return error;
}

static double empty_measurement(void)
{
	struct measure_samples samples = { 0 };
	double median;

	for (int i = 0; i < 2000; i++) {
		uint64_t from = measure_begin();

		measure_add(&samples, (double)(measure_end() - from));
	}
	median = measure_statistics(&samples).median;
	measure_free(&samples);
	return median;
}

/* Nanoseconds, without what is not the PMI's. */
static struct measure_statistics ns(struct measure_samples *samples, double minus)
{
	struct measure_statistics s = measure_statistics(samples);

	s.minimum = measure_ns(s.minimum - minus);
	s.median = measure_ns(s.median - minus);
	s.p99 = measure_ns(s.p99 - minus);
	return s;
}

static struct measure_statistics whole_ns(struct figures *figures)
{
	return ns(&figures->whole.pmi, measure_statistics(&figures->whole.unit).median);
}

/* Tables. */

static char *label(const struct scene *scene)
{
	return scene->alone ? g_strdup_printf("%s, alone", scene->name) : g_strdup(scene->name);
}

static void set_label(struct report_value *value, const struct scene *scene)
{
	char *text = label(scene);

	report_text(value, "%s", text);
	free(text);
}

static void main_notes(const struct bench *bench, struct report_table *table)
{
	const struct work_kind *kind = &work_kinds[bench->events];

	for (int k = 0; k < SUBJECTS; k++)
		report_note(table, "%s: %s", subjects[k]->name, subjects[k]->what);
	report_note(table, "events: %s, %u units of %llu between two PMIs, one unit subtracted",
		    kind->name, kind->units, (unsigned long long)kind->weight);
	report_note(table, "overflows are told by %s",
		    sampler_signal() == SIGTRAP ? "SIGTRAP, the events' own signal"
						: "a queued signal of the events' files, since "
						  "this kernel's events send no SIGTRAP");
	report_note(table, "alone: no other event of this kind is open on the machine");
}

/* The main one: a PMI, and how much more the others take. */
static void main_table(struct bench *bench)
{
	struct report_column columns[2 * SUBJECTS] = {
		{ "trace", "trace", 0 }, { subjects[0]->name, subjects[0]->name, 0 }
	};
	struct report_table *table;

	for (int k = 1; k < SUBJECTS; k++) {
		char *key = g_strdup_printf("%s_of_ours", subjects[k]->name);

		columns[2 * k] = (struct report_column){ subjects[k]->name, subjects[k]->name, 0 };
		columns[2 * k + 1] = (struct report_column){ key, "of ours", 2 };
	}
	table = report_table(bench->report, "pmi_main",
			     "One PMI end to end, in ns at the median: from the unit that "
			     "overflows to the end of the guest's handler",
			     columns, 2 * SUBJECTS);
	for (int k = 1; k < SUBJECTS; k++)
		free((char *)columns[2 * k + 1].key);
	for (size_t i = 0; i < bench->scene_count; i++) {
		struct figures *figures = bench->scenes[i].figures;
		struct report_value *row = report_row(table);
		double ours = whole_ns(&figures[0]).median;

		set_label(&row[0], &bench->scenes[i]);
		report_number(&row[1], ours);
		for (int k = 1; k < SUBJECTS; k++) {
			double median = whole_ns(&figures[k]).median;

			report_number(&row[2 * k], median);
			report_number(&row[2 * k + 1], median / ours);
		}
	}
	main_notes(bench, table);
}

static void plot_table(struct bench *bench)
{
	struct report_column columns[1 + SUBJECTS] = { { "trace", "trace", 0 } };
	struct report_table *table;

	for (int k = 0; k < SUBJECTS; k++)
		columns[1 + k] = (struct report_column){ subjects[k]->name, subjects[k]->name, 0 };
	table = report_table(bench->report, "pmi_plot",
			     "One PMI end to end, in ns at the median: from the unit that "
			     "overflows to the end of the guest's handler",
			     columns, 1 + SUBJECTS);
	for (size_t i = 0; i < bench->scene_count; i++) {
		struct report_value *row = report_row(table);

		set_label(&row[0], &bench->scenes[i]);
		for (int k = 0; k < SUBJECTS; k++)
			report_number(&row[1 + k], whole_ns(&bench->scenes[i].figures[k]).median);
	}
	table->is_detail = true;
}

static void times_table(struct bench *bench)
{
	static const struct report_column columns[] = {
		{ "trace", "trace", 0 },
		{ "subject", "subject", 0 },
		{ "minimum", "least", 0 },
		{ "median", "median", 0 },
		{ "p99", "99 %", 0 },
		{ "of_ours", "of ours", 2 },
		{ "exit_median", "from exit", 0 },
		{ "exit_of_ours", "of ours", 2 },
		{ "service_median", "service", 0 },
	};
	struct report_table *table = report_table(bench->report, "pmi", "One PMI, in ns", columns,
						  sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; i < bench->scene_count; i++) {
		struct figures *figures = bench->scenes[i].figures;
		double ours = whole_ns(&figures[0]).median;
		double ours_exit = ns(&figures[0].handler.pmi, bench->empty).median;

		for (int k = 0; k < SUBJECTS; k++) {
			struct report_value *row = report_row(table);
			struct measure_statistics whole = whole_ns(&figures[k]);
			double from_exit = ns(&figures[k].handler.pmi, bench->empty).median;

			set_label(&row[0], &bench->scenes[i]);
			report_text(&row[1], "%s", subjects[k]->name);
			report_number(&row[2], whole.minimum);
			report_number(&row[3], whole.median);
			report_number(&row[4], whole.p99);
			report_number(&row[5], whole.median / ours);
			report_number(&row[6], from_exit);
			report_number(&row[7], from_exit / ours_exit);
			report_number(&row[8], ns(&figures[k].service.pmi, bench->empty).median);
		}
	}
	report_note(table, "from exit: without the unit and without the kernel's way from the "
			   "overflow to the signal handler and back");
	report_note(table, "service: what is done before the entry that follows the overflow "
			   "(KVM: kvm_pmu_handle_event)");
}

static void own_table(struct bench *bench)
{
	static const struct report_column columns[] = {
		{ "trace", "trace", 0 },
		{ "minimum", "PMI: least", 0 },
		{ "median", "median", 0 },
		{ "p99", "99 %", 0 },
		{ "service_minimum", "service: least", 0 },
		{ "service_median", "median", 0 },
		{ "service_p99", "99 %", 0 },
	};
	struct report_table *table = report_table(
		bench->report, "pmi_own",
		"The library's own part of a PMI, in ns: all its calls, over totals in memory",
		columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; i < bench->scene_count; i++) {
		struct own *own = &bench->scenes[i].own;
		struct measure_statistics pmi, service;
		struct report_value *row;

		if (bench->scenes[i].alone)
			continue;
		pmi = ns(&own->pmi, bench->empty);
		service = ns(&own->service, bench->empty);
		row = report_row(table);
		set_label(&row[0], &bench->scenes[i]);
		report_number(&row[1], pmi.minimum);
		report_number(&row[2], pmi.median);
		report_number(&row[3], pmi.p99);
		report_number(&row[4], service.minimum);
		report_number(&row[5], service.median);
		report_number(&row[6], service.p99);
	}
}

static void calls_table(struct bench *bench)
{
	struct report_column columns[3 + SYSCALL_KINDS] = {
		{ "trace", "trace", 0 },
		{ "subject", "subject", 0 },
		{ "all", "all", 2 },
	};
	struct report_table *table;

	for (int kind = 0; kind < SYSCALL_KINDS; kind++)
		columns[3 + kind] =
			(struct report_column){ syscall_names[kind], syscall_names[kind], 2 };
	table = report_table(bench->report, "pmi_calls", "System calls of one PMI", columns,
			     3 + SYSCALL_KINDS);
	for (size_t i = 0; i < bench->scene_count; i++) {
		for (int k = 0; k < SUBJECTS && !bench->scenes[i].alone; k++) {
			const struct syscalls *s = &bench->scenes[i].figures[k].syscalls;
			struct report_value *row = report_row(table);
			double pmis = (double)s->pmis;

			set_label(&row[0], &bench->scenes[i]);
			report_text(&row[1], "%s", subjects[k]->name);
			report_number(&row[2], (double)syscalls_in(s, PHASE_PMI) / pmis);
			for (int kind = 0; kind < SYSCALL_KINDS; kind++)
				report_number(&row[3 + kind],
					      (double)s->calls[PHASE_PMI][kind] / pmis);
		}
	}
}

static size_t calls_in_all(const struct syscalls *syscalls, enum syscall_kind kind)
{
	size_t sum = 0;

	for (int phase = PHASE_SETUP; phase < PHASE_KINDS; phase++)
		sum += syscalls->calls[phase][kind];
	return sum;
}

static void events_table(struct bench *bench)
{
	static const struct report_column columns[] = {
		{ "trace", "trace", 0 },
		{ "subject", "subject", 0 },
		{ "changes", "changed by the guest", 0 },
		{ "opened", "opened", 0 },
		{ "closed", "closed", 0 },
		{ "opened_pmi", "opened in PMIs", 0 },
		{ "closed_pmi", "closed in PMIs", 0 },
	};
	struct report_table *table =
		report_table(bench->report, "pmi_events", "Perf events of a whole replay", columns,
			     sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; i < bench->scene_count; i++) {
		const struct scene *scene = &bench->scenes[i];

		for (int k = 0; k < SUBJECTS && !scene->alone; k++) {
			const struct syscalls *s = &scene->figures[k].syscalls;
			struct report_value *row = report_row(table);

			set_label(&row[0], scene);
			report_text(&row[1], "%s", subjects[k]->name);
			report_number(&row[2], (double)scene->plan.event_changes);
			report_number(&row[3], (double)calls_in_all(s, SYSCALL_OPEN));
			report_number(&row[4], (double)calls_in_all(s, SYSCALL_CLOSE));
			report_number(&row[5], (double)s->calls[PHASE_PMI][SYSCALL_OPEN]);
			report_number(&row[6], (double)s->calls[PHASE_PMI][SYSCALL_CLOSE]);
		}
	}
	report_note(table, "changed by the guest: times that a counter was enabled for another "
			   "event than before");
}

static void checks_row(struct report_table *table, const struct scene *scene, const char *subject,
		       const struct replay_result *result)
{
	struct report_value *row = report_row(table);

	set_label(&row[0], scene);
	report_text(&row[1], "%s", subject);
	report_number(&row[2], (double)(result->pmis + result->lost));
	report_number(&row[3], (double)result->pmis);
	report_number(&row[4], (double)result->lost);
	report_number(&row[5], (double)result->spurious);
	report_number(&row[6], (double)result->other);
	report_number(&row[7], (double)result->early);
	report_number(&row[8], (double)result->split);
	report_number(&row[9], (double)scene->plan.left_out);
	report_number(&row[10], (double)result->disagreed);
}

static void checks_table(struct bench *bench)
{
	static const struct report_column columns[] = {
		{ "trace", "trace", 0 },
		{ "subject", "subject", 0 },
		{ "expected", "PMIs expected", 0 },
		{ "came", "came", 0 },
		{ "lost", "lost", 0 },
		{ "spurious", "spurious", 0 },
		{ "other", "of other counters", 0 },
		{ "early", "early", 0 },
		{ "split", "split", 0 },
		{ "left_out", "left out", 0 },
		{ "disagreed", "other answers", 0 },
	};
	struct report_table *table =
		report_table(bench->report, "pmi_checks", "Was it the trace that was replayed?",
			     columns, sizeof(columns) / sizeof(columns[0]));

	table->is_detail = true;
	for (size_t i = 0; i < bench->scene_count; i++) {
		struct scene *scene = &bench->scenes[i];

		for (int k = 0; k < SUBJECTS; k++)
			checks_row(table, scene, subjects[k]->name, &scene->figures[k].whole);
	}
	report_note(table, "early: by a unit or more, from page faults of the host itself; split: "
			   "counters that overflow together gave two PMIs; left out: no counter's "
			   "value can bring them about");
}

const char *bench_pmi(const struct bench_options *options, struct report *report)
{
	struct bench bench = { .options = options, .report = report };
	const char *error;

	bench.events = work_available(EVENTS_HARDWARE) ? EVENTS_SOFTWARE : EVENTS_HARDWARE;
	error = work_available(bench.events);
	if (!error)
		error = add_scenes(&bench);
	if (!error) {
		bench.empty = empty_measurement();
		error = measure_times(&bench);
	}
	if (!error)
		error = count_calls(&bench);
	if (!error) {
		main_table(&bench);
		plot_table(&bench);
		times_table(&bench);
		own_table(&bench);
		calls_table(&bench);
		events_table(&bench);
		checks_table(&bench);
	}
	remove_scenes(&bench);
	return error;
}
