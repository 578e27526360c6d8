/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu bench pmi: what a host pays for each overflow interrupt of a guest that samples,
 * with the library and with what KVM has done, on real perf events.
 */
#ifndef VPMU_BENCH_PMI_PMI_H
#define VPMU_BENCH_PMI_PMI_H

#include "bench/lib/options.h"
#include "bench/lib/report.h"

/*
 * Adds its tables to the report; "pmi_plot" is the one to plot. NULL, or one line that
 * says what went wrong.
 */
const char *bench_pmi(const struct bench_options *options, struct report *report);

#endif
