/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tables.h.
 */
#include "tables.h"

#include "figures.h"

#include <glib.h>
#include <math.h>
#include <string.h>

/* All that is known of one instruction and state. */
struct exit_figures {
	struct measure_statistics ticks;
	struct figures_count counts[COUNTERS_EVENTS];
};

static struct exit_figures figures_of(const struct vmexit_figures *figures,
				      struct subject_figures *of)
{
	struct exit_figures exit = { .ticks = measure_statistics(&of->ticks) };

	if (figures->no_cycles || !exit.ticks.count)
		exit.ticks.minimum = exit.ticks.median = exit.ticks.p99 = NAN;
	for (int i = 0; i < COUNTERS_EVENTS; i++) {
		exit.counts[i] =
			figures_count(&of->counts[BATCH_SMALL][i], subject_turns[BATCH_SMALL],
				      &of->counts[BATCH_LARGE][i], subject_turns[BATCH_LARGE]);
		if (!of->counted[i])
			exit.counts[i].each = NAN;
	}
	return exit;
}

static bool is_wanted(const struct vmexit_figures *figures, int exit, int state)
{
	return figures->exits >> exit & 1 && figures->states >> state & 1;
}

static bool is_measured(const struct vmexit_figures *figures, int exit, int state)
{
	return is_wanted(figures, exit, state) && !figures->why_not[exit][state];
}

/* For every instruction and state that has been measured. */
static void each(struct vmexit_figures *figures,
		 void (*add)(struct vmexit_figures *figures, struct report_table *table, int exit,
			     int state),
		 struct report_table *table)
{
	for (int exit = 0; exit < GUEST_EXITS; exit++)
		for (int state = 0; state < PMU_STATES; state++)
			if (is_measured(figures, exit, state))
				add(figures, table, exit, state);
}

static void add_names(struct report_value *row, int exit, int state)
{
	report_text(&row[0], "%s", guest_exits[exit].what);
	report_text(&row[1], "%s", pmu_state_names[state]);
}

static void add_row(struct vmexit_figures *figures, struct report_table *table, int exit, int state)
{
	struct report_value *row = report_row(table);
	const struct exit_figures own = figures_of(figures, &figures->of[exit][state]);
	const struct exit_figures off = figures_of(figures, &figures->of[exit][PMU_OFF]);

	add_names(row, exit, state);
	report_number(&row[2], own.ticks.minimum);
	report_number(&row[3], own.ticks.median);
	report_number(&row[4], own.ticks.p99);
	report_number(&row[5], figures_over(own.ticks.minimum, off.ticks.minimum));
	report_number(&row[6], own.counts[COUNTERS_INSTRUCTIONS].each);
	report_number(&row[7], own.counts[COUNTERS_INSTRUCTIONS].each -
				       off.counts[COUNTERS_INSTRUCTIONS].each);
	for (int i = COUNTERS_BRANCHES; i < COUNTERS_EVENTS; i++)
		report_number(&row[7 + i], own.counts[i].each);
}

/* Decimals of counts: none, unless there is one that is not whole. */
static unsigned int count_decimals(struct vmexit_figures *figures)
{
	for (int exit = 0; exit < GUEST_EXITS; exit++)
		for (int state = 0; state < PMU_STATES; state++) {
			const struct exit_figures of =
				figures_of(figures, &figures->of[exit][state]);

			for (int i = 0; i < COUNTERS_EVENTS; i++)
				if (isfinite(of.counts[i].each) && !of.counts[i].is_whole)
					return 2;
		}
	return 0;
}

static double own_count(const struct subject_figures *of)
{
	const double more = (double)of->own[BATCH_LARGE] - (double)of->own[BATCH_SMALL];

	return more / (subject_turns[BATCH_LARGE] - subject_turns[BATCH_SMALL]);
}

/* What the guest's own counter says. */
static void note_own(struct vmexit_figures *figures, struct report_table *table, int exit,
		     int state)
{
	const double own = own_count(&figures->of[exit][state]);

	if ((state == PMU_CYCLES || state == PMU_INSTRUCTIONS) && own <= 0)
		report_note(table, "%s: the guest's counter of %s has counted nothing.",
			    guest_exits[exit].what, pmu_state_names[state]);
	else if (state == PMU_INSTRUCTIONS && own != guest_exits[exit].turn)
		report_note(table, "%s: the guest's counter has counted %g of %u instructions.",
			    guest_exits[exit].what, own, guest_exits[exit].turn);
}

static void note_absent(struct vmexit_figures *figures, struct report_table *table)
{
	for (int exit = 0; exit < GUEST_EXITS; exit++)
		for (int state = 0; state < PMU_STATES; state++)
			if (is_wanted(figures, exit, state) && figures->why_not[exit][state])
				report_note(table, "%s, PMU %s: absent, %s.",
					    guest_exits[exit].what, pmu_state_names[state],
					    figures->why_not[exit][state]);
}

static void note_counters(struct vmexit_figures *figures, struct report_table *table)
{
	static const char *const names[COUNTERS_EVENTS] = { "instructions", "branches", "calls",
							    "returns" };

	for (int exit = 0; exit < GUEST_EXITS; exit++)
		for (int state = 0; state < PMU_STATES; state++)
			for (int i = 0; i < COUNTERS_EVENTS; i++) {
				const struct subject_figures *of = &figures->of[exit][state];

				if (!is_measured(figures, exit, state) || of->counted[i])
					continue;
				report_note(table, "The host's %s are not counted: %s.", names[i],
					    of->counter_error[i] ? strerror(of->counter_error[i])
								 : "no event of this processor's "
								   "is known");
			}
}

static void add_main(struct vmexit_figures *figures, struct report *report)
{
	const unsigned int decimals = count_decimals(figures);
	const struct report_column columns[] = {
		{ "exit", "exit", 0 },
		{ "state", "guest's PMU", 0 },
		{ "minimum", "cycles: least", 0 },
		{ "median", "median", 0 },
		{ "p99", "99 %", 0 },
		{ "over_off", "% over off", 1 },
		{ "instructions", "host's instructions", decimals },
		{ "instructions_over_off", "over off", decimals },
		{ "branches", "branches", decimals },
		{ "calls", "calls", decimals },
		{ "returns", "returns", decimals },
	};
	struct report_table *table = report_table(report, "vmexit", "One exit", columns,
						  sizeof(columns) / sizeof(columns[0]));

	each(figures, add_row, table);
	if (figures->no_cycles)
		report_note(table, "Under QEMU's TCG a tick of the time stamp counter is no cycle: "
				   "there are no times.");
	if (decimals)
		report_note(table, "Counts that are not whole are not exact.");
	note_absent(figures, table);
	note_counters(figures, table);
	each(figures, note_own, table);
}

static void add_detail(struct vmexit_figures *figures, struct report_table *table, int exit,
		       int state)
{
	struct subject_figures *of = &figures->of[exit][state];
	const struct exit_figures own = figures_of(figures, of);
	struct report_value *row = report_row(table);
	struct measure_samples *small = &of->counts[BATCH_SMALL][COUNTERS_INSTRUCTIONS];
	struct measure_samples *large = &of->counts[BATCH_LARGE][COUNTERS_INSTRUCTIONS];

	add_names(row, exit, state);
	report_number(&row[2], (double)of->ticks.count);
	report_number(&row[3], (double)(small->count * subject_turns[BATCH_SMALL] +
					large->count * subject_turns[BATCH_LARGE]));
	if (small->count) {
		report_number(&row[4], own.counts[COUNTERS_INSTRUCTIONS].small);
		report_number(&row[5], own.counts[COUNTERS_INSTRUCTIONS].large);
		report_number(&row[6], own.counts[COUNTERS_INSTRUCTIONS].undisturbed * 100);
	}
	if (state == PMU_CYCLES || state == PMU_INSTRUCTIONS)
		report_number(&row[7], own_count(of));
}

static void add_details(struct vmexit_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "exit", "exit", 0 },
		{ "state", "guest's PMU", 0 },
		{ "timed", "exits timed", 0 },
		{ "counted", "exits counted", 0 },
		{ "small", "instructions of a small batch", 0 },
		{ "large", "of a large one", 0 },
		{ "undisturbed", "batches with just these, %", 1 },
		{ "own", "the guest's own count of a turn", 2 },
	};
	struct report_table *table =
		report_table(report, "vmexit_details", "How the host's instructions were counted",
			     columns, sizeof(columns) / sizeof(columns[0]));

	table->is_detail = true;
	each(figures, add_detail, table);
}

static double plotted(struct vmexit_figures *figures, int exit, int state, bool counts)
{
	const struct exit_figures of = figures_of(figures, &figures->of[exit][state]);

	return counts ? of.counts[COUNTERS_INSTRUCTIONS].each : of.ticks.minimum;
}

static void add_plot(struct vmexit_figures *figures, struct report *report, bool counts)
{
	static const struct report_column columns[] = {
		{ "exit", "exit", 0 },
		{ "off", "PMU off", 0 },
		{ "idle", "idle", 0 },
		{ "cycles", "counting cycles", 0 },
		{ "instructions", "counting instructions", 0 },
	};
	struct report_table *table =
		report_table(report, counts ? "vmexit_plot_counts" : "vmexit_plot",
			     counts ? "The host's instructions" : "Cycles", columns,
			     sizeof(columns) / sizeof(columns[0]));

	table->is_detail = true;
	for (int exit = 0; exit < GUEST_EXITS; exit++) {
		struct report_value *row;

		if (!(figures->exits >> exit & 1))
			continue;
		row = report_row(table);
		report_text(&row[0], "%s", guest_exits[exit].what);
		for (int state = 0; state < PMU_STATES; state++)
			report_number(&row[1 + state], plotted(figures, exit, state, counts));
	}
}

void vmexit_tables(struct vmexit_figures *figures, struct report *report)
{
	add_main(figures, report);
	if (!figures->no_cycles)
		add_plot(figures, report, false);
	add_plot(figures, report, true);
	add_details(figures, report);
}

void vmexit_figures_free(struct vmexit_figures *figures)
{
	for (int exit = 0; exit < GUEST_EXITS; exit++)
		for (int state = 0; state < PMU_STATES; state++) {
			struct subject_figures *of = &figures->of[exit][state];

			measure_free(&of->ticks);
			for (int i = 0; i < COUNTERS_EVENTS; i++) {
				measure_free(&of->counts[BATCH_SMALL][i]);
				measure_free(&of->counts[BATCH_LARGE][i]);
			}
		}
}
