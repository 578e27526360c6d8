/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See figures.h.
 */
#include "figures.h"

#include <math.h>

/* A value that some batches had. */
struct group {
	double value;
	size_t count;
};

/* Of sorted values, those that equal the one at a place. */
static struct group group_at(const struct measure_samples *samples, size_t first)
{
	struct group group = { .value = samples->values[first] };

	while (first + group.count < samples->count &&
	       samples->values[first + group.count] == group.value)
		group.count++;
	return group;
}

static struct group largest_group(const struct measure_samples *samples)
{
	struct group largest = { 0, 0 };

	for (size_t i = 0; i < samples->count;) {
		const struct group group = group_at(samples, i);

		if (group.count > largest.count)
			largest = group;
		i += group.count;
	}
	return largest;
}

/* See figures_count(): what a batch has without interrupts. */
static struct group undisturbed(struct measure_samples *samples)
{
	struct group group;
	size_t first = 0, most;

	measure_statistics(samples); /* sorts them */
	most = largest_group(samples).count;
	group = group_at(samples, first);
	while (2 * group.count < most) {
		first += group.count;
		group = group_at(samples, first);
	}
	return group;
}

struct figures_count figures_count(struct measure_samples *small, uint32_t small_exits,
				   struct measure_samples *large, uint32_t large_exits)
{
	struct figures_count figure = { .each = NAN };
	struct group of_small, of_large;

	if (!small->count || !large->count)
		return figure;
	of_small = undisturbed(small);
	of_large = undisturbed(large);
	figure.small = of_small.value;
	figure.large = of_large.value;
	figure.each = (of_large.value - of_small.value) / (large_exits - small_exits);
	figure.is_whole = trunc(figure.each) == figure.each;
	figure.undisturbed =
		(double)(of_small.count + of_large.count) / (double)(small->count + large->count);
	return figure;
}

double figures_over(double figure, double off)
{
	return (figure - off) / off * 100;
}
