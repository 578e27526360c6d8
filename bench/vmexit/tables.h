/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of vpmu bench vmexit.
 */
#ifndef VPMU_BENCH_VMEXIT_TABLES_H
#define VPMU_BENCH_VMEXIT_TABLES_H

#include "bench/lib/report.h"
#include "subject.h"

/* Of each instruction and state of the guest's PMU. Starts as all zero. */
struct vmexit_figures {
	unsigned int exits, states; /* sets of those that were wanted */
	bool no_cycles;             /* a tick of the time stamp counter is no cycle here */
	const char *why_not[GUEST_EXITS][PMU_STATES]; /* NULL: there are figures */
	struct subject_figures of[GUEST_EXITS][PMU_STATES];
};

/* "vmexit" is the one to read, "vmexit_plot" (where there are cycles) and "vmexit_plot_counts" are
 * to be drawn. */
void vmexit_tables(struct vmexit_figures *figures, struct report *report);
void vmexit_figures_free(struct vmexit_figures *figures);

#endif
