/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vpmu gate tells of a run: the counts, beside those of the baseline if there is one. It is
 * printed in a format for each kind of reader, a file each (format_*.c).
 */
#ifndef VPMU_TOOLS_GATE_COMPARISON_H
#define VPMU_TOOLS_GATE_COMPARISON_H

#include "config.h"
#include "result.h"
#include "verdict.h"

#include <stdio.h>

struct comparison {
	const struct config *config;
	const struct result *before; /* NULL: there is no baseline, which is being made */
	const struct result *now;
	struct args differences; /* of the environment */
	enum verdict worst;
};

/* One benchmark's part of it. before: NULL if it is not in the baseline. */
struct pair {
	const struct benchmark *benchmark;
	const struct benchmark_result *before, *now;
};

struct pair comparison_pair(const struct comparison *comparison, size_t i);
/* Of all processes together, and of one. */
struct change pair_change(const struct pair *pair, int event);
struct change pair_process_change(const struct pair *pair, const char *process, int event);
/* All that were there then or are now, sorted. */
struct args pair_processes(const struct pair *pair);

struct function_change {
	const char *name;
	int64_t instructions; /* more than then */
	uint64_t error;       /* how far the runs of either side differ, together */
};

/* Those that have more in each run than in any then, or less, by more than the error; largest
 * first; allocated. NULL if there are no profiles to compare. */
struct function_change *pair_functions(const struct pair *pair, size_t *count);

/* "12,345,678" */
char *grouped(uint64_t number);
/* Of the runs now the one that is nearest to the baseline. */
char *now_text(const struct change *change);
/* How far runs are apart; "exact" */
char *spread_text(const struct range *counts);
/* "+0.13 %"; "within" what it varies by */
char *per_cent(const struct change *change);
/* "0.05 %", and what it varies by if that is more; "-" */
char *limit_text(const struct pair *pair, int event);

typedef void format_print(FILE *file, const struct comparison *comparison);

format_print format_table;    /* for people */
format_print format_markdown; /* such as GitHub's summary of a job */
format_print format_json;     /* docs/gate.schema.json */
format_print format_bmf;      /* Bencher Metric Format */
format_print format_github;   /* github-action-benchmark's customSmallerIsBetter */

#endif
