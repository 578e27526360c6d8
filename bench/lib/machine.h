/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What machine the figures are from: what has a say in them, in a few lines.
 */
#ifndef VPMU_BENCH_LIB_MACHINE_H
#define VPMU_BENCH_LIB_MACHINE_H

#include "json.h"

#include <stdbool.h>
#include <stdio.h>

struct machine {
	char cpu[192];         /* model name, family, model, stepping */
	char kernel[160];      /* release */
	char virtual[64];      /* the hypervisor, or "no" */
	char mitigations[512]; /* what the kernel does against which flaw; those that are not
				  affected left out */
	char governor[64];     /* of frequency, or why there is none to be seen */
	char compiler[256];    /* and its flags */
	char counters[128];    /* "yes", or why not */
	double tsc_hz;         /* ticks of measure.h's clock */
	double core_hz;        /* 0: not known */
};

/* False under a translator: there an addition is no cycle, nor is a tick of the time stamp counter.
 */
bool machine_has_cycles(void);

void machine_read(struct machine *machine);
void machine_print(FILE *file, const struct machine *machine);
/* An object with the fields above. */
json_t *machine_json(const struct machine *machine);

#endif
