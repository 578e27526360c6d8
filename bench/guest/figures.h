/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the guest benchmark measures: states, programs, accesses, and their samples.
 */
#ifndef VPMU_BENCH_GUEST_FIGURES_H
#define VPMU_BENCH_GUEST_FIGURES_H

#include "bench/lib/measure.h"
#include "bench/lib/report.h"

/* Linux guests; each is booted once in a round. */
enum linux_guest {
	LINUX_PLAIN,
	LINUX_EMPTY,
	LINUX_OFF,
	LINUX_IDLE,
	LINUX_WATCHDOG,
	LINUX_COUNT,
	LINUX_GUESTS,
	LINUX_NONE = LINUX_GUESTS,
};

/* The states that are named here are those that something else refers to. */
enum {
	STATE_PLAIN = 0,
	STATE_EMPTY,
	STATE_OFF,
	STATE_COUNT_2 = 6,
	STATE_SAMPLE_1 = 12,
	STATE_SAMPLE_6,
	STATE_SAMPLE_10,
	STATES,
};

/* The plugin, and the PMU that it gives. */
enum guest_pmu {
	PMU_NONE,  /* no plugin */
	PMU_EMPTY, /* one that is not ours */
	PMU_OFF,
	PMU_ON,
	PMU_WITH_MODELS,
};

struct guest_state {
	const char *key;
	const char *title;
	const char *bare; /* the bare-metal guest's command line; NULL: not there */
	enum guest_pmu pmu;
	enum linux_guest guest;
	const char *perf; /* what starts the programs in the Linux guest ... */
	const char *amd;  /* ... if its CPU is one of AMD's; NULL: the same */
	bool intel_only;
	/*
	 * Not before the guest has left its counters alone for so long that the plugin
	 * counts nothing any more: what it counts stays for a while. The others
	 * count what the state before them does, and more.
	 */
	bool fresh;
	bool slow; /* in a Linux guest not with --quick */
};

extern const struct guest_state guest_states[STATES];

/* The first BARE_PROGRAMS are the bare-metal guest's, too. */
enum { PROGRAMS = 5, BARE_PROGRAMS = 3 };
extern const char *const guest_programs[PROGRAMS];

enum native { NATIVE_PLAIN, NATIVE_CALLGRIND, NATIVE_CACHEGRIND, NATIVES };

enum guest_access_place { ACCESS_PLAIN, ACCESS_OURS, ACCESS_PLACES };
enum { ACCESSES = 12, ACCESS_EMPTY = 0, ACCESS_PMI_LINUX = ACCESSES - 1 };

struct guest_access {
	const char *key; /* the guest's word */
	const char *title;
	bool is_nmi; /* beside an NMI that the guest sends itself, not an empty loop */
};

extern const struct guest_access guest_accesses[ACCESSES];

/* One program in one state. */
struct guest_figure {
	struct measure_samples ticks; /* of each turn */
	double least_mean;            /* of a round's turns */
	double all;                   /* ticks of all turns ... */
	double pmis;                  /* ... and PMIs in them */
};

/* Of one program, while a round lasts. */
struct guest_round {
	double ticks;
	unsigned int turns;
};

struct guest_figures {
	struct guest_figure bare[STATES][PROGRAMS];
	struct guest_figure linux[STATES][PROGRAMS];
	struct guest_figure native[NATIVES][PROGRAMS];
	struct measure_samples accesses[ACCESSES][ACCESS_PLACES]; /* ticks of one */
	bool valgrind;
	bool quick;
	const char *no_linux;
};

void guest_tables(struct guest_figures *figures, struct report *report);
void guest_figures_free(struct guest_figures *figures);

#endif
