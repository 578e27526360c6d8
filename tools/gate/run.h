/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu gate's guests: one for each run, with the command in it under a program that counts or
 * samples, and nothing kept from one to the next.
 */
#ifndef VPMU_TOOLS_GATE_RUN_H
#define VPMU_TOOLS_GATE_RUN_H

#include "config.h"
#include "result.h"
#include "tools/guest/guest.h"

/* The exit status if a benchmark's command fails, or is not found in the guest. */
#define EXIT_COMMAND 4

/* Make the folder for what comes out of the guests. It is removed at exit. */
void run_begin(const struct guest_options *options);

/*
 * Count one run more. Ends vpmu if there is no count: with EXIT_COMMAND and the end of what the
 * command has printed, if it has failed; with EXIT_REFUSED, if the guest has.
 */
void run_count(const struct guest_options *options, const struct benchmark *benchmark,
	       struct benchmark_result *result);

/* Sample one run's instructions:u. Returns what `perf script -F comm,ip,sym,dso' says; allocated.
 */
char *run_profile(const struct guest_options *options, const struct benchmark *benchmark,
		  uint64_t period);

#endif
