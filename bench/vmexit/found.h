/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What kind of KVM is here: its modules, their parameters, and the PMU that it offers.
 */
#ifndef VPMU_BENCH_VMEXIT_FOUND_H
#define VPMU_BENCH_VMEXIT_FOUND_H

#include "bench/lib/report.h"
#include "pmu.h"

/* Adds the table "vmexit_kvm". */
void found_table(const struct pmu *pmu, struct report *report);

#endif
