/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See phases.h.
 */
#include "phases.h"
#include "tools/util.h"

#include <glib.h>

#define MOST 64

struct phase {
	const char *name;
	double milliseconds;
	bool is_part; /* of the one before */
};

static struct phase phases[MOST];
static size_t count, parts; /* the last ones are parts of the phase that goes on */
static gint64 first, last;
static int64_t guest_last;

void phases_begin(void)
{
	first = last = g_get_monotonic_time();
}

void phases_end(const char *name)
{
	gint64 now = g_get_monotonic_time();
	size_t at;

	if (count == MOST)
		return;
	at = count++ - parts;
	for (size_t i = count - 1; i > at; i--)
		phases[i] = phases[i - 1];
	phases[at] = (struct phase){ .name = name, .milliseconds = (double)(now - last) / 1000 };
	parts = 0;
	last = now;
}

void phases_guest(const char *name, int64_t nanoseconds)
{
	if (guest_last >= 0 && count < MOST) {
		phases[count++] =
			(struct phase){ .name = g_strdup(name),
					.milliseconds = (double)(nanoseconds - guest_last) / 1e6,
					.is_part = true };
		parts++;
	}
	guest_last = nanoseconds;
}

void phases_guest_restored(void)
{
	guest_last = -1;
}

void phases_print(void)
{
	for (size_t i = 0; i < count; i++)
		warn("%s%8.1f ms  %s", phases[i].is_part ? "          " : "",
		     phases[i].milliseconds, phases[i].name);
	warn("%8.1f ms  in all", (double)(last - first) / 1000);
}
