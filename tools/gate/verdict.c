/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See verdict.h.
 */
#include "verdict.h"

#include <math.h>

#define MARGIN 2 /* times what it varied by */

/* At least what it varies by, whatever the limit. */
static uint64_t allowance(const struct range *before, double per_cent)
{
	double limit = floor((double)before->most * per_cent / 100);
	uint64_t varied = MARGIN * (before->most - before->least);

	if (per_cent < 0 || limit >= (double)UINT64_MAX)
		return UINT64_MAX;
	return (uint64_t)limit > varied ? (uint64_t)limit : varied;
}

static double growth(uint64_t from, uint64_t to)
{
	if (!from)
		return to ? INFINITY : 0;
	return ((double)to - (double)from) / (double)from * 100;
}

struct change verdict_of(const struct range *before, const struct range *now, double soft,
			 double hard)
{
	struct change change = { .before = *before,
				 .now = *now,
				 .threshold = allowance(before, hard < 0 ? soft : hard) };
	uint64_t grown = now->least > before->most ? now->least - before->most : 0;
	uint64_t shrunk = now->most < before->least ? before->least - now->most : 0;

	if (grown)
		change.per_cent = growth(before->most, now->least);
	else if (shrunk)
		change.per_cent = growth(before->least, now->most);
	if (grown > allowance(before, hard))
		change.verdict = VERDICT_FAILURE;
	else if (grown > allowance(before, soft))
		change.verdict = VERDICT_WARNING;
	else if (shrunk && shrunk > allowance(before, soft < 0 ? 0 : soft))
		change.verdict = VERDICT_LESS;
	return change;
}

enum verdict verdict_worst(const struct benchmark_result *before,
			   const struct benchmark_result *now, const struct limits *limits)
{
	enum verdict worst = VERDICT_SAME;

	for (int i = 0; i < COUNT_EVENTS; i++) {
		struct change change = verdict_of(&before->total[i], &now->total[i],
						  limits->soft[i], limits->hard[i]);

		if (change.verdict > worst)
			worst = change.verdict;
	}
	return worst;
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_SAME] = "same",
		[VERDICT_LESS] = "less",
		[VERDICT_WARNING] = "warning",
		[VERDICT_FAILURE] = "failure",
	};

	return names[verdict];
}
