/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The replay engine: a recorded trace made into a plan, and a plan driven through a
 * subject. What a guest's counters counted cannot be repeated, so a plan has
 * stand-in events (work units) and rewrites the values that the guest loads into its
 * counters: they overflow after a fixed number of units, in the trace's order.
 */
#ifndef VPMU_BENCH_PMI_REPLAY_H
#define VPMU_BENCH_PMI_REPLAY_H

#include "bench/lib/measure.h"
#include "subject.h"

#include <stddef.h>
#include <trace.h>

enum step_kind {
	STEP_RESET,
	STEP_RDMSR,
	STEP_WRMSR,
	STEP_RDPMC,
	STEP_WORK, /* the guest runs for value units, or until a PMI is due */
	STEP_PMI,  /* a PMI has been due by now; value: counters that have overflowed */
};

#define STEP_NO_COUNTER 0xff

struct step {
	enum step_kind kind;
	enum vpmu_answer answer; /* that the trace has */
	uint32_t index;
	uint64_t value;    /* to be written, rewritten if it is a counter's */
	uint8_t counter;   /* that the access reads or loads; STEP_NO_COUNTER: none */
	bool ends_handler; /* the guest's PMI handler ends with this access */
	bool leads;        /* of a STEP_WORK: straight to a STEP_PMI whose handler ends */
};

struct plan {
	struct vpmu_config config;
	enum subject_events events;
	struct step *steps;
	size_t count;
	size_t accesses;
	size_t pmis;          /* that can be replayed */
	size_t timed;         /* of them, those that interrupt the guest and end in a handler */
	size_t left_out;      /* PMIs of the trace that no counter's value can bring about */
	size_t event_changes; /* an enabled counter counts another event than when last enabled */
};

/* NULL, or what is wrong. plan_free() it even then. */
const char *plan_make(struct plan *plan, const struct trace *trace, unsigned int vcpu,
		      enum subject_events events);
void plan_free(struct plan *plan);

/* Phases of a run, for those who watch its system calls. */
enum replay_phase {
	PHASE_NONE,     /* the engine's own doings before and after */
	PHASE_SETUP,    /* making the subject, everything before the warm-up's end, ending it */
	PHASE_PMI,      /* from the unit that overflows to the handler's last access */
	PHASE_ACCESSES, /* other accesses of the guest */
	PHASE_APART,    /* the engine's own doings */
	PHASE_KINDS,
};

/* What is timed, besides plain units. */
enum replay_time {
	TIME_WHOLE,   /* from before the unit that overflows to after the handler */
	TIME_HANDLER, /* the same without the unit: from the exit on */
	TIME_SERVICE, /* the service at the overflow alone */
};

struct replay_options {
	size_t warm_up; /* PMIs before figures are taken */
	size_t most;    /* PMIs after the warm-up; 0: all */
	enum replay_time time;
	bool alone;      /* see work_begin() */
	bool tell_phase; /* by PHASE_CALL */
};

/* A harmless system call that nothing here needs; its argument is the phase. */
#define PHASE_CALL SYS_getppid

/* Starts as all zero; runs are added up. */
struct replay_result {
	size_t pmis;                /* that came, after the warm-up */
	size_t lost;                /* that did not come after their work and slack */
	size_t spurious;            /* that came without any in the trace */
	size_t other;               /* that came, but for none of the counters in the trace */
	size_t split;               /* more of the same, for counters that overflowed a bit later */
	size_t early;               /* that came units before they were expected; exact work only */
	size_t disagreed;           /* accesses answered otherwise than in the trace (#GP or not) */
	size_t status_disagreed;    /* reads of GLOBAL_STATUS that show other overflows */
	struct measure_samples pmi; /* ticks, one for each PMI that is timed */
	struct measure_samples unit; /* ticks of plain units, in which nothing overflows */
	uint64_t read;               /* sum of all that the guest read from its counters */
};

/* NULL, or what is wrong (one line, static). */
const char *replay_run(const struct plan *plan, const struct subject_ops *ops,
		       const struct replay_options *options, struct replay_result *result);
void replay_result_free(struct replay_result *result);

#endif
