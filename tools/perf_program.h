/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which perf is run in a guest.
 */
#ifndef VPMU_TOOLS_PERF_PROGRAM_H
#define VPMU_TOOLS_PERF_PROGRAM_H

#include "process/args.h"

/*
 * Append the words that start it: this machine's, or else a bundle's. release: the guest kernel's,
 * for machines that have a perf for each. Fails with one line if there is none.
 */
void perf_program_add(struct args *words, const char *release);

#endif
