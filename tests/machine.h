/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For the library's own tests: a PMU and a source that is a row of numbers,
 * moved by hand. It records what the library asks of it.
 */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

#include "registers.h"
#include <vpmu/vpmu.h>

/* Room for every index that GLOBAL_CTRL has a bit for. */
#define COUNTERS 64

/* PERFEVTSEL: enabled at all levels; instructions retired, branches retired, loads (Skylake). */
#define EVTSEL_INT   (UINT64_C(1) << 20)
#define INSTRUCTIONS UINT64_C(0x4300c0)
#define BRANCHES     UINT64_C(0x4300c4)
#define LOADS        UINT64_C(0x4381d0)

/* The highest value of a counter of 48 bits, and all fixed counters in GLOBAL_CTRL. */
#define MAX_48   UINT64_C(0xffffffffffff)
#define FIXED_ON UINT64_C(0x700000000)

/* LBR and BTF: the host's bits of the debug control register, as these tests have it. */
#define DEBUG_BITS 0x3

#define CTR_FRZ (UINT64_C(1) << 59)
#define LBR_FRZ (UINT64_C(1) << 58)

struct machine;

struct source {
	struct machine *machine;
	uint64_t totals[COUNTERS];
	uint64_t alarms[COUNTERS];
	uint64_t known[COUNTERS]; /* totals when an alarm last went off */
	bool bound[COUNTERS];
	bool asked[COUNTERS]; /* for its total, or what is known of it, since it last moved */
	struct vpmu_event events[COUNTERS]; /* the last that was asked for */
	bool (*refuses)(const struct vpmu_event *event);
	bool hasty;  /* each alarm that is set goes off at once */
	bool creeps; /* a total goes on by one while an alarm is set */
	bool drifts; /* ... and each time that it is asked for */
	unsigned int binds, refusals, unbinds, total_calls, alarm_calls;
	unsigned int known_calls; /* apart: they cost a source nothing */
};

struct machine {
	struct vpmu pmu;
	struct source source;
};

extern const struct vpmu_source_ops source_ops;
/* The same source, which knows what its totals were when alarms went off. */
extern const struct vpmu_source_ops knowing_source_ops;

/* All architectural events that an Intel version has; AMD's. */
uint32_t all_events(unsigned int version);
#define AMD_EVENTS 0x63

/* Every kind of PMU that there is, with all events. */
enum kind {
	INTEL_1,
	INTEL_2,
	INTEL_3,
	INTEL_4,
	INTEL_5,
	AMD_K7,
	AMD_CORE,
	AMD_V2,
	KINDS,
};
struct vpmu_config usual_config(enum kind kind);

void start_with(struct machine *m, const struct vpmu_config *config,
		const struct vpmu_source_ops *ops);
/* With source_ops. */
void start_machine(struct machine *m, const struct vpmu_config *config);
/* ... and with the usual configuration of an Intel version and all events. */
void start_version(struct machine *m, unsigned int version);

/* AMD: version 1 with 4 (K7) or 6 counters (core extension), or version 2; all events. */
void start_amd(struct machine *m, unsigned int version, unsigned int counters);

/* With version 3, and general counter 0 counting from a value. */
void start_counting(struct machine *m, uint64_t evtsel, uint64_t value);

/* For source.refuses. */
bool refuses_all(const struct vpmu_event *event);

/* The event happens n times for a counter; no alarm goes off by itself. */
void happen(struct machine *m, unsigned int counter, uint64_t n);
/* This counter's alarm goes off, whether or not it has been reached. */
void go_off(struct machine *m, unsigned int counter);
/* All alarms that have been reached go off; returns how many. */
unsigned int ring(struct machine *m);
/* Calls of the source since the last time it was asked, alarms and totals included. */
unsigned int calls(struct machine *m);

/* Accesses that must come out in one way; they end the test if they do not. */
uint64_t get(struct machine *m, uint32_t msr);
void set(struct machine *m, uint32_t msr, uint64_t value);
void get_faults(struct machine *m, uint32_t msr);
/* Nothing of the PMU may change. */
void set_faults(struct machine *m, uint32_t msr, uint64_t value);
/* A write as a host does it: the service follows, and no PMI is due. */
void set_now(struct machine *m, uint32_t msr, uint64_t value);

#endif
