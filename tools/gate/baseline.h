/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu gate's baselines: what was measured then, as a TOML file that is kept with the sources. A
 * line a fact or a count, in an order that does not change, so that a diff says what has changed.
 */
#ifndef VPMU_TOOLS_GATE_BASELINE_H
#define VPMU_TOOLS_GATE_BASELINE_H

#include "result.h"

#include <stdio.h>

/* The folder that baselines are in, below the working directory. */
#define BASELINE_FOLDER "vpmu-gate"

char *baseline_path(const char *name);

/* Fails with one line where it is damaged. */
void baseline_read(struct result *result, const char *path);

void baseline_print(FILE *file, const struct result *result);

/* The file is replaced whole, or not at all. */
void baseline_write(const char *path, const struct result *result);

#endif
