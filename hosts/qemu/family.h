/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Families of processors: those of a family encode their events alike. SDM vol. 4, "CPUID
 * DisplayFamily_DisplayModel"; AMD's PPRs and BKDGs, by family. No QEMU here.
 */
#ifndef VPMU_QEMU_FAMILY_H
#define VPMU_QEMU_FAMILY_H

#include <stdint.h>
#include <vpmu/vpmu.h>

enum family {
	FAMILY_INTEL,        /* none of Intel's that follow: architectural events alone */
	FAMILY_NEHALEM,      /* and Westmere */
	FAMILY_SANDY_BRIDGE, /* to Broadwell */
	FAMILY_SKYLAKE,      /* to Comet Lake and Cooper Lake */
	FAMILY_ICE_LAKE,     /* Tiger Lake, Rocket Lake */
	FAMILY_GOLDEN_COVE,  /* Alder Lake's larger cores, Sapphire Rapids to Granite Rapids */
	FAMILY_SILVERMONT,   /* Airmont, Knights Landing and Knights Mill */
	FAMILY_GOLDMONT,     /* to Tremont */
	FAMILY_GRACEMONT,    /* Crestmont */
	FAMILY_AMD,          /* none of AMD's that follow: K7's events alone */
	FAMILY_K8,           /* to family 16H */
	FAMILY_ZEN1,
	FAMILY_ZEN2,
	FAMILY_ZEN3,
	FAMILY_ZEN4,
	FAMILY_ZEN5,
};

/* Of the processor with this signature: CPUID.1:EAX, which is in EDX after RESET. */
enum family family_of(enum vpmu_vendor_id vendor, uint32_t signature);

enum vpmu_vendor_id family_vendor(enum family family);

/* The family of a processor whose signature is not known. */
enum family family_unknown(enum vpmu_vendor_id vendor);

/* The name of the PMU that such a processor has: one of ARGUMENTS_PMUS. */
const char *family_pmu(enum vpmu_vendor_id vendor, uint32_t signature);

/* The signature of a display family and model, stepping 0. */
uint32_t family_signature(unsigned int family, unsigned int model);

#endif
