/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What has become of each count since the baseline, and whether that is too much.
 *
 * A limit is a share of the baseline's most. What the count varied by at the baseline (its most
 * minus its least) is never too much: the threshold is the larger of the limit and twice that, as
 * a few runs show a part of how far it goes. A count is judged by the least of the runs now: what
 * has become more is more in each run.
 */
#ifndef VPMU_TOOLS_GATE_VERDICT_H
#define VPMU_TOOLS_GATE_VERDICT_H

#include "config.h"
#include "result.h"

enum verdict {
	VERDICT_SAME,    /* within what it varies by, and within the limits */
	VERDICT_LESS,    /* by more than it varies by, and than the soft limit if there is one */
	VERDICT_WARNING, /* more than the soft limit */
	VERDICT_FAILURE, /* more than the hard limit */
};

struct change {
	struct range before, now;
	double per_cent;    /* by how much all runs are beyond all of then; 0: they overlap */
	uint64_t threshold; /* how much it may grow; UINT64_MAX: there is no limit */
	enum verdict verdict;
};

struct change verdict_of(const struct range *before, const struct range *now, double soft,
			 double hard);

/* The worst of a benchmark's counts, in all. */
enum verdict verdict_worst(const struct benchmark_result *before,
			   const struct benchmark_result *now, const struct limits *limits);

const char *verdict_name(enum verdict verdict);

#endif
