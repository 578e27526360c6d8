/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the two halves of the library say to each other: vpmu.c owns the life
 * of a counter, a vendor's file owns the registers. Not for hosts or sources.
 */
#ifndef VPMU_INTERNAL_H
#define VPMU_INTERNAL_H

#include <vpmu/vpmu.h>

/*
 * One vendor's registers. Masks have the layout of IA32_PERF_GLOBAL_CTRL;
 * counter is an index into it.
 */
struct vpmu_vendor {
	/* Is this PMU one that the vendor's manual describes? It is not off. */
	enum vpmu_error (*check)(const struct vpmu_config *config);
	/* Give the control registers their values after RESET. */
	void (*reset)(struct vpmu *pmu);
	enum vpmu_answer (*rdmsr)(struct vpmu *pmu, uint32_t msr, uint64_t *value);
	enum vpmu_answer (*wrmsr)(struct vpmu *pmu, uint32_t msr, uint64_t value);
	/* The counter that RDPMC reads with this ECX; false if there is none. */
	bool (*rdpmc_counter)(const struct vpmu *pmu, uint32_t ecx, unsigned int *counter);
	void (*cpuid)(const struct vpmu *pmu, uint32_t leaf, uint32_t regs[4]);
	uint64_t (*misc_enable)(const struct vpmu *pmu, uint64_t value);
	/* The counters that the registers say are to count now. */
	uint64_t (*enabled)(const struct vpmu *pmu);
	/* What the registers say that a counter counts, whether or not it is enabled. */
	struct vpmu_event (*event)(const struct vpmu *pmu, unsigned int counter);
	/* Does this counter's overflow ask for a PMI? */
	bool (*interrupts)(const struct vpmu *pmu, unsigned int counter);
	/* A PMI is being handed out: freeze what the guest wants frozen. */
	void (*freeze)(struct vpmu *pmu);
};

extern const struct vpmu_vendor vpmu_intel;

static inline uint64_t vpmu_bit(unsigned int counter)
{
	return UINT64_C(1) << counter;
}

/* All counters of the PMU. */
static inline uint64_t vpmu_counters(const struct vpmu *pmu)
{
	return (vpmu_bit(pmu->config.general) - 1) |
	       ((vpmu_bit(pmu->config.fixed) - 1) << VPMU_FIXED);
}

/* The values that a counter can hold. */
static inline uint64_t vpmu_counter_mask(const struct vpmu *pmu, unsigned int counter)
{
	return vpmu_bit(counter < VPMU_FIXED ? pmu->config.general_width
					     : pmu->config.fixed_width) -
	       1;
}

/*
 * Bring those of the counters that are counting up to date, overflows
 * included. To be called before a register changes that says what an overflow
 * means, and before the status is looked at.
 */
void vpmu_settle(struct vpmu *pmu, uint64_t counters);

/* A counter as the guest reads and writes it; value is within its width. */
uint64_t vpmu_read_counter(struct vpmu *pmu, unsigned int counter);
void vpmu_write_counter(struct vpmu *pmu, unsigned int counter, uint64_t value);

/* These counters' control has changed: vpmu_service() compares them. */
static inline void vpmu_touch(struct vpmu *pmu, uint64_t counters)
{
	pmu->dirty |= counters;
}

#endif
