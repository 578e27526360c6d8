/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See arguments.h.
 */
#include "arguments.h"
#include <string.h>

#define CPI_MAX      1000
#define DECIMALS_MAX 3

bool arguments_pmu(const char *name, unsigned int *version)
{
	static const char *const names[] = { "off",      NULL,       "intel-v2",
					     "intel-v3", "intel-v4", "intel-v5" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] && !strcmp(names[i], name)) {
			*version = i;
			return true;
		}
	return false;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool arguments_cpi(const char *text, struct cpi *cpi)
{
	uint64_t value = 0, unit = 1;
	const char *c = text;

	for (; is_digit(*c) && value <= CPI_MAX; c++)
		value = value * 10 + (uint64_t)(*c - '0');
	if (c == text)
		return false;
	if (c[0] == '.' && is_digit(c[1]))
		for (unsigned int i = 0; i < DECIMALS_MAX && is_digit(c[1]); i++) {
			value = value * 10 + (uint64_t)(*++c - '0');
			unit *= 10;
		}
	if (unit > 1)
		c++;
	if (*c || value == 0 || value > CPI_MAX * unit)
		return false;
	*cpi = (struct cpi){ .cycles = value, .instructions = unit };
	return true;
}
