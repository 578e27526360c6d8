/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a host is told beforehand, so that it knows what to intercept: the ranges of MSRs,
 * which bits of a shared one are the PMU's, the leaves of CPUID. It has to be what the
 * library answers, for every vendor and version, and with the PMU off.
 * VPMU_SEED chooses other random numbers.
 */
#include "machine.h"
#include "random.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/msr.h>

#include <cmocka.h>

#define EVERY_BIT (~UINT64_C(0))

/* Shared registers: the PMU's bits of them. */
static const struct {
	uint32_t msr;
	uint64_t bits;
} shared[] = { { DEBUGCTL, 0x1800 },
	       { MISC_ENABLE, 0x1880 },
	       { PERF_CAPABILITIES, ~UINT64_C(0x103f) } };
#define SHARED (sizeof(shared) / sizeof(shared[0]))

/* What is asked near by: where hardware has bitmaps that say which registers are intercepted. */
static const struct {
	uint32_t first, last;
} near_by[] = { { 0x00000000, 0x00001fff },
		{ 0xc0000000, 0xc0001fff },
		{ 0xc0010000, 0xc0011fff } };

static uint64_t seed;

/* Every kind of PMU, with what may be there in addition; then both vendors' without one. */
#define CASES (2 * KINDS + 2)

static struct vpmu_config config_of(unsigned int i)
{
	struct vpmu_config config;

	if (i >= 2 * KINDS)
		return i % 2 ? vpmu_config_amd(0, 0, 0) : vpmu_config_intel(0, 0);
	config = usual_config((enum kind)(i / 2));
	if (i % 2 == 0)
		return config;
	if (config.vendor == VPMU_AMD) {
		config.nested = true;
	} else {
		config.event_registers = VPMU_EVENT_REGISTERS;
		config.full_width_writes = !config.full_width_writes;
		config.general = 5;
	}
	return config;
}

static void start_case(struct machine *m, unsigned int i)
{
	struct vpmu_config config = config_of(i);

	start_machine(m, &config);
}

static bool is_in(const struct vpmu_msr_range *range, uint32_t msr)
{
	for (uint32_t n = 0; n < range->count; n++)
		if (msr == range->first + n * range->stride)
			return true;
	return false;
}

static unsigned int holding(const struct vpmu_msr_range *ranges, unsigned int count, uint32_t msr)
{
	unsigned int holding = 0;

	for (unsigned int i = 0; i < count; i++)
		holding += is_in(&ranges[i], msr);
	return holding;
}

static uint64_t expected_bits(uint32_t msr, bool mine)
{
	for (unsigned int i = 0; i < SHARED; i++)
		if (mine && shared[i].msr == msr)
			return shared[i].bits;
	return mine ? EVERY_BIT : 0;
}

/* All that is said of one register agrees. Writes come last: they may change what is read. */
static void check_msr(struct machine *m, const struct vpmu_msr_range *ranges, unsigned int count,
		      uint32_t msr)
{
	uint64_t value = 0;
	bool mine = vpmu_rdmsr(&m->pmu, msr, &value) != VPMU_NOT_MINE;

	if (vpmu_msr_bits(&m->pmu, msr) != expected_bits(msr, mine))
		fail_msg("%" PRIx32 "H: bits %" PRIx64 "H", msr, vpmu_msr_bits(&m->pmu, msr));
	if (holding(ranges, count, msr) != mine)
		fail_msg("%" PRIx32 "H is in %u ranges", msr, holding(ranges, count, msr));
	if ((vpmu_wrmsr(&m->pmu, msr, 0) != VPMU_NOT_MINE) != mine)
		fail_msg("%" PRIx32 "H: WRMSR and RDMSR do not agree", msr);
}

#define MOST_RANGES    32
#define RANDOM_NUMBERS 50000

static void check_case(struct machine *m, struct random *random)
{
	struct vpmu_msr_range ranges[MOST_RANGES];
	unsigned int count = vpmu_msr_ranges(&m->pmu, ranges, MOST_RANGES);

	assert_true(count <= MOST_RANGES);
	for (unsigned int i = 0; i < sizeof(near_by) / sizeof(near_by[0]); i++)
		for (uint32_t msr = near_by[i].first; msr <= near_by[i].last; msr++)
			check_msr(m, ranges, count, msr);
	/* A mistake in a stride, a mask or a sign would be seen one bit away from a register. */
	for (unsigned int i = 0; i < count; i++)
		for (uint32_t n = 0; n < ranges[i].count; n++)
			for (unsigned int b = 0; b < 32; b++)
				check_msr(m, ranges, count,
					  (ranges[i].first + n * ranges[i].stride) ^ UINT32_C(1)
											     << b);
	for (unsigned int i = 0; i < RANDOM_NUMBERS; i++)
		check_msr(m, ranges, count, (uint32_t)random_bits(random));
}

static void msrs_agree(void **state)
{
	struct random random = random_from(seed);

	(void)state;
	for (unsigned int i = 0; i < CASES; i++) {
		struct machine m;

		start_case(&m, i);
		check_case(&m, &random);
	}
}

static void ranges_need_room(void **state)
{
	struct vpmu_msr_range all[MOST_RANGES], some[MOST_RANGES];
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < CASES; i++) {
		unsigned int count;

		start_case(&m, i);
		count = vpmu_msr_ranges(&m.pmu, NULL, 0);
		assert_in_range(count, 1, MOST_RANGES);
		assert_int_equal(vpmu_msr_ranges(&m.pmu, all, MOST_RANGES), count);
		for (unsigned int room = 0; room < count; room++) {
			memset(some, 0xa5, sizeof(some));
			assert_int_equal(vpmu_msr_ranges(&m.pmu, some, room), count);
			assert_memory_equal(some, all, room * sizeof(all[0]));
			assert_int_equal(some[room].first, 0xa5a5a5a5);
		}
	}
}

/* The host's bits of a register come back, whatever they are. */
static void check_merged(struct machine *m, uint32_t msr, uint64_t bits, uint64_t hosts)
{
	uint64_t value = hosts, own = 0;

	assert_int_equal(vpmu_rdmsr(&m->pmu, msr, &value), VPMU_DONE);
	assert_int_equal(vpmu_rdmsr(&m->pmu, msr, &own), VPMU_DONE);
	assert_int_equal(value & ~bits, hosts & ~bits);
	assert_int_equal(value & bits, own & bits);
}

static void shared_are_merged(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < CASES; i++) {
		start_case(&m, i);
		for (unsigned int n = 0; n < SHARED; n++) {
			uint32_t msr = shared[n].msr;
			uint64_t bits = vpmu_msr_bits(&m.pmu, msr), value;

			if (!bits || vpmu_rdmsr(&m.pmu, msr, &value) == VPMU_FAULT)
				continue;
			/* Those that the guest may set in DEBUGCTL are kept for it. */
			bits |= msr == DEBUGCTL ? m.pmu.config.debug_bits : 0;
			check_merged(&m, msr, bits, 0);
			check_merged(&m, msr, bits, EVERY_BIT);
			for (unsigned int b = 0; b < 64; b++)
				check_merged(&m, msr, bits, UINT64_C(1) << b);
		}
	}
}

/* Does some value of the host's make the leaf another one? */
static bool changes(const struct machine *m, uint32_t leaf, uint32_t subleaf)
{
	static const uint32_t hosts[] = { 0, ~0u };

	for (unsigned int i = 0; i < 2; i++) {
		uint32_t before[4] = { hosts[i], hosts[i], hosts[i], hosts[i] }, after[4];

		memcpy(after, before, sizeof(after));
		vpmu_cpuid(&m->pmu, leaf, subleaf, after);
		if (memcmp(before, after, sizeof(after)) != 0)
			return true;
	}
	return false;
}

#define MOST_LEAVES 32

static bool is_listed(const uint32_t *leaves, unsigned int count, uint32_t leaf)
{
	for (unsigned int i = 0; i < count; i++)
		if (leaves[i] == leaf)
			return true;
	return false;
}

static void check_leaves(const struct machine *m, struct random *random)
{
	static const uint32_t firsts[] = { 0x0, 0x40000000, 0x80000000, 0x8fffff00, 0xc0000000 };
	uint32_t leaves[MOST_LEAVES];
	unsigned int count = vpmu_cpuid_leaves(&m->pmu, leaves, MOST_LEAVES);

	assert_in_range(count, 1, MOST_LEAVES);
	for (unsigned int i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
		for (uint32_t n = 0; n < 0x100; n++)
			for (uint32_t subleaf = 0; subleaf < 4; subleaf++)
				if (!is_listed(leaves, count, firsts[i] + n))
					assert_false(changes(m, firsts[i] + n, subleaf));
	for (unsigned int i = 0; i < RANDOM_NUMBERS; i++) {
		uint32_t leaf = (uint32_t)random_bits(random);

		if (!is_listed(leaves, count, leaf))
			assert_false(changes(m, leaf, (uint32_t)random_bits(random)));
	}
}

static void leaves_agree(void **state)
{
	struct random random = random_from(seed);

	(void)state;
	for (unsigned int i = 0; i < CASES; i++) {
		struct machine m;

		start_case(&m, i);
		check_leaves(&m, &random);
	}
}

static void leaves_are_changed(void **state)
{
	uint32_t leaves[MOST_LEAVES];
	struct machine m;
	unsigned int count;

	(void)state;
	start_case(&m, 0);
	count = vpmu_cpuid_leaves(&m.pmu, leaves, MOST_LEAVES);
	for (unsigned int n = 0; n < count; n++) {
		bool changed = false;

		for (unsigned int i = 0; i < CASES; i++) {
			start_case(&m, i);
			changed |= changes(&m, leaves[n], 0);
		}
		assert_true(changed);
	}
}

static void leaves_need_room(void **state)
{
	uint32_t all[MOST_LEAVES], some[MOST_LEAVES];
	struct machine m;
	unsigned int count;

	(void)state;
	start_case(&m, 0);
	count = vpmu_cpuid_leaves(&m.pmu, NULL, 0);
	assert_int_equal(vpmu_cpuid_leaves(&m.pmu, all, MOST_LEAVES), count);
	for (unsigned int room = 0; room < count; room++) {
		memset(some, 0xa5, sizeof(some));
		assert_int_equal(vpmu_cpuid_leaves(&m.pmu, some, room), count);
		assert_memory_equal(some, all, room * sizeof(all[0]));
		assert_int_equal(some[room], 0xa5a5a5a5);
	}
}

static const struct CMUnitTest tests[] = {
	{ .name = "RDMSR, WRMSR, the ranges and the bits agree about which registers are the PMU's",
	  .test_func = msrs_agree },
	{ .name = "ranges are stored while there is room, and all are counted",
	  .test_func = ranges_need_room },
	{ .name = "of a shared register the host's bits come back as they were",
	  .test_func = shared_are_merged },
	{ .name = "only leaves of the list change", .test_func = leaves_agree },
	{ .name = "each leaf of the list changes for some PMU", .test_func = leaves_are_changed },
	{ .name = "leaves are stored while there is room, and all are counted",
	  .test_func = leaves_need_room },
};

int main(void)
{
	seed = random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
