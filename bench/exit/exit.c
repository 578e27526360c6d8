/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu bench exit: every candidate in every state of the guest's PMU, all that
 * belongs together in the same rounds. A candidate that has not counted what the
 * guest's PMU says is an error, not a figure.
 */
#include "exit.h"

#include "bench/lib/measure.h"
#include "bench/lib/registers.h"
#include "host.h"

#include <glib.h>
#include <stdlib.h>

extern const struct exit_build exit_plain;
extern const struct exit_build exit_thunks;

/* Instructions emulated before each sample. */
enum { SETTLE = 1000 };

/* Compilations. */
enum { BUILDS = 2 };
static const struct {
	const char *name;
	const struct exit_build *build; /* NULL: see EXIT_NO_THUNKS */
} builds[BUILDS] = {
	{ "plain", &exit_plain },
#if defined(EXIT_NO_THUNKS)
	{ "thunks", NULL },
#else
	{ "thunks", &exit_thunks },
#define EXIT_NO_THUNKS ""
#endif
};

/* How one emulated instruction follows another. */
enum { TOGETHER, APART, LOOPS };
static const char *const loops[LOOPS] = { "back to back", "apart" };

/* Privilege levels at which an event counts. */
enum { NOWHERE = 0, KERNEL = 1, USER = 2 };

/* What the guest has done with its PMU: at most one event counts. */
static const struct state {
	const char *name;
	enum vpmu_vendor_id vendor;
	unsigned int version; /* of the PMU; 0: off */
	bool is_stopped;      /* GLOBAL_CTRL is 0 */
	enum vpmu_event_id event;
	unsigned int levels; /* where it counts */
	bool drawn;
} states[] = {
	{ "PMU off", .drawn = true },
	{ "idle, GLOBAL_CTRL 0", .version = 4, .is_stopped = true },
	{ "idle", .version = 4, .drawn = true },
	{ "cycles", .version = 4, .event = VPMU_EVENT_CYCLES, .levels = KERNEL | USER,
	  .drawn = true },
	{ "instructions", .version = 4, .event = VPMU_EVENT_INSTRUCTIONS, .levels = KERNEL | USER,
	  .drawn = true },
	{ "instructions:u", .version = 4, .event = VPMU_EVENT_INSTRUCTIONS, .levels = USER },
	{ "idle", .version = 1, .drawn = true },
	{ "cycles", .version = 1, .event = VPMU_EVENT_CYCLES, .levels = KERNEL | USER },
	{ "instructions", .version = 1, .event = VPMU_EVENT_INSTRUCTIONS, .levels = KERNEL | USER },
	{ "instructions:u", .version = 1, .event = VPMU_EVENT_INSTRUCTIONS, .levels = USER },
	{ "idle", VPMU_AMD, .version = 1 },
	{ "cycles", VPMU_AMD, .version = 1, .event = VPMU_EVENT_CYCLES, .levels = KERNEL | USER },
	{ "instructions", VPMU_AMD, .version = 1, .event = VPMU_EVENT_INSTRUCTIONS,
	  .levels = KERNEL | USER },
	{ "instructions:u", VPMU_AMD, .version = 1, .event = VPMU_EVENT_INSTRUCTIONS,
	  .levels = USER },
};
#define STATES (sizeof(states) / sizeof(states[0]))

/* One candidate of one compilation in one kind of loop, and its vCPU. */
struct figure {
	const struct exit_candidate *candidate;
	struct exit_vcpu *vcpu;
	void (*run)(struct exit_vcpu *vcpu, unsigned long count);
	uint64_t emulated;
	struct measure_statistics ticks;
	struct measure_candidate *measured; /* NULL: there is no such build */
};

/* A state at a privilege level, with all that is measured in it. */
struct scenario {
	const struct state *state;
	bool user;
	struct figure figures[BUILDS][LOOPS][EXIT_CANDIDATES];
	struct measure_candidate measured[BUILDS * LOOPS * EXIT_CANDIDATES];
	size_t count;
};

struct bench {
	const struct bench_options *options;
	size_t done; /* scenarios */
	size_t all;
	struct report_table *summaries[BUILDS][LOOPS];
	struct report_table *figures;
	struct report_table *plot;
};

static void run_figure(void *argument, unsigned long count)
{
	struct figure *figure = argument;

	figure->run(figure->vcpu, count);
	figure->emulated += count;
}

/* What the one before it has left in the processor's predictors is not its figure. */
static void settle_figure(void *argument)
{
	run_figure(argument, SETTLE);
}

static bool has_global_control(const struct state *state)
{
	return state->version > 1;
}

/* Four general counters; three fixed ones where there is global control, too. */
static struct exit_guest guest_of(const struct state *state)
{
	return (struct exit_guest){
		.vendor = state->vendor,
		.version = state->version,
		.general = 4,
		.fixed = has_global_control(state) ? 3 : 0,
	};
}

/* The first general counter's event select. */
static uint64_t event_select(const struct state *state)
{
	uint64_t value = VPMU_EVTSEL_EN | VPMU_EVTSEL_INT;
	uint16_t select = 0;
	uint8_t umask = 0;

	vpmu_event_encoding(state->vendor, state->event, &select, &umask);
	value |= select | (uint64_t)umask << 8;
	value |= state->levels & KERNEL ? VPMU_EVTSEL_OS : 0;
	value |= state->levels & USER ? VPMU_EVTSEL_USR : 0;
	return state->levels ? value : 0;
}

static uint64_t fixed_ctrl(const struct state *state)
{
	uint64_t value = FIXED_PMI;
	unsigned int counter = 0;

	while (vpmu_fixed_event(counter) != state->event)
		counter++;
	value |= state->levels & KERNEL ? FIXED_OS : 0;
	value |= state->levels & USER ? FIXED_USR : 0;
	return state->levels ? value << (FIXED_BITS * counter) : 0;
}

static void program(const struct exit_candidate *candidate, struct exit_vcpu *vcpu,
		    const struct state *state)
{
	const struct exit_guest guest = guest_of(state);
	uint64_t global_ctrl = state->is_stopped ? 0 : counter_set(guest.general, guest.fixed);

	if (!state->version)
		return;
	if (!has_global_control(state)) {
		candidate->wrmsr(vcpu,
				 state->vendor == VPMU_AMD ? VPMU_AMD_MSR_K7_EVNTSEL0
							   : VPMU_MSR_PERFEVTSEL0,
				 event_select(state));
		return;
	}
	candidate->wrmsr(vcpu, VPMU_MSR_FIXED_CTR_CTRL, fixed_ctrl(state));
	candidate->wrmsr(vcpu, VPMU_MSR_PERF_GLOBAL_CTRL, global_ctrl);
}

static struct exit_vcpu *make_vcpu(const struct exit_candidate *candidate,
				   const struct scenario *scenario)
{
	const struct exit_guest guest = guest_of(scenario->state);
	struct exit_vcpu *vcpu = candidate->create(&guest);

	vcpu->rip = 0x1000;
	vcpu->next = 0x1002;
	vcpu->level = scenario->user ? 3 : 0;
	program(candidate, vcpu, scenario->state);
	return vcpu;
}

static void add_figure(struct scenario *scenario, struct figure *figure,
		       const struct exit_candidate *candidate, int loop)
{
	figure->candidate = candidate;
	figure->run = loop == APART ? candidate->run_apart : candidate->run;
	figure->vcpu = make_vcpu(candidate, scenario);
	figure->measured = &scenario->measured[scenario->count++];
	figure->measured->run = run_figure;
	figure->measured->prepare = settle_figure;
	figure->measured->argument = figure;
}

static void add_figures(struct scenario *scenario)
{
	for (int build = 0; build < BUILDS; build++)
		for (int loop = 0; builds[build].build && loop < LOOPS; loop++)
			for (int i = 0; i < EXIT_CANDIDATES; i++)
				add_figure(scenario, &scenario->figures[build][loop][i],
					   builds[build].build->candidates[i], loop);
}

static bool counts_instructions(const struct state *state, bool user)
{
	return state->event == VPMU_EVENT_INSTRUCTIONS && (state->levels & (user ? USER : KERNEL));
}

/* NULL, or what it has counted wrongly. */
static const char *check_count(const struct scenario *scenario, const struct figure *figure)
{
	const struct state *state = scenario->state;
	uint64_t expected = counts_instructions(state, scenario->user) ? figure->emulated : 0;
	uint64_t counted =
		figure->candidate->counted ? figure->candidate->counted(figure->vcpu) : expected;

	if (counted == expected)
		return NULL;
	return g_strdup_printf("%s counted %llu of %llu instructions (%s, %s level)",
			       figure->candidate->name, (unsigned long long)counted,
			       (unsigned long long)expected, state->name,
			       scenario->user ? "user" : "kernel");
}

static const char *finish_figure(struct scenario *scenario, struct figure *figure)
{
	const char *error;

	if (!figure->measured)
		return NULL;
	figure->ticks = measure_statistics(&figure->measured->ticks);
	error = check_count(scenario, figure);
	measure_free(&figure->measured->ticks);
	figure->candidate->destroy(figure->vcpu);
	return error;
}

static const char *finish_figures(struct scenario *scenario)
{
	const char *first = NULL;

	for (int build = 0; build < BUILDS; build++)
		for (int loop = 0; loop < LOOPS; loop++)
			for (int i = 0; i < EXIT_CANDIDATES; i++) {
				const char *error =
					finish_figure(scenario, &scenario->figures[build][loop][i]);

				if (!first)
					first = error;
			}
	return first;
}

static void progress(void *argument, unsigned int done, unsigned int all)
{
	struct bench *bench = argument;

	if (bench->options->progress)
		bench->options->progress(((double)bench->done + (double)done / all) /
					 (double)bench->all);
}

static struct measure_plan plan_of(struct bench *bench)
{
	const struct bench_options *options = bench->options;
	unsigned int repeat = options->repeat ? options->repeat : options->quick ? 5 : 201;

	return (struct measure_plan){
		.warm_up = options->quick ? 2 : 20,
		.repeat = repeat,
		.count = options->quick ? 100 : 5000,
		.seconds = options->seconds / (double)bench->all,
		.progress = progress,
		.argument = bench,
	};
}

static const char *global_ctrl_text(const struct state *state)
{
	if (!state->version)
		return "";
	if (has_global_control(state))
		return "with";
	return state->vendor == VPMU_AMD ? "without, AMD" : "without";
}

/* User level is told apart where it is another thing to count; else it is in the details. */
static bool is_in_summary(const struct scenario *scenario)
{
	return !scenario->user || counts_instructions(scenario->state, true);
}

/*
 * By the minimum: each sample is a mean over thousands of instructions, and what is
 * added to the least of them is the machine's other business.
 */
static double over_floor(const struct figure *figure, const struct figure *floor)
{
	return figure->ticks.minimum - floor->ticks.minimum;
}

/* A figure for each candidate but the floor. */
static void add_over_floor(struct report_value *values, const struct figure *figures)
{
	for (int i = 1; i < EXIT_CANDIDATES; i++)
		report_number(&values[i - 1], over_floor(&figures[i], &figures[0]));
}

static const char *without_text(const struct state *state)
{
	if (!state->version || has_global_control(state))
		return "";
	return state->vendor == VPMU_AMD ? "no global control, AMD" : "no global control";
}

static void add_summary(struct report_table *table, const struct scenario *scenario,
			const struct figure *figures)
{
	struct report_value *row = report_row(table);

	report_text(&row[0], "%s", scenario->state->name);
	report_text(&row[1], "%s", scenario->user ? "user" : "kernel");
	report_text(&row[2], "%s", without_text(scenario->state));
	add_over_floor(&row[3], figures);
}

static void add_plot(struct report_table *table, const struct scenario *scenario, int build)
{
	struct report_value *row = report_row(table);

	report_text(&row[0], "%s%s", scenario->state->name,
		    *without_text(scenario->state) ? " (no global control)" : "");
	report_text(&row[1], "%s", builds[build].name);
	add_over_floor(&row[2], scenario->figures[build][TOGETHER]);
}

static void add_details(struct report_table *table, const struct scenario *scenario, int build,
			int loop)
{
	const struct figure *figures = scenario->figures[build][loop];

	for (int i = 0; i < EXIT_CANDIDATES; i++) {
		struct report_value *row = report_row(table);
		const struct figure *figure = &figures[i];
		const struct measure_candidate *measured = figure->measured;

		report_text(&row[0], "%s", builds[build].name);
		report_text(&row[1], "%s", loops[loop]);
		report_text(&row[2], "%s", global_ctrl_text(scenario->state));
		report_text(&row[3], "%s", scenario->state->name);
		report_text(&row[4], "%s", scenario->user ? "user" : "kernel");
		report_text(&row[5], "%s", figure->candidate->name);
		report_number(&row[6], figure->ticks.minimum);
		report_number(&row[7], figure->ticks.median);
		report_number(&row[8], figure->ticks.p99);
		report_number(&row[9], over_floor(figure, &figures[0]));
		report_number(&row[10], measure_ns(over_floor(figure, &figures[0])));
		for (int counter = 0; counter < MEASURE_COUNTERS; counter++)
			if (measured->counted[counter])
				report_number(&row[11 + counter], measured->counts[counter]);
	}
}

static void add_rows(struct bench *bench, const struct scenario *scenario)
{
	for (int build = 0; build < BUILDS; build++) {
		if (builds[build].build && scenario->state->drawn && !scenario->user)
			add_plot(bench->plot, scenario, build);
		for (int loop = 0; builds[build].build && loop < LOOPS; loop++) {
			if (is_in_summary(scenario))
				add_summary(bench->summaries[build][loop], scenario,
					    scenario->figures[build][loop]);
			add_details(bench->figures, scenario, build, loop);
		}
	}
}

static const char *measure_scenario(struct bench *bench, const struct state *state, bool user)
{
	struct scenario *scenario = g_new(struct scenario, 1);
	struct measure_plan plan = plan_of(bench);
	const char *error;

	*scenario = (struct scenario){ .state = state, .user = user };
	add_figures(scenario);
	measure_run(&plan, scenario->measured, scenario->count);
	error = finish_figures(scenario);
	add_rows(bench, scenario);
	free(scenario);
	bench->done++;
	return error;
}

static void add_tables(struct bench *bench, struct report *report)
{
	static const struct report_column summary[] = {
		{ "state", "guest's PMU", 0 }, { "level", "level", 0 },
		{ "without", "", 0 },          { "walk", "walk", 1 },
		{ "guard", "guard", 1 },       { "mask", "mask", 1 },
		{ "ours", "ours", 1 },         { "ours_service", "ours and service", 1 },
	};
	static const struct report_column plot[] = {
		{ "state", "guest's PMU", 0 },
		{ "build", "build", 0 },
		{ "walk", "walk (Linux until 6.17)", 1 },
		{ "guard", "guard on the VM's switch", 1 },
		{ "mask", "mask (Linux 6.18)", 1 },
		{ "ours", "vpmu", 1 },
		{ "ours_service", "vpmu and service", 1 },
	};
	static const struct report_column figures[] = {
		{ "build", "build", 0 },
		{ "loop", "loop", 0 },
		{ "global_ctrl", "global control", 0 },
		{ "state", "guest's PMU", 0 },
		{ "level", "level", 0 },
		{ "candidate", "candidate", 0 },
		{ "minimum", "minimum", 2 },
		{ "median", "median", 2 },
		{ "p99", "p99", 2 },
		{ "over_floor", "over floor", 2 },
		{ "over_floor_ns", "ns", 2 },
		{ "instructions", "instructions", 1 },
		{ "branch_misses", "branch misses", 3 },
	};
	static const struct {
		const char *key;
		const char *title;
	} names[BUILDS][LOOPS] = {
		{ { "exit", "Cycles over an empty loop, one emulated instruction after the other" },
		  { "exit_apart", "The same, each instruction waited for" } },
		{ { "exit_thunks", "With retpolines and return thunks" },
		  { "exit_thunks_apart",
		    "With retpolines and return thunks, each instruction waited for" } },
	};

	for (int build = 0; build < BUILDS; build++)
		for (int loop = 0; builds[build].build && loop < LOOPS; loop++)
			bench->summaries[build][loop] = report_table(
				report, names[build][loop].key, names[build][loop].title, summary,
				sizeof(summary) / sizeof(summary[0]));
	bench->plot = report_table(report, "exit_plot", "What the plot shows", plot,
				   sizeof(plot) / sizeof(plot[0]));
	bench->plot->is_detail = true;
	bench->figures = report_table(report, "exit_figures", "Every figure, in cycles", figures,
				      sizeof(figures) / sizeof(figures[0]));
	bench->figures->is_detail = true;
}

static void add_notes(const struct bench *bench, struct report *report)
{
	struct report_table *table = bench->summaries[0][0];
	struct report_table *last = report->first;

	while (last->next && !last->next->is_detail)
		last = last->next;
	report_note(table,
		    "A cycle is one of the time stamp counter, %.3f ns. The least of all samples, "
		    "floor "
		    "taken off.",
		    measure_ns(1));
	if (*EXIT_NO_THUNKS)
		report_note(last, "No build with retpolines and return thunks: %s.",
			    EXIT_NO_THUNKS);
}

const char *bench_exit(const struct bench_options *options, struct report *report)
{
	struct bench bench = { .options = options, .all = 2 * STATES };

	add_tables(&bench, report);
	for (size_t i = 0; i < STATES; i++)
		for (int user = 0; user < 2; user++) {
			const char *error = measure_scenario(&bench, &states[i], user);

			if (error)
				return error;
		}
	add_notes(&bench, report);
	return NULL;
}
