/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The guest benchmark: what the PMU costs a guest of QEMU's TCG, beside plain QEMU.
 */
#ifndef VPMU_BENCH_GUEST_GUEST_H
#define VPMU_BENCH_GUEST_GUEST_H

#include "bench/lib/options.h"
#include "bench/lib/report.h"

/* NULL, or why it cannot be measured. */
const char *bench_guest(const struct bench_options *options, struct report *report);

#endif
