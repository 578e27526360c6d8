/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of the guest benchmark, from its samples. Ratios are to plain QEMU.
 */
#include "figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const struct guest_access guest_accesses[ACCESSES] = {
	[ACCESS_EMPTY] = { "empty", "empty loop", false },
	{ "rdmsr", "RDMSR, a counter that counts", false },
	{ "rdmsr-status", "RDMSR, GLOBAL_STATUS", false },
	{ "rdmsr-other", "RDMSR, not the PMU's", false },
	{ "wrmsr", "WRMSR, a counter", false },
	{ "wrmsr-enable", "WRMSR, GLOBAL_CTRL off and on", false },
	{ "wrmsr-other", "WRMSR, not the PMU's", false },
	{ "rdpmc", "RDPMC", false },
	{ "cpuid", "CPUID, not the PMU's", false },
	{ "cpuid-pmu", "CPUID, the PMU's leaf", false },
	{ "pmi", "PMI, the shortest handler", true },
	[ACCESS_PMI_LINUX] = { "pmi-linux", "PMI, accesses as of Linux's handler", true },
};

static double least(struct guest_figure *figure)
{
	return figure->ticks.count ? measure_statistics(&figure->ticks).minimum : NAN;
}

static double median(struct guest_figure *figure)
{
	return figure->ticks.count ? measure_statistics(&figure->ticks).median : NAN;
}

static void note_linux(const struct guest_figures *figures, struct report_table *table)
{
	if (figures->no_linux)
		report_note(table, "no Linux guests: %s", figures->no_linux);
	else if (figures->quick)
		report_note(table,
			    "--quick: of the Linux guests, only those that count, and no models");
}

/* Ratios. */

typedef double summary(struct guest_figure *figure);

static void ratio_table(struct guest_figures *figures, struct report *report, const char *key,
			const char *title, summary *of)
{
	static const struct report_column columns[] = {
		{ "state", "PMU", 0 },
		{ "integer", "integer", 3 },
		{ "memory", "memory", 3 },
		{ "branches", "branches", 3 },
		{ "syscalls", "system calls", 3 },
		{ "processes", "processes", 3 },
	};
	struct report_table *table = report_table(report, key, title, columns, COUNT_OF(columns));

	for (int s = 0; s < STATES; s++) {
		struct report_value *row = report_row(table);

		report_text(&row[0], "%s", guest_states[s].title);
		for (int p = 0; p < PROGRAMS; p++) {
			bool bare = p < BARE_PROGRAMS;
			struct guest_figure *plain = bare ? &figures->bare[STATE_PLAIN][p]
							  : &figures->linux[STATE_PLAIN][p];
			struct guest_figure *here =
				bare ? &figures->bare[s][p] : &figures->linux[s][p];

			report_number(&row[1 + p], of(here) / of(plain));
		}
	}
	report_note(
		table,
		"integer, memory, branches: a bare-metal guest, at privilege level 0; no events "
		"take turns there");
	report_note(table, "system calls, processes: Linux; counted by perf stat, sampled by perf "
			   "record -F 1000 -a --overwrite, "
			   "which of 1, 6 and 10 events has each be instructions");
	note_linux(figures, table);
}

static void user_table(struct guest_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "state", "PMU", 0 },
		{ "integer", "integer", 3 },
		{ "integer_median", "median", 3 },
		{ "memory", "memory", 3 },
		{ "memory_median", "median", 3 },
		{ "branches", "branches", 3 },
		{ "branches_median", "median", 3 },
	};
	struct report_table *table = report_table(report, "guest_user",
						  "The computing programs as Linux programs, as "
						  "times of plain QEMU's: minimum, median",
						  columns, COUNT_OF(columns));

	for (int s = 0; s < STATES; s++) {
		struct report_value *row = report_row(table);

		report_text(&row[0], "%s", guest_states[s].title);
		for (int p = 0; p < BARE_PROGRAMS; p++) {
			struct guest_figure *plain = &figures->linux[STATE_PLAIN][p];
			struct guest_figure *here = &figures->linux[s][p];

			report_number(&row[1 + 2 * p], least(here) / least(plain));
			report_number(&row[2 + 2 * p], median(here) / median(plain));
		}
	}
	note_linux(figures, table);
}

/* What else counts. */

static void beside_row(struct guest_figures *figures, struct report_table *table, const char *label,
		       struct guest_figure *of)
{
	struct report_value *row = report_row(table);

	report_text(&row[0], "%s", label);
	for (int p = 0; p < PROGRAMS; p++)
		report_number(&row[1 + p],
			      least(&of[p]) / least(&figures->native[NATIVE_PLAIN][p]));
}

static void beside_table(struct guest_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "how", "how", 0 },
		{ "integer", "integer", 2 },
		{ "memory", "memory", 2 },
		{ "branches", "branches", 2 },
		{ "syscalls", "system calls", 2 },
		{ "processes", "processes", 2 },
	};
	struct report_table *table =
		report_table(report, "guest_beside",
			     "Counting without counters: the same Linux programs, as times of what "
			     "they take on this machine",
			     columns, COUNT_OF(columns));

	beside_row(figures, table, "this machine", figures->native[NATIVE_PLAIN]);
	beside_row(figures, table, "plain QEMU", figures->linux[STATE_PLAIN]);
	beside_row(figures, table, "vpmu, instructions and cycles", figures->linux[STATE_COUNT_2]);
	beside_row(figures, table, "callgrind", figures->native[NATIVE_CALLGRIND]);
	beside_row(figures, table, "cachegrind --cache-sim=yes",
		   figures->native[NATIVE_CACHEGRIND]);
	report_note(table, "minimum; without the start of the guest, and of valgrind");
	if (!figures->valgrind)
		report_note(table, "no callgrind and cachegrind: valgrind is not installed");
	note_linux(figures, table);
}

/* Accesses. */

static double access_ns(struct guest_figures *figures, int access, enum guest_access_place place)
{
	struct measure_samples *samples = &figures->accesses[access][place];
	struct measure_samples *empty = &figures->accesses[ACCESS_EMPTY][place];
	double ticks;

	if (!samples->count)
		return NAN;
	ticks = measure_statistics(samples).minimum;
	if (!guest_accesses[access].is_nmi)
		ticks -= measure_statistics(empty).minimum;
	return measure_ns(ticks);
}

static double over_plain(struct guest_figures *figures, int access)
{
	double plain = access_ns(figures, access, ACCESS_PLAIN);

	return access_ns(figures, access, ACCESS_OURS) - (isnan(plain) ? 0 : plain);
}

static void access_table(struct guest_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "access", "access", 0 },
		{ "plain", "plain QEMU", 0 },
		{ "ours", "with the PMU", 0 },
		{ "over", "over plain QEMU", 0 },
	};
	struct report_table *table =
		report_table(report, "guest_access", "One access of a bare-metal guest, in ns",
			     columns, COUNT_OF(columns));

	for (int a = 1; a < ACCESSES; a++) {
		struct report_value *row = report_row(table);

		report_text(&row[0], "%s", guest_accesses[a].title);
		report_number(&row[1], access_ns(figures, a, ACCESS_PLAIN));
		report_number(&row[2], access_ns(figures, a, ACCESS_OURS));
		report_number(&row[3], over_plain(figures, a));
	}
	report_note(table, "the least of loops of a thousand, an empty loop subtracted; while "
			   "instructions are counted");
	report_note(table, "plain QEMU answers RDPMC with an exception: it is over an empty loop");
	report_note(table,
		    "PMI: from the write of a counter about to overflow until the handler is "
		    "back, beside an NMI that the guest sends itself, with the same accesses");
}

/* Sampling. */

static const struct {
	int state;
	unsigned int events;
	double emulated, mediated; /* KVM's overhead as published, in percent; 0: none is */
} sampled[] = {
	{ STATE_SAMPLE_1, 1, 0, 0 },
	{ STATE_SAMPLE_6, 6, 33.6, 4.2 },
	{ STATE_SAMPLE_10, 10, 79.3, 7.3 },
};

/* PMIs' part of the time: what they cost over an NMI with the same accesses. */
static double own_share(struct guest_figures *figures, const struct guest_figure *figure)
{
	double pmi = over_plain(figures, ACCESS_PMI_LINUX);

	return 100 * pmi * figure->pmis / measure_ns(figure->all);
}

static void sampling_row(struct guest_figures *figures, struct report_table *table,
			 const char *guest, size_t i, int program,
			 struct guest_figure (*of)[PROGRAMS])
{
	struct guest_figure *figure = &of[sampled[i].state][program];
	struct guest_figure *plain = &of[STATE_PLAIN][program];
	struct report_value *row;

	if (!figure->ticks.count)
		return;
	row = report_row(table);
	report_text(&row[0], "%s, %s", guest, guest_programs[program]);
	report_number(&row[1], sampled[i].events);
	report_number(&row[2], figure->pmis / measure_ns(figure->all) * 1e9);
	report_number(&row[3], 100 * (figure->least_mean / plain->least_mean - 1));
	report_number(&row[4], own_share(figures, figure));
	report_number(&row[5], sampled[i].emulated > 0 ? sampled[i].emulated : NAN);
	report_number(&row[6], sampled[i].mediated > 0 ? sampled[i].mediated : NAN);
}

static void sampling_table(struct guest_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "guest", "guest", 0 },
		{ "events", "events", 0 },
		{ "pmis", "PMIs a second", 0 },
		{ "total", "total, %", 1 },
		{ "own", "PMIs' own, %", 2 },
		{ "kvm_emulated", "KVM, emulated", 1 },
		{ "kvm_mediated", "KVM, mediated", 1 },
	};
	struct report_table *table = report_table(report, "guest_sampling",
						  "Sampling at 1 kHz: what is added to plain QEMU",
						  columns, COUNT_OF(columns));

	for (int p = 0; p < BARE_PROGRAMS; p++)
		for (size_t i = 0; i < COUNT_OF(sampled); i++)
			sampling_row(figures, table, "bare metal", i, p, figures->bare);
	for (int p = 0; p < BARE_PROGRAMS; p++)
		for (size_t i = 0; i < COUNT_OF(sampled); i++)
			sampling_row(figures, table, "Linux", i, p, figures->linux);
	report_note(table, "total: the best round's mean, with the guest's own handler, and with "
			   "what is added to each block");
	report_note(table, "PMIs' own: as many PMIs as there were, each at what the table of "
			   "accesses has for Linux's handler, over plain QEMU");
	report_note(table, "KVM: overheads published for guests on Intel hardware, in percent; see "
			   "docs/benchmarks.md for how far they can be compared");
	note_linux(figures, table);
}

/* All times. */

static void times_row(struct report_table *table, const char *where, const char *state, int program,
		      struct guest_figure *figure)
{
	struct measure_statistics s = measure_statistics(&figure->ticks);
	struct report_value *row;

	if (!s.count)
		return;
	row = report_row(table);
	report_text(&row[0], "%s", where);
	report_text(&row[1], "%s", state);
	report_text(&row[2], "%s", guest_programs[program]);
	report_number(&row[3], (double)s.count);
	report_number(&row[4], measure_ns(s.minimum) / 1e6);
	report_number(&row[5], measure_ns(s.median) / 1e6);
	report_number(&row[6], measure_ns(s.p99) / 1e6);
	report_number(&row[7], figure->pmis);
}

static void times_table(struct guest_figures *figures, struct report *report)
{
	static const struct report_column columns[] = {
		{ "where", "where", 0 }, { "state", "PMU", 0 },     { "program", "program", 0 },
		{ "turns", "turns", 0 }, { "minimum", "least", 3 }, { "median", "median", 3 },
		{ "p99", "99 %", 3 },    { "pmis", "PMIs", 0 },
	};
	static const char *const natives[NATIVES] = { "none", "callgrind", "cachegrind" };
	struct report_table *table =
		report_table(report, "guest_times", "One turn of each program, in ms", columns,
			     COUNT_OF(columns));

	table->is_detail = true;
	for (int p = 0; p < PROGRAMS; p++) {
		for (int s = 0; s < STATES; s++)
			times_row(table, "bare metal", guest_states[s].title, p,
				  &figures->bare[s][p]);
		for (int s = 0; s < STATES; s++)
			times_row(table, "Linux", guest_states[s].title, p, &figures->linux[s][p]);
		for (int n = 0; n < NATIVES; n++)
			times_row(table, "this machine", natives[n], p, &figures->native[n][p]);
	}
}

void guest_tables(struct guest_figures *figures, struct report *report)
{
	ratio_table(figures, report, "guest",
		    "Programs in a guest, as times of plain QEMU's: minimum", least);
	ratio_table(figures, report, "guest_median", "The same: median", median);
	user_table(figures, report);
	beside_table(figures, report);
	access_table(figures, report);
	sampling_table(figures, report);
	times_table(figures, report);
}

static void free_figures(struct guest_figure *figures, size_t count)
{
	for (size_t i = 0; i < count; i++)
		measure_free(&figures[i].ticks);
}

void guest_figures_free(struct guest_figures *figures)
{
	free_figures(figures->bare[0], STATES * PROGRAMS);
	free_figures(figures->linux[0], STATES * PROGRAMS);
	free_figures(figures->native[0], NATIVES * PROGRAMS);
	for (int a = 0; a < ACCESSES; a++)
		for (int place = 0; place < ACCESS_PLACES; place++)
			measure_free(&figures->accesses[a][place]);
}
