/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of vpmu bench pmi --kvm.
 */
#ifndef VPMU_BENCH_VMPMI_TABLES_H
#define VPMU_BENCH_VMPMI_TABLES_H

#include "bench/lib/report.h"
#include "subject.h"

enum { VMPMI_GUESTS = 3 };
extern const unsigned int vmpmi_events[VMPMI_GUESTS];

/* Of guests that sample so many events, and of those that do nothing but exit. Starts as all zero.
 */
struct vmpmi_figures {
	unsigned int counters; /* of the guests */
	struct subject_figures of[VMPMI_GUESTS], floor[VMPMI_GUESTS];
};

/* "pmi_kvm" and "pmi_kvm_events" are those to read, "pmi_kvm_plot" is to be drawn. */
void vmpmi_tables(struct vmpmi_figures *figures, struct report *report);
void vmpmi_figures_free(struct vmpmi_figures *figures);

#endif
