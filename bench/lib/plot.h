/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A table as a bar plot, in SVG: a group of bars for each row (its texts are
 * the label), a bar for each column of numbers. Absent values have no bar, and
 * say so.
 */
#ifndef VPMU_BENCH_LIB_PLOT_H
#define VPMU_BENCH_LIB_PLOT_H

#include "report.h"

struct plot {
	const struct report_table *table;
	const char *title;
	const char *subtitle; /* NULL: none. Of what machine, for example */
	const char *axis;     /* what the numbers are, with their unit */
	bool logarithmic;     /* numbers of 0 and below then have no bar */
};

void plot_svg(FILE *file, const struct plot *plot);

#endif
