/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the benchmarks need of a PMU's registers beside <vpmu/msr.h>, and sets of counters:
 * a bit for each, at its index, as in IA32_PERF_GLOBAL_CTRL.
 */
#ifndef VPMU_BENCH_LIB_REGISTERS_H
#define VPMU_BENCH_LIB_REGISTERS_H

#include <vpmu/msr.h>
#include <vpmu/vpmu.h>

/* As many counters as a set has bits. */
#define COUNTERS 64

/* ECX of RDPMC names a fixed counter. */
#define RDPMC_FIXED (UINT32_C(1) << 30)

/* One counter's field of IA32_FIXED_CTR_CTRL. */
#define FIXED_BITS 4
#define FIXED_OS   UINT64_C(1)
#define FIXED_USR  UINT64_C(2)
#define FIXED_EN   (FIXED_OS | FIXED_USR)
#define FIXED_PMI  UINT64_C(8)

static inline uint64_t counter_bit(unsigned int counter)
{
	return UINT64_C(1) << counter;
}

/* Take the lowest counter out of a set that is not empty. */
static inline unsigned int take_counter(uint64_t *counters)
{
	unsigned int counter = (unsigned int)__builtin_ctzll(*counters);

	*counters &= *counters - 1;
	return counter;
}

static inline uint64_t counter_set(unsigned int general, unsigned int fixed)
{
	return (counter_bit(general) - 1) | (counter_bit(fixed) - 1) << VPMU_FIXED;
}

static inline uint64_t all_counters(const struct vpmu_config *config)
{
	return counter_set(config->general, config->fixed);
}

/* The values that a counter can hold. */
static inline uint64_t counter_mask(const struct vpmu_config *config, unsigned int counter)
{
	return counter_bit(counter < VPMU_FIXED ? config->general_width : config->fixed_width) - 1;
}

#endif
