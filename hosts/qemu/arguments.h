/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words that the plugin's arguments and the command's options share: PMU
 * names, and cycles per instruction. No QEMU here.
 */
#ifndef VPMU_QEMU_ARGUMENTS_H
#define VPMU_QEMU_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

/* The names, as two lines of a usage and in one, and the default. */
#define ARGUMENTS_PMUS_1 "off, intel-v1, intel-v2, intel-v3, intel-v4, intel-v5"
#define ARGUMENTS_PMUS_2 "amd-k7, amd-core, amd-v2"
#define ARGUMENTS_PMUS   ARGUMENTS_PMUS_1 ", " ARGUMENTS_PMUS_2
#define ARGUMENTS_PMU    "intel-v4"

/*
 * The usual configuration of the PMU of this name, version 0 for "off", without any
 * events. False: not a PMU's name.
 */
bool arguments_pmu(const char *name, struct vpmu_config *config);

/* The same, of a name that is one. events: struct vpmu_config's. */
struct vpmu_config arguments_pmu_counting(const char *name, uint32_t events);

/* Cycles per instruction, as a fraction. */
struct cpi {
	uint64_t cycles, instructions;
};

/* A decimal number with at most three digits after the point, 0.001 to 1000. */
bool arguments_cpi(const char *text, struct cpi *cpi);

#endif
