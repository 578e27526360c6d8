/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See cpu_models.h. As QEMU 11.1 answers query-cpu-model-expansion; tests/cli.py
 * asks it.
 */
#include "cpu_models.h"
#include <string.h>

/* Longer names come before those that they begin with. */
static const struct cpu_model models[] = {
	{ "486", "Intel", 1, 4, 8 },
	{ "Broadwell", "Intel", 13, 6, 0x3d },
	{ "Cascadelake-Server", "Intel", 13, 6, 0x55 },
	{ "ClearwaterForest", "Intel", 35, 6, 0xdd },
	{ "Conroe", "Intel", 10, 6, 0x0f },
	{ "Cooperlake", "Intel", 13, 6, 0x55 },
	{ "Denverton", "Intel", 21, 6, 0x5f },
	{ "Dhyana", "Hygon", 13, 0x18, 0x00 },
	{ "DiamondRapids", "Intel", 41, 0x13, 0x01 },
	{ "EPYC-Genoa", "AMD", 13, 0x19, 0x11 },
	{ "EPYC-Milan", "AMD", 13, 0x19, 0x01 },
	{ "EPYC-Rome", "AMD", 13, 0x17, 0x31 },
	{ "EPYC-Turin", "AMD", 13, 0x1a, 0x00 },
	{ "EPYC", "AMD", 13, 0x17, 0x01 },
	{ "GraniteRapids", "Intel", 32, 6, 0xad },
	{ "Haswell", "Intel", 13, 6, 0x3c },
	/* The first ones have Snowridge's number, and so its events. */
	{ "Icelake-Server-v1", "Intel", 13, 6, 0x86 },
	{ "Icelake-Server-v2", "Intel", 13, 6, 0x86 },
	{ "Icelake-Server-v3", "Intel", 13, 6, 0x86 },
	{ "Icelake-Server-v*", "Intel", 13, 6, 0x6a },
	{ "Icelake-Server", "Intel", 13, 6, 0x86 },
	{ "IvyBridge", "Intel", 13, 6, 0x3a },
	{ "KnightsMill", "Intel", 13, 6, 0x85 },
	{ "Nehalem", "Intel", 11, 6, 0x1a },
	{ "Opteron_G1", "AMD", 5, 15, 6 },
	{ "Opteron_G2", "AMD", 5, 15, 6 },
	{ "Opteron_G3", "AMD", 5, 16, 2 },
	{ "Opteron_G4", "AMD", 13, 21, 1 },
	{ "Opteron_G5", "AMD", 13, 21, 2 },
	{ "Penryn", "Intel", 10, 6, 0x17 },
	{ "SandyBridge", "Intel", 13, 6, 0x2a },
	{ "SapphireRapids", "Intel", 32, 6, 0x8f },
	{ "SierraForest", "Intel", 35, 6, 0xaf },
	{ "Skylake-Client", "Intel", 13, 6, 0x5e },
	{ "Skylake-Server", "Intel", 13, 6, 0x55 },
	{ "Snowridge", "Intel", 27, 6, 0x86 },
	{ "Westmere", "Intel", 11, 6, 0x2c },
	{ "YongFeng", "VIA", 31, 7, 0x0b },
	{ "athlon", "AMD", 2, 6, 2 },
	{ "base", "no vendor", 0, 0, 0 },
	{ "core2duo", "Intel", 10, 6, 0x0f },
	{ "coreduo", "Intel", 10, 6, 0x0e },
	{ "kvm32", "Intel", 5, 15, 6 },
	{ "kvm64", "Intel", 13, 15, 6 },
	{ "max", "AMD", 13, 6, 6 },
	{ "n270", "Intel", 10, 6, 0x1c },
	{ "pentium", "Intel", 1, 5, 4 },
	{ "pentium2", "Intel", 2, 6, 5 },
	{ "pentium3", "Intel", 3, 6, 7 },
	{ "phenom", "AMD", 5, 16, 2 },
	{ "qemu32", "Intel", 4, 6, 6 },
	{ "qemu64", "AMD", 13, 15, 107 },
};

/* "Haswell" is "Haswell-noTSX-v1", too. */
static int stands_for(const char *known, const char *name, size_t length)
{
	size_t end = strlen(known);

	if (known[end - 1] == '*')
		return length >= end - 1 && !strncmp(known, name, end - 1);
	return length >= end && !strncmp(known, name, end) && (length == end || name[end] == '-');
}

const struct cpu_model *cpu_model_find(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (stands_for(models[i].name, name, length))
			return &models[i];
	return NULL;
}
