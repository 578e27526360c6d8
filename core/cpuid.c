/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * The leaves of CPUID that speak of performance monitoring: SDM vol. 2, CPUID; APM
 * vol. 3, appendix E. What no PMU of this library has is hidden here, whatever the host
 * or another vendor's processor would say; what this PMU has is announced by its vendor.
 */
#include "internal.h"

enum { EAX, EBX, ECX, EDX };

/* 01H */
#define ECX_DTES64 (1u << 2)
#define ECX_DS_CPL (1u << 4)
#define ECX_PDCM   (1u << 15)
#define EDX_DS     (1u << 21)
/* 07H, subleaf 0 and 1 */
#define EDX_ARCH_LBR         (1u << 19)
#define EAX_ARCH_PERFMON_EXT (1u << 8)
/* 80000001H */
#define ECX_IBS       (1u << 10)
#define ECX_PERF_CORE (1u << 23)
#define ECX_PERF_NB   (1u << 24)
#define ECX_PERF_LLC  (1u << 28)

static const uint32_t leaves[] = {
	0x0,                         /* the highest one */
	0x1,        0x7,        0xa, /* architectural performance monitoring */
	0x1c,                        /* architectural branch records */
	0x23,                        /* architectural performance monitoring, extended */
	0x80000000,                  /* the highest one */
	0x80000001, 0x8000001b,      /* instruction based sampling */
	0x80000022,                  /* extended performance monitoring */
};

#define LEAVES ((unsigned int)(sizeof(leaves) / sizeof(leaves[0])))

static void hide(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	switch (leaf) {
	case 0x1:
		regs[ECX] &= ~(ECX_DTES64 | ECX_DS_CPL | ECX_PDCM);
		regs[EDX] &= ~EDX_DS;
		break;
	case 0x7:
		regs[EDX] &= subleaf == 0 ? ~EDX_ARCH_LBR : ~0u;
		regs[EAX] &= subleaf == 1 ? ~EAX_ARCH_PERFMON_EXT : ~0u;
		break;
	case 0x80000001:
		regs[ECX] &= ~(ECX_IBS | ECX_PERF_CORE | ECX_PERF_NB | ECX_PERF_LLC);
		break;
	case 0xa:
	case 0x1c:
	case 0x23:
	case 0x8000001b:
	case 0x80000022:
		regs[EAX] = regs[EBX] = regs[ECX] = regs[EDX] = 0;
		break;
	default:
		break;
	}
}

void vpmu_cpuid(const struct vpmu *pmu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	hide(leaf, subleaf, regs);
	if (pmu->config.version)
		pmu->vendor->cpuid(pmu, leaf, regs);
}

unsigned int vpmu_cpuid_leaves(const struct vpmu *pmu, uint32_t *wanted, unsigned int room)
{
	(void)pmu;
	for (unsigned int i = 0; i < LEAVES && i < room; i++)
		wanted[i] = leaves[i];
	return LEAVES;
}
