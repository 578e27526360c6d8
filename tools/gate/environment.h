/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the counts depend on beside the program itself: named where it has changed since the
 * baseline.
 */
#ifndef VPMU_TOOLS_GATE_ENVIRONMENT_H
#define VPMU_TOOLS_GATE_ENVIRONMENT_H

#include "result.h"
#include "tools/guest/guest.h"

/* The facts of this machine and of the guests that are started with these options. */
void environment_add(struct result *result, const struct guest_options *options);

/* Texts "NAME: was BEFORE, is NOW", one for each difference; and of the benchmarks' commands. */
void environment_differences(const struct result *before, const struct result *now,
			     struct args *differences);

#endif
