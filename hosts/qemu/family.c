/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See family.h.
 */
#include "family.h"
#include <stddef.h>

#define FAMILY_EXTENDED 0xf /* from it on the extended family is added */
#define FAMILY_P6       0x6

/* Models from the first to the last of a display family. */
struct models {
	enum vpmu_vendor_id vendor;
	unsigned int family, first, last;
	enum family is;
	const char *pmu;
};

/* What is not in it has the last row of its vendor. */
static const struct models known[] = {
	{ VPMU_INTEL, 0x6, 0x0e, 0x0e, FAMILY_INTEL, "intel-v1" }, /* Core Duo */
	{ VPMU_INTEL, 0x6, 0x1a, 0x1a, FAMILY_NEHALEM, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x1e, 0x1f, FAMILY_NEHALEM, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x25, 0x25, FAMILY_NEHALEM, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x2c, 0x2c, FAMILY_NEHALEM, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x2e, 0x2f, FAMILY_NEHALEM, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x2a, 0x2a, FAMILY_SANDY_BRIDGE, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x2d, 0x2d, FAMILY_SANDY_BRIDGE, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x3a, 0x3a, FAMILY_SANDY_BRIDGE, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x3c, 0x3f, FAMILY_SANDY_BRIDGE, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x45, 0x47, FAMILY_SANDY_BRIDGE, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x4f, 0x4f, FAMILY_SANDY_BRIDGE, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x56, 0x56, FAMILY_SANDY_BRIDGE, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x4e, 0x4e, FAMILY_SKYLAKE, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x55, 0x55, FAMILY_SKYLAKE, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x5e, 0x5e, FAMILY_SKYLAKE, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x8e, 0x8e, FAMILY_SKYLAKE, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x9e, 0x9e, FAMILY_SKYLAKE, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0xa5, 0xa6, FAMILY_SKYLAKE, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x6a, 0x6a, FAMILY_ICE_LAKE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x6c, 0x6c, FAMILY_ICE_LAKE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x7d, 0x7e, FAMILY_ICE_LAKE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x8c, 0x8d, FAMILY_ICE_LAKE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xa7, 0xa7, FAMILY_ICE_LAKE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x8f, 0x8f, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x97, 0x97, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x9a, 0x9a, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xad, 0xae, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xb7, 0xb7, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xba, 0xba, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xbf, 0xbf, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xcf, 0xcf, FAMILY_GOLDEN_COVE, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x1c, 0x1c, FAMILY_INTEL, "intel-v3" }, /* Bonnell */
	{ VPMU_INTEL, 0x6, 0x26, 0x27, FAMILY_INTEL, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x35, 0x36, FAMILY_INTEL, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x37, 0x37, FAMILY_SILVERMONT, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x4a, 0x4a, FAMILY_SILVERMONT, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x4c, 0x4d, FAMILY_SILVERMONT, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x57, 0x57, FAMILY_SILVERMONT, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x5a, 0x5a, FAMILY_SILVERMONT, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x85, 0x85, FAMILY_SILVERMONT, "intel-v3" },
	{ VPMU_INTEL, 0x6, 0x5c, 0x5c, FAMILY_GOLDMONT, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x5f, 0x5f, FAMILY_GOLDMONT, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x7a, 0x7a, FAMILY_GOLDMONT, "intel-v4" },
	{ VPMU_INTEL, 0x6, 0x86, 0x86, FAMILY_GOLDMONT, "intel-v5" }, /* Tremont */
	{ VPMU_INTEL, 0x6, 0x96, 0x96, FAMILY_GOLDMONT, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0x9c, 0x9c, FAMILY_GOLDMONT, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xaf, 0xaf, FAMILY_GRACEMONT, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xb6, 0xb6, FAMILY_GRACEMONT, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xbe, 0xbe, FAMILY_GRACEMONT, "intel-v5" },
	{ VPMU_INTEL, 0x6, 0xc5, 0xff, FAMILY_INTEL, "intel-v5" }, /* newer ones */
	{ VPMU_INTEL, 0x13, 0x00, 0xff, FAMILY_INTEL, "intel-v5" },
	{ VPMU_INTEL, 0x0, 0x00, 0x00, FAMILY_INTEL, "intel-v2" },
	{ VPMU_AMD, 0xf, 0x00, 0xff, FAMILY_K8, "amd-k7" },
	{ VPMU_AMD, 0x10, 0x00, 0xff, FAMILY_K8, "amd-k7" },
	{ VPMU_AMD, 0x11, 0x00, 0xff, FAMILY_K8, "amd-k7" },
	{ VPMU_AMD, 0x12, 0x00, 0xff, FAMILY_K8, "amd-k7" },
	{ VPMU_AMD, 0x14, 0x00, 0xff, FAMILY_K8, "amd-k7" },
	{ VPMU_AMD, 0x15, 0x00, 0xff, FAMILY_K8, "amd-core" },
	{ VPMU_AMD, 0x16, 0x00, 0xff, FAMILY_K8, "amd-k7" },
	{ VPMU_AMD, 0x17, 0x00, 0x2f, FAMILY_ZEN1, "amd-core" },
	{ VPMU_AMD, 0x17, 0x30, 0xff, FAMILY_ZEN2, "amd-core" },
	{ VPMU_AMD, 0x19, 0x00, 0x0f, FAMILY_ZEN3, "amd-core" },
	{ VPMU_AMD, 0x19, 0x20, 0x2f, FAMILY_ZEN3, "amd-core" },
	{ VPMU_AMD, 0x19, 0x40, 0x5f, FAMILY_ZEN3, "amd-core" },
	{ VPMU_AMD, 0x19, 0x10, 0xff, FAMILY_ZEN4, "amd-v2" },
	{ VPMU_AMD, 0x1a, 0x00, 0xff, FAMILY_ZEN5, "amd-v2" },
	{ VPMU_AMD, 0x0, 0x00, 0x00, FAMILY_AMD, "amd-k7" },
};

static unsigned int display_family(uint32_t signature)
{
	unsigned int family = signature >> 8 & 0xf;

	return family < FAMILY_EXTENDED ? family : family + (signature >> 20 & 0xff);
}

static unsigned int display_model(uint32_t signature)
{
	unsigned int family = signature >> 8 & 0xf, model = signature >> 4 & 0xf;

	if (family < FAMILY_EXTENDED && family != FAMILY_P6)
		return model;
	return model | (signature >> 12 & 0xf0);
}

static const struct models *find(enum vpmu_vendor_id vendor, uint32_t signature)
{
	unsigned int family = display_family(signature), model = display_model(signature);
	const struct models *row = NULL;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].vendor != vendor)
			continue;
		row = &known[i];
		if (row->family == family && row->first <= model && model <= row->last)
			break;
	}
	return row;
}

enum family family_of(enum vpmu_vendor_id vendor, uint32_t signature)
{
	return find(vendor, signature)->is;
}

enum vpmu_vendor_id family_vendor(enum family family)
{
	return family < FAMILY_AMD ? VPMU_INTEL : VPMU_AMD;
}

enum family family_unknown(enum vpmu_vendor_id vendor)
{
	return vendor == VPMU_AMD ? FAMILY_AMD : FAMILY_INTEL;
}

const char *family_pmu(enum vpmu_vendor_id vendor, uint32_t signature)
{
	return find(vendor, signature)->pmu;
}

uint32_t family_signature(unsigned int family, unsigned int model)
{
	unsigned int extended = family > FAMILY_EXTENDED ? family - FAMILY_EXTENDED : 0;

	return extended << 20 | (model & 0xf0) << 12 | (family - extended) << 8 |
	       (model & 0xf) << 4;
}
