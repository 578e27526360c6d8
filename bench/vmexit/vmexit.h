/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu bench vmexit: what an exit of a guest costs this machine's KVM, with the guest's PMU off,
 * idle, and counting.
 */
#ifndef VPMU_BENCH_VMEXIT_VMEXIT_H
#define VPMU_BENCH_VMEXIT_VMEXIT_H

#include "bench/lib/options.h"
#include "bench/lib/report.h"

/* Adds its tables to the report. NULL, or one line that says what went wrong. */
const char *bench_vmexit(const struct bench_options *options, struct report *report);

#endif
