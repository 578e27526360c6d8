/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See tables.h.
 */
#include "tables.h"

#include <math.h>
#include <string.h>

const unsigned int vmpmi_events[VMPMI_GUESTS] = { 1, 6, 10 };

static bool takes_turns(const struct vmpmi_figures *figures, int guest)
{
	return vmpmi_events[guest] > figures->counters;
}

static void set_name(const struct vmpmi_figures *figures, int guest, struct report_value *value)
{
	report_text(value, "%u event%s%s", vmpmi_events[guest], vmpmi_events[guest] > 1 ? "s" : "",
		    takes_turns(figures, guest) ? ", in turns" : "");
}

/* NAN: not counted. Of turns there are few, of which the least has the fewest interrupts. */
static double step_count(struct subject_figures *of, enum subject_step step)
{
	struct measure_statistics exit, own;

	if (!of->instructions[step].count || !of->instructions[STEP_EXIT].count)
		return NAN;
	exit = measure_statistics(&of->instructions[STEP_EXIT]);
	own = measure_statistics(&of->instructions[step]);
	return (step == STEP_TURN ? own.minimum : own.median) - exit.median;
}

/* With its part of a turn. */
static double pmi_count(struct vmpmi_figures *figures, int guest)
{
	struct subject_figures *of = &figures->of[guest];
	double count = step_count(of, STEP_PMI);

	return takes_turns(figures, guest) ? count + step_count(of, STEP_TURN) / SUBJECT_TURN
					   : count;
}

static void add_notes(const struct vmpmi_figures *figures, struct report_table *table)
{
	for (int guest = 0; guest < VMPMI_GUESTS; guest++) {
		const struct subject_figures *of = &figures->of[guest];

		if (of->counter_error)
			report_note(table, "The host's instructions are not counted: %s.",
				    strerror(of->counter_error));
		else if (!of->instructions[STEP_PMI].count)
			report_note(table,
				    "The host's instructions are not always counted: the "
				    "guest's events take the counters (so does an NMI watchdog).");
	}
	report_note(table, "Without a PMU: a guest that sends itself an NMI, with as many accesses "
			   "to registers that KVM ignores.");
	report_note(table,
		    "In turns: the guest has %u counters, one less than the machine; after %d PMIs "
		    "each gets another event, and a PMI's figures have their part of that.",
		    figures->counters, SUBJECT_TURN);
}

/* A PMI's, and the same without a PMU. */
static void set_counts(struct vmpmi_figures *figures, int guest, struct report_value *row)
{
	set_name(figures, guest, &row[0]);
	report_number(&row[1], pmi_count(figures, guest));
	report_number(&row[2], step_count(&figures->floor[guest], STEP_PMI));
}

static void add_main(struct vmpmi_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "events", "the guest samples", 0 },
		{ "instructions", "host's instructions", 0 },
		{ "floor", "without a PMU", 0 },
		{ "over_floor", "over that", 0 },
		{ "turn", "a turn's", 0 },
	};
	struct report_table *table =
		report_table(report, "pmi_kvm", "One PMI: instructions of the host's kernel",
			     columns, sizeof(columns) / sizeof(columns[0]));

	for (int guest = 0; guest < VMPMI_GUESTS; guest++) {
		struct report_value *row = report_row(table);

		set_counts(figures, guest, row);
		report_number(&row[3], pmi_count(figures, guest) -
					       step_count(&figures->floor[guest], STEP_PMI));
		report_number(&row[4], step_count(&figures->of[guest], STEP_TURN));
	}
	add_notes(figures, table);
}

/* Exits to user space, and ports on the way there, are the benchmark's. */
static uint64_t own_count(const uint64_t counts[PROBES], int probe)
{
	return probe == PROBE_EXITS ? counts[probe] - counts[PROBE_IO] : counts[probe];
}

static void add_row(struct report_table *table, const struct subject_figures *of,
		    struct report_value *row, const uint64_t counts[PROBES], uint64_t times)
{
	for (int probe = 0; probe < PROBE_IO; probe++) {
		const struct probe_kind *kind = &probe_kinds[probe];

		if (!of->probe_error[probe])
			report_number(&row[1 + probe],
				      (double)own_count(counts, probe) / (double)times);
		else
			report_note(table, "Absent: %s: %s.",
				    kind->function ? kind->function : "tracepoint kvm_exit",
				    strerror(of->probe_error[probe]));
	}
}

static void add_events(struct vmpmi_figures *figures, struct report *report)
{
	struct report_column columns[1 + PROBE_IO] = { { "events", "the guest samples", 0 } };
	struct report_table *table;

	for (int probe = 0; probe < PROBE_IO; probe++)
		columns[1 + probe] = (struct report_column){ probe_kinds[probe].key,
							     probe_kinds[probe].title, 2 };
	table = report_table(report, "pmi_kvm_events", "One PMI: perf events, and exits", columns,
			     1 + PROBE_IO);
	for (int guest = 0; guest < VMPMI_GUESTS; guest++) {
		const struct subject_figures *of = &figures->of[guest];
		struct report_value *row = report_row(table);

		set_name(figures, guest, &row[0]);
		add_row(table, of, row, of->of_pmis, of->pmis);
		if (!of->moves)
			continue;
		row = report_row(table);
		report_text(&row[0], "%u, %d moves", vmpmi_events[guest], (int)of->moves);
		add_row(table, of, row, of->of_moves, of->moves);
		report_note(table,
			    "Moves: before each PMI the guest's thread goes to another CPU.");
	}
}

static void add_plot(struct vmpmi_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "events", "the guest samples", 0 },
		{ "instructions", "a PMI", 0 },
		{ "floor", "without a PMU", 0 },
	};
	struct report_table *table = report_table(report, "pmi_kvm_plot", "The host's instructions",
						  columns, sizeof(columns) / sizeof(columns[0]));

	table->is_detail = true;
	for (int guest = 0; guest < VMPMI_GUESTS; guest++)
		set_counts(figures, guest, report_row(table));
}

static void add_details(struct vmpmi_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "events", "the guest samples", 0 },
		{ "pmis", "PMIs counted", 0 },
		{ "minimum", "least", 0 },
		{ "median", "median", 0 },
		{ "p99", "99th percentile", 0 },
		{ "exit", "of it the exit, median", 0 },
		{ "exit_minimum", "the exit's least", 0 },
	};
	struct report_table *table =
		report_table(report, "pmi_kvm_details", "How the host's instructions were counted",
			     columns, sizeof(columns) / sizeof(columns[0]));

	table->is_detail = true;
	for (int guest = 0; guest < VMPMI_GUESTS; guest++) {
		struct subject_figures *of = &figures->of[guest];
		struct measure_statistics pmi = measure_statistics(&of->instructions[STEP_PMI]);
		struct measure_statistics exit = measure_statistics(&of->instructions[STEP_EXIT]);
		const double numbers[] = { (double)pmi.count, pmi.minimum, pmi.median,
					   pmi.p99,           exit.median, exit.minimum };
		struct report_value *row = report_row(table);

		set_name(figures, guest, &row[0]);
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			report_number(&row[1 + i], numbers[i]);
	}
}

void vmpmi_tables(struct vmpmi_figures *figures, struct report *report)
{
	add_main(figures, report);
	add_events(figures, report);
	add_plot(figures, report);
	add_details(figures, report);
}

void vmpmi_figures_free(struct vmpmi_figures *figures)
{
	for (int guest = 0; guest < VMPMI_GUESTS; guest++) {
		subject_figures_free(&figures->of[guest]);
		subject_figures_free(&figures->floor[guest]);
	}
}
