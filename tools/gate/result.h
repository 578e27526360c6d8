/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vpmu gate has measured of its benchmarks, now or for a baseline: each count of each process
 * name, and of all of them together, as the least and the most of several runs; and about
 * how many instructions each function had. And where that was: facts of the environment.
 */
#ifndef VPMU_TOOLS_GATE_RESULT_H
#define VPMU_TOOLS_GATE_RESULT_H

#include "count/count.h"
#include "process/args.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct range {
	uint64_t least, most;
};

struct process_counts {
	char *name; /* as the kernel has it, what is not printable as \xHH */
	struct range counts[COUNT_EVENTS];
};

struct function_counts {
	char *name; /* PROCESS/FUNCTION */
	struct range counts;
};

/*
 * About how many instructions:u each function has, by samples of several runs, each with a period
 * of its own: how far these differ is how much is chance.
 */
struct profile {
	uint64_t period; /* instructions between two samples, in the first run; 0: there is none */
	unsigned int runs;
	uint64_t left_out; /* so many at most has a function that is not among these */
	struct function_counts *functions;
	size_t function_count;
};

struct benchmark_result {
	char *name;
	struct args command;
	unsigned int runs;
	struct range total[COUNT_EVENTS];
	struct process_counts *processes;
	size_t process_count;
	struct profile profile;
};

struct fact {
	char *name, *value;
};

/* Starts as all zero. */
struct result {
	struct fact *facts;
	size_t fact_count;
	struct benchmark_result *benchmarks;
	size_t benchmark_count;
};

/* Names of events, as users write them. */
extern const char *const count_names[COUNT_EVENTS];

/* The event of that name. Fails, with all names, if there is none; where: for the message. */
enum count_event count_find(const char *where, const char *name);

/* All names, for messages. */
const char *count_list(void);

void result_add_fact(struct result *result, const char *name, const char *value);
const char *result_fact(const struct result *result, const char *name);

/* A new benchmark at the end. It moves when another one is added. */
struct benchmark_result *result_add(struct result *result, const char *name);
const struct benchmark_result *result_find(const struct result *result, const char *name);

/* One run's counts as the guest's program writes them (count/count.h), to what there was of others.
 * False if they make no sense: they come from a guest. *status: the command's wait status. */
bool result_take_run(struct benchmark_result *benchmark, const char *counts, int *status);

const struct process_counts *result_process(const struct benchmark_result *benchmark,
					    const char *name);
/* A new process at the end, with counts of 0. It moves when another one is added. */
struct process_counts *result_add_process(struct benchmark_result *benchmark, const char *name);
/* One run's functions: their samples, by name. */
void profile_take_run(struct profile *profile, GHashTable *samples, uint64_t period);
bool profile_has(const struct profile *profile, const char *function);
/* Of one that is not there, what it can have had. */
struct range profile_counts(const struct profile *profile, const char *function);

#endif
