/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words that the plugin's arguments and the command's options share: PMU
 * names, and cycles per instruction. No QEMU here.
 */
#ifndef VPMU_QEMU_ARGUMENTS_H
#define VPMU_QEMU_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

/* The names, for messages, and the default. */
#define ARGUMENTS_PMUS "off, intel-v2, intel-v3, intel-v4, intel-v5"
#define ARGUMENTS_PMU  "intel-v4"

/* The Intel architectural version of a PMU's name; 0: "off". False: not a PMU's name. */
bool arguments_pmu(const char *name, unsigned int *version);

/* Cycles per instruction, as a fraction. */
struct cpi {
	uint64_t cycles, instructions;
};

/* A decimal number with at most three digits after the point, 0.001 to 1000. */
bool arguments_cpi(const char *text, struct cpi *cpi);

#endif
