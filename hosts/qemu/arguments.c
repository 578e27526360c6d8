/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See arguments.h.
 */
#include "arguments.h"
#include <string.h>

#define CPI_MAX      1000
#define DECIMALS_MAX 3

static const struct pmu {
	const char *name;
	enum vpmu_vendor_id vendor;
	uint8_t version;
	uint8_t counters; /* AMD's */
} pmus[] = {
	{ "off", VPMU_INTEL, 0, 0 },      { "intel-v1", VPMU_INTEL, 1, 0 },
	{ "intel-v2", VPMU_INTEL, 2, 0 }, { "intel-v3", VPMU_INTEL, 3, 0 },
	{ "intel-v4", VPMU_INTEL, 4, 0 }, { "intel-v5", VPMU_INTEL, 5, 0 },
	{ "amd-k7", VPMU_AMD, 1, 4 },     { "amd-core", VPMU_AMD, 1, 6 },
	{ "amd-v2", VPMU_AMD, 2, 6 },
};

static const struct pmu *find_pmu(const char *name)
{
	for (size_t i = 0; i < sizeof(pmus) / sizeof(pmus[0]); i++)
		if (!strcmp(pmus[i].name, name))
			return &pmus[i];
	return NULL;
}

struct vpmu_config arguments_pmu_counting(const char *name, uint32_t events)
{
	const struct pmu *pmu = find_pmu(name);

	if (!pmu->version)
		return (struct vpmu_config){ .vendor = pmu->vendor };
	if (pmu->vendor == VPMU_AMD)
		return vpmu_config_amd(pmu->version, pmu->counters, events);
	return vpmu_config_intel(pmu->version, events);
}

bool arguments_pmu(const char *name, struct vpmu_config *config)
{
	if (!find_pmu(name))
		return false;
	*config = arguments_pmu_counting(name, 0);
	return true;
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
