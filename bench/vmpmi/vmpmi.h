/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu bench pmi --kvm: what an overflow interrupt of a guest that samples costs this machine's
 * KVM.
 */
#ifndef VPMU_BENCH_VMPMI_VMPMI_H
#define VPMU_BENCH_VMPMI_VMPMI_H

#include "bench/lib/options.h"
#include "bench/lib/report.h"

/* Adds its tables to the report. NULL, or one line that says what went wrong. */
const char *bench_vmpmi(const struct bench_options *options, struct report *report);

#endif
