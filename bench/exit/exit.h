/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu bench exit: what a PMU costs a host on each instruction that it emulates
 * for its guest.
 */
#ifndef VPMU_BENCH_EXIT_EXIT_H
#define VPMU_BENCH_EXIT_EXIT_H

#include "bench/lib/options.h"
#include "bench/lib/report.h"

/*
 * Adds its tables to the report; "exit_plot" is the one to plot. NULL, or one line
 * that says what went wrong.
 */
const char *bench_exit(const struct bench_options *options, struct report *report);

#endif
