/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vpmu gate is to run and how much each count may grow: vpmu.toml, and the command line.
 */
#ifndef VPMU_TOOLS_GATE_CONFIG_H
#define VPMU_TOOLS_GATE_CONFIG_H

#include "count/count.h"
#include "process/args.h"

#include <stdbool.h>

#define CONFIG_FILE     "vpmu.toml"
#define CONFIG_RUNS     5 /* of a baseline */
#define CONFIG_RUNS_MAX 1000

/* In per cent of the baseline; negative: there is none. */
struct limits {
	double hard[COUNT_EVENTS]; /* more fails */
	double soft[COUNT_EVENTS]; /* more is warned about */
};

struct benchmark {
	char *name;
	struct args command;
	int exit_status; /* what its command is to exit with */
	struct limits limits;
};

struct config {
	char *baseline;    /* its name */
	unsigned int runs; /* of a baseline */
	struct limits limits;
	struct benchmark *benchmarks;
	size_t benchmark_count;
};

/* Limits as they are where nobody sets any. */
extern const struct limits limits_default;

/* "EVENT=N%", as on the command line. Fails with what is right. */
void limits_take(double to[COUNT_EVENTS], const char *word);

/* Is it a name of a benchmark or baseline: letters, digits, "_", "-", "." within? */
bool config_name_is_good(const char *name);

void config_read(struct config *config, const char *path);

struct benchmark *config_add(struct config *config, const char *name);

#endif
