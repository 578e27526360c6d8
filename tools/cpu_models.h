/* SPDX-License-Identifier: BSD-2-Clause
 *
 * QEMU's models of CPUs: what a guest's CPUID says, as far as the PMU is concerned.
 */
#ifndef VPMU_TOOLS_CPU_MODELS_H
#define VPMU_TOOLS_CPU_MODELS_H

#include <stddef.h>
#include <stdint.h>

struct cpu_model {
	const char *name;   /* without version and variant; "*": any version */
	const char *vendor; /* "Intel", "AMD" or another's */
	unsigned int level; /* CPUID's highest basic leaf */
	uint8_t family, model;
};

/* NULL: QEMU 11.1 does not have it. */
const struct cpu_model *cpu_model_find(const char *name, size_t length);

#endif
