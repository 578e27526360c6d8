/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The samples of a perf.data as stacks, and what is written of them for other tools: folded
 * stacks, of which flame graphs are drawn, and callgrind's format, which KCachegrind shows.
 */
#ifndef VPMU_TOOLS_GATE_STACKS_H
#define VPMU_TOOLS_GATE_STACKS_H

#include "result.h"

#include <stdio.h>

struct stack {
	char *process;
	struct args frames;  /* from the function that ran to its callers: names */
	struct args objects; /* of each frame: the file that it is in */
};

struct stacks {
	struct stack *v;
	size_t count;
};

/* Takes what `perf script -F comm,ip,sym,dso' prints. */
void stacks_parse(struct stacks *stacks, const char *script);

/* Add one run's functions, by PROCESS/FUNCTION. */
void stacks_profile(const struct stacks *stacks, struct profile *profile, uint64_t period);

void stacks_free(struct stacks *stacks);

/* "PROCESS;CALLER;...;FUNCTION INSTRUCTIONS", a line for each different stack. */
void stacks_print_folded(FILE *file, const struct stacks *stacks, uint64_t period);

void stacks_print_callgrind(FILE *file, const struct stacks *stacks, uint64_t period,
			    const char *command);

#endif
