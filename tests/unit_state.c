/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A PMU's state on the host's behalf (vpmu/state.h): what an image holds, where it is
 * taken and refused, and the state register by register, as KVM_GET_MSRS and KVM_SET_MSRS
 * have it.
 */
#include "machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/filter.h>
#include <vpmu/msr.h>
#include <vpmu/state.h>

#include <cmocka.h>

#define SAMPLED_BRANCHES (BRANCHES | EVTSEL_INT)
#define FREEZE_PERFMON   (UINT64_C(1) << 12)

/* An image in a block of its own size. */
struct image {
	size_t size;
	uint8_t *bytes;
};

static struct image save(struct machine *m)
{
	struct image image = { .size = vpmu_state_size(&m->pmu) };

	image.bytes = malloc(image.size);
	assert_non_null(image.bytes);
	memset(image.bytes, 0xa5, image.size);
	assert_int_equal(vpmu_save(&m->pmu, image.bytes, image.size), VPMU_OK);
	return image;
}

static enum vpmu_error load(struct machine *m, struct image image)
{
	enum vpmu_error checked = vpmu_check_state(&m->pmu, image.bytes, image.size);
	enum vpmu_error error = vpmu_load(&m->pmu, image.bytes, image.size);

	assert_int_equal(error, checked);
	free(image.bytes);
	return error;
}

/* The state of one machine goes to another with the same configuration, somewhere else. */
static void move(struct machine *from, struct machine *to)
{
	struct vpmu_config config = from->pmu.config;

	start_with(to, &config, &knowing_source_ops);
	for (unsigned int i = 0; i < COUNTERS; i++)
		to->source.totals[i] += 1000000;
	to->source.refuses = from->source.refuses;
	assert_int_equal(load(to, save(from)), VPMU_OK);
}

/* All registers of the state, and those that show it otherwise, are the same. */
static void assert_same_registers(struct machine *a, struct machine *b)
{
	uint32_t msrs[64];
	unsigned int count = vpmu_state_msrs(&a->pmu, msrs, 64);

	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(get(a, msrs[i]), get(b, msrs[i]));
	assert_int_equal(vpmu_status(&a->pmu), vpmu_status(&b->pmu));
}

/* --- images -------------------------------------------------------------------------- */

static void registers_come_along(void **state)
{
	struct machine a, b;

	(void)state;
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		struct vpmu_config config = usual_config((enum kind)kind);
		uint32_t msrs[64];
		unsigned int count;

		start_machine(&a, &config);
		count = vpmu_state_msrs(&a.pmu, msrs, 64);
		/* What a register does not take is left as it is. */
		for (unsigned int i = 0; i < count; i++)
			for (unsigned int n = 0; n < 64; n += 3)
				vpmu_host_wrmsr(&a.pmu, msrs[i],
						get(&a, msrs[i]) | UINT64_C(1) << (n + i % 3) % 64);
		move(&a, &b);
		assert_same_registers(&a, &b);
	}
}

static void image_is_the_same_everywhere(void **state)
{
	/* Intel's version 2, a counter of 48 bits; 1234H; branches at level 3, enabled, INT. */
	static const uint8_t
		expected[] = {
			'v',  'p', 'm', 'u', 's', 't', 'a', 't', 1,    0,    0,
			0,    152, 0,   0,   0,                /* version, size */
			0,    0,   0,   0,   0,   0,   0,   0, /* flags */
			0,    2,   1,   48,  0,   0,   1,   0,   0x7f, 0,    0,
			0,    0,   0,   0,   0,   3,   0,   0,   0,    0,    0,
			0,    0,   0,   0,   0,   0,   0,   0,   0,    0, /* configuration */
			0xc1, 0,   0,   0,   0,   0,   0,   0,   0x34, 0x12, 0,
			0,    0,   0,   0,   0, /* IA32_PMC0 */
			0x86, 1,   0,   0,   0,   0,   0,   0,   0xc4, 0,    0x51,
			0,    0,   0,   0,   0, /* IA32_PERFEVTSEL0 */
			0xd9, 1,   0,   0,   0,   0,   0,   0,   1,    0x10, 0,
			0,    0,   0,   0,   0, /* IA32_DEBUGCTL */
			0x8d, 3,   0,   0,   0,   0,   0,   0,   0,    0,    0,
			0,    0,   0,   0,   0, /* IA32_FIXED_CTR_CTRL */
			0x8e, 3,   0,   0,   0,   0,   0,   0,   0,    0,    0,
			0,    0,   0,   0,   0, /* IA32_PERF_GLOBAL_STATUS */
			0x8f, 3,   0,   0,   0,   0,   0,   0,   1,    0,    0,
			0,    0,   0,   0,   0, /* IA32_PERF_GLOBAL_CTRL */
		};
	struct vpmu_config config = vpmu_config_intel(2, 0x7f);
	struct machine m;
	struct image image;

	(void)state;
	config.general = 1;
	config.fixed = config.fixed_width = 0;
	config.debug_bits = DEBUG_BITS;
	start_machine(&m, &config);
	set(&m, PMC0, 0x1234);
	set(&m, PERFEVTSEL0, 0x5100c4);
	set(&m, DEBUGCTL, FREEZE_PERFMON | 1);
	image = save(&m);
	assert_int_equal(image.size, sizeof(expected));
	assert_memory_equal(image.bytes, expected, sizeof(expected));
	free(image.bytes);
}

static void size_is_the_configurations(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		struct vpmu_config config = usual_config((enum kind)kind);
		size_t size;

		start_machine(&m, &config);
		size = vpmu_state_size(&m.pmu);
		if (config.vendor == VPMU_INTEL)
			set_now(&m, PERFEVTSEL0, BRANCHES);
		else
			set_now(&m, K7_EVNTSEL0, BRANCHES);
		assert_int_equal(vpmu_state_size(&m.pmu), size);
	}
}

static void too_little_room(void **state)
{
	struct machine m;
	uint8_t *bytes;
	size_t size;

	(void)state;
	start_counting(&m, BRANCHES, 5);
	size = vpmu_state_size(&m.pmu);
	for (size_t room = 0; room < size; room++) {
		bytes = malloc(room + 1);
		assert_non_null(bytes);
		memset(bytes, 0xa5, room + 1);
		assert_int_equal(vpmu_save(&m.pmu, bytes, room), VPMU_ERROR_STATE);
		for (size_t i = 0; i <= room; i++)
			assert_int_equal(bytes[i], 0xa5);
		free(bytes);
	}
	bytes = malloc(size + 8);
	assert_non_null(bytes);
	memset(bytes, 0xa5, size + 8);
	assert_int_equal(vpmu_save(&m.pmu, bytes, size + 8), VPMU_OK);
	for (size_t i = size; i < size + 8; i++)
		assert_int_equal(bytes[i], 0xa5);
	free(bytes);
}

static void saving_changes_nothing(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48 - 9);
	for (unsigned int i = 0; i < 9; i++) {
		happen(&m, 0, 1);
		free(save(&m).bytes);
	}
	assert_int_equal(m.source.binds + m.source.unbinds + m.source.alarm_calls, 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu) & VPMU_PMI);
}

static void counting_goes_on(void **state)
{
	struct machine a, b;

	(void)state;
	start_counting(&a, SAMPLED_BRANCHES, MAX_48 - 99);
	happen(&a, 0, 40);
	move(&a, &b);
	assert_false(vpmu_service(&b.pmu));
	assert_int_equal(get(&b, PMC0), MAX_48 - 59);
	happen(&b, 0, 59);
	assert_int_equal(ring(&b), 0);
	happen(&b, 0, 1);
	assert_int_equal(ring(&b), 1);
	assert_true(vpmu_service(&b.pmu) & VPMU_PMI);
	assert_int_equal(get(&b, PMC0), 0);
}

/* At each moment of an overflow: it has happened, been hinted at, found, or handed out. */
static void each_moment_of_an_overflow(void **state)
{
	(void)state;
	for (unsigned int moment = 0; moment < 4; moment++) {
		struct machine a, b;
		unsigned int asked = 0;

		start_counting(&a, SAMPLED_BRANCHES, MAX_48);
		happen(&a, 0, 1);
		if (moment >= 1)
			ring(&a);
		if (moment == 2)
			assert_int_equal(get(&a, GLOBAL_STATUS), 1);
		if (moment == 3)
			asked = vpmu_service(&a.pmu);
		move(&a, &b);
		asked |= vpmu_service(&b.pmu);
		assert_int_equal(asked, VPMU_PMI | VPMU_MASK_LVTPC);
		assert_int_equal(vpmu_service(&b.pmu), 0);
		assert_int_equal(get(&b, GLOBAL_STATUS), 1);
		happen(&b, 0, 3);
		assert_int_equal(get(&b, PMC0), 3);
	}
}

/* The source's totals grow while the PMU is saved: an overflow is in all of the image or none. */
static void overflow_while_saving(void **state)
{
	(void)state;
	for (uint64_t left = 1; left < 20; left++) {
		struct machine a, b;
		bool wrapped;

		start_counting(&a, SAMPLED_BRANCHES, MAX_48 - left);
		set_now(&a, A_PMC0 + 1, MAX_48 - left);
		set_now(&a, PERFEVTSEL0 + 1, INSTRUCTIONS);
		a.source.drifts = true;
		move(&a, &b);
		assert_int_equal(get(&b, PMC0), get(&b, PMC0 + 1));
		wrapped = get(&b, PMC0) < MAX_48 / 2;
		assert_int_equal(get(&b, GLOBAL_STATUS), wrapped ? 3 : 0);
		assert_int_equal(vpmu_service(&b.pmu) & VPMU_PMI, wrapped ? VPMU_PMI : 0);
	}
}

static void frozen_comes_along(void **state)
{
	struct machine a, b;

	(void)state;
	start_version(&a, 4);
	set_now(&a, DEBUGCTL, FREEZE_PERFMON);
	set_now(&a, A_PMC0, MAX_48);
	set_now(&a, PERFEVTSEL0, SAMPLED_BRANCHES);
	happen(&a, 0, 1);
	ring(&a);
	/* Pending first, then handed out: it freezes in the other machine. */
	move(&a, &b);
	assert_true(vpmu_service(&b.pmu) & VPMU_PMI);
	assert_int_equal(get(&b, GLOBAL_STATUS), CTR_FRZ | 1);
	move(&b, &a);
	assert_false(vpmu_service(&a.pmu));
	assert_int_equal(vpmu_active(&a.pmu), 0);
	set_now(&a, STATUS_RESET, CTR_FRZ | 1);
	happen(&a, 0, 4);
	assert_int_equal(get(&a, PMC0), 4);
}

static void svme_comes_along(void **state)
{
	struct vpmu_config config = usual_config(AMD_K7);
	struct machine a, b;

	(void)state;
	config.nested = true;
	for (unsigned int svme = 0; svme < 2; svme++) {
		start_machine(&a, &config);
		vpmu_set_svme(&a.pmu, svme);
		set_now(&a, K7_EVNTSEL0, INSTRUCTIONS | UINT64_C(1) << 41);
		move(&a, &b);
		assert_false(vpmu_service(&b.pmu));
		assert_int_equal(vpmu_active(&b.pmu), svme);
		/* It goes with the image, whatever it was before. */
		vpmu_set_svme(&b.pmu, !svme);
		assert_int_equal(load(&b, save(&a)), VPMU_OK);
		assert_false(vpmu_service(&b.pmu));
		assert_int_equal(vpmu_active(&b.pmu), svme);
	}
}

/* Into a PMU that counts, has overflowed and is about to hand out a PMI: nothing is left of it. */
static void nothing_is_left(void **state)
{
	struct machine a, b;

	(void)state;
	start_version(&a, 4);
	start_version(&b, 4);
	set(&b, A_PMC0, MAX_48);
	set(&b, DEBUGCTL, FREEZE_PERFMON);
	set_now(&b, PERFEVTSEL0, SAMPLED_BRANCHES);
	set_now(&b, PERFEVTSEL0 + 1, LOADS);
	happen(&b, 0, 1);
	ring(&b);
	get(&b, GLOBAL_STATUS);
	assert_int_equal(load(&b, save(&a)), VPMU_OK);
	for (unsigned int i = 0; i < COUNTERS; i++)
		assert_false(b.source.bound[i]);
	assert_int_equal(vpmu_service(&b.pmu), 0);
	assert_int_equal(vpmu_active(&b.pmu), 0);
	assert_same_registers(&a, &b);
	vpmu_retired(&b.pmu, VPMU_RETIRED_USER | VPMU_RETIRED_BRANCH);
	assert_int_equal(get(&b, PMC0), 0);
}

static void the_filter_stays(void **state)
{
	const uint64_t entry = 0xc4;
	struct vpmu_filter filter = { .action = VPMU_FILTER_DENY, .count = 1, .entries = &entry };
	struct machine a, b;

	(void)state;
	start_counting(&a, BRANCHES, 5);
	start_version(&b, 3);
	assert_int_equal(vpmu_set_filter(&b.pmu, &filter), VPMU_OK);
	assert_int_equal(load(&b, save(&a)), VPMU_OK);
	assert_false(vpmu_service(&b.pmu));
	assert_int_equal(vpmu_active(&b.pmu), 0);
	/* And it does not go with the image. */
	start_version(&a, 3);
	assert_int_equal(load(&a, save(&b)), VPMU_OK);
	assert_false(vpmu_service(&a.pmu));
	assert_int_equal(vpmu_active(&a.pmu), 1);
	assert_int_equal(get(&a, PMC0), 5);
}

static void without_a_pmu(void **state)
{
	struct machine m, other;

	(void)state;
	start_version(&m, 0);
	start_version(&other, 0);
	assert_int_equal(load(&other, save(&m)), VPMU_OK);
	start_amd(&m, 0, 0);
	assert_int_equal(load(&other, save(&m)), VPMU_ERROR_CONFIG);
	assert_int_equal(vpmu_state_msrs(&m.pmu, NULL, 0), 0);
}

/* --- what is refused ------------------------------------------------------------------ */

/* Nothing of the machine changes, and its source is not asked. */
static void check_refused(struct machine *m, struct image image, enum vpmu_error error)
{
	struct vpmu before;

	memcpy(&before, &m->pmu, sizeof(before));
	calls(m);
	assert_int_equal(load(m, image), error);
	assert_memory_equal(&before, &m->pmu, sizeof(before));
	assert_int_equal(calls(m), 0);
	assert_string_not_equal(vpmu_error_text(m->pmu.config.vendor, error), "unknown error");
}

static void other_configurations(void **state)
{
	struct machine machines[KINDS], other;

	(void)state;
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		struct vpmu_config config = usual_config((enum kind)kind);

		start_machine(&machines[kind], &config);
	}
	for (unsigned int from = 0; from < KINDS; from++)
		for (unsigned int to = 0; to < KINDS; to++)
			if (from != to)
				check_refused(&machines[to], save(&machines[from]),
					      VPMU_ERROR_CONFIG);
	start_version(&other, 0);
	check_refused(&other, save(&machines[INTEL_4]), VPMU_ERROR_CONFIG);
	check_refused(&machines[INTEL_4], save(&other), VPMU_ERROR_CONFIG);
}

/* One field is another. */
static void each_field(void **state)
{
	const struct vpmu_config usual = usual_config(INTEL_5);
	struct vpmu_config others[8];
	struct machine m, other;

	(void)state;
	for (unsigned int i = 0; i < 8; i++)
		others[i] = usual;
	others[0].general = 7;
	others[1].general_width = 47;
	others[2].fixed = 2;
	others[3].fixed_width = 47;
	others[4].full_width_writes = false;
	others[5].events &= ~(1u << VPMU_EVENT_LLC_MISSES);
	others[6].event_registers = VPMU_EVENT_REGISTER_LD_LAT;
	others[7].debug_bits = 0;
	start_machine(&m, &usual);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	for (unsigned int i = 0; i < 8; i++) {
		start_machine(&other, &others[i]);
		check_refused(&m, save(&other), VPMU_ERROR_CONFIG);
		check_refused(&other, save(&m), VPMU_ERROR_CONFIG);
	}
}

static void other_nesting(void **state)
{
	struct vpmu_config config = usual_config(AMD_V2);
	struct machine nested, m;

	(void)state;
	start_machine(&m, &config);
	config.nested = true;
	start_machine(&nested, &config);
	check_refused(&m, save(&nested), VPMU_ERROR_CONFIG);
	check_refused(&nested, save(&m), VPMU_ERROR_CONFIG);
}

static struct image part_of(struct image whole, size_t size)
{
	struct image part = { .size = size, .bytes = malloc(size ? size : 1) };

	assert_non_null(part.bytes);
	memset(part.bytes, 0, size ? size : 1);
	memcpy(part.bytes, whole.bytes, size < whole.size ? size : whole.size);
	return part;
}

static void cut_or_longer(void **state)
{
	struct machine m;
	struct image image;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 5);
	image = save(&m);
	for (size_t size = 0; size < image.size + 40; size++)
		if (size != image.size)
			check_refused(&m, part_of(image, size), VPMU_ERROR_STATE);
	free(image.bytes);
}

static void damaged_header(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 5);
	/* What it is, its version and its size. */
	for (unsigned int n = 0; n < 8 * 16; n++) {
		struct image image = save(&m);

		image.bytes[n / 8] ^= (uint8_t)(1u << n % 8);
		check_refused(&m, image, VPMU_ERROR_STATE);
	}
}

/* A register's value in the image. */
static void put(struct image image, uint32_t msr, uint64_t value)
{
	for (size_t at = 56; at < image.size; at += 16) {
		if ((image.bytes[at] | image.bytes[at + 1] << 8 |
		     (uint32_t)image.bytes[at + 2] << 16 | (uint32_t)image.bytes[at + 3] << 24) !=
		    msr)
			continue;
		for (unsigned int i = 0; i < 8; i++)
			image.bytes[at + 8 + i] = (uint8_t)(value >> 8 * i);
		return;
	}
	fail_msg("%x is not in the image", msr);
}

struct impossible {
	enum kind kind;
	uint32_t msr;
	uint64_t value;
};

static void impossible_values(void **state)
{
	static const struct impossible values[] = {
		{ INTEL_1, PMC0, UINT64_C(1) << 40 },
		{ INTEL_1, PERFEVTSEL0, UINT64_C(1) << 21 },
		{ INTEL_2, GLOBAL_CTRL, 0x10 },
		{ INTEL_2, GLOBAL_STATUS, CTR_FRZ },
		{ INTEL_3, FIXED_CTR_CTRL, 0x4 },
		{ INTEL_3, FIXED_CTR0, UINT64_C(1) << 48 },
		{ INTEL_4, GLOBAL_STATUS, 0x10 },
		{ INTEL_5, DEBUGCTL, 0x4 },
		{ INTEL_5, PERFEVTSEL0 + 7, UINT64_C(1) << 32 },
		{ AMD_K7, K7_EVNTSEL0, UINT64_C(1) << 19 },
		{ AMD_K7, K7_PERFCTR0 + 3, UINT64_C(1) << 48 },
		{ AMD_CORE, PERF_CTL0 + 10, UINT64_C(1) << 40 },
		{ AMD_V2, AMD_GLOBAL_CTL, 0x40 },
		{ AMD_V2, AMD_GLOBAL_STATUS, 0x40 },
		{ AMD_V2, DEBUGCTL, 0x4 },
		{ AMD_V2, DEBUGCTL, 0x40 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct vpmu_config config = usual_config(values[i].kind);
		struct machine m;
		struct image image;

		start_machine(&m, &config);
		image = save(&m);
		put(image, values[i].msr, values[i].value);
		check_refused(&m, image, VPMU_ERROR_STATE);
	}
}

static void impossible_flags(void **state)
{
	struct machine m;
	struct image image;

	(void)state;
	start_counting(&m, BRANCHES, 5);
	for (unsigned int n = 1; n < 64; n++) {
		image = save(&m);
		image.bytes[16 + n / 8] ^= (uint8_t)(1u << n % 8);
		check_refused(&m, image, VPMU_ERROR_STATE);
	}
	/* Without a PMU there is no PMI, either. */
	start_version(&m, 0);
	image = save(&m);
	image.bytes[16] ^= 1;
	check_refused(&m, image, VPMU_ERROR_STATE);
}

/* --- register by register ---------------------------------------------------------------- */

/* In the order of the list, and backwards. */
static void registers_one_by_one(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < KINDS; kind++)
		for (unsigned int backwards = 0; backwards < 2; backwards++) {
			struct vpmu_config config = usual_config((enum kind)kind);
			uint32_t msrs[64];
			struct machine a, b;
			unsigned int count;
			struct image ours, theirs;

			if (config.vendor == VPMU_INTEL)
				config.event_registers = VPMU_EVENT_REGISTERS;
			start_machine(&a, &config);
			start_machine(&b, &config);
			count = vpmu_state_msrs(&a.pmu, msrs, 64);
			for (unsigned int i = 0; i < count; i++)
				for (unsigned int n = 0; n < 64; n += 5)
					vpmu_host_wrmsr(&a.pmu, msrs[i],
							get(&a, msrs[i]) | UINT64_C(1)
										   << (n + i) % 64);
			for (unsigned int i = 0; i < count; i++) {
				uint32_t msr = msrs[backwards ? count - 1 - i : i];
				uint64_t value = 0;

				assert_int_equal(vpmu_host_rdmsr(&a.pmu, msr, &value), VPMU_DONE);
				assert_int_equal(vpmu_host_wrmsr(&b.pmu, msr, value), VPMU_DONE);
			}
			ours = save(&a);
			theirs = save(&b);
			assert_int_equal(ours.size, theirs.size);
			assert_memory_equal(ours.bytes, theirs.bytes, ours.size);
			free(ours.bytes);
			free(theirs.bytes);
		}
}

static void listed_once(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		struct vpmu_config config = usual_config((enum kind)kind);
		uint32_t msrs[64], some[64];
		struct machine m;
		unsigned int count;

		start_machine(&m, &config);
		count = vpmu_state_msrs(&m.pmu, msrs, 64);
		assert_in_range(count, 2u * config.general, 64);
		assert_int_equal(vpmu_state_msrs(&m.pmu, NULL, 0), count);
		for (unsigned int i = 0; i < count; i++)
			for (unsigned int j = 0; j < i; j++)
				assert_int_not_equal(msrs[i], msrs[j]);
		memset(some, 0xa5, sizeof(some));
		assert_int_equal(vpmu_state_msrs(&m.pmu, some, count - 1), count);
		assert_memory_equal(some, msrs, (count - 1) * sizeof(msrs[0]));
		assert_int_equal(some[count - 1], 0xa5a5a5a5);
	}
}

static enum vpmu_answer host_set(struct machine *m, uint32_t msr, uint64_t value)
{
	return vpmu_host_wrmsr(&m->pmu, msr, value);
}

static void host_sets_the_status(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 4);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	assert_int_equal(host_set(&m, GLOBAL_STATUS, CTR_FRZ | 0x5), VPMU_DONE);
	assert_int_equal(vpmu_service(&m.pmu), 0);
	assert_int_equal(get(&m, GLOBAL_STATUS), CTR_FRZ | 0x5);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	assert_int_equal(host_set(&m, GLOBAL_STATUS, 0x10), VPMU_FAULT);
	assert_int_equal(host_set(&m, STATUS_RESET, 0x5), VPMU_DONE);
	assert_int_equal(host_set(&m, STATUS_SET, 0xa), VPMU_DONE);
	assert_int_equal(get(&m, GLOBAL_STATUS), CTR_FRZ | 0x5);
	assert_int_equal(host_set(&m, GLOBAL_STATUS, 0), VPMU_DONE);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(vpmu_active(&m.pmu), 1);
}

static void host_sets_amds_status(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	assert_int_equal(host_set(&m, AMD_GLOBAL_STATUS, CTR_FRZ | 0x21), VPMU_DONE);
	assert_int_equal(host_set(&m, AMD_GLOBAL_STATUS, 0x40), VPMU_FAULT);
	assert_int_equal(host_set(&m, AMD_GLOBAL_STATUS_CLR, ~UINT64_C(0)), VPMU_DONE);
	assert_int_equal(host_set(&m, AMD_GLOBAL_STATUS_SET, ~UINT64_C(0)), VPMU_DONE);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), CTR_FRZ | 0x21);
	assert_false(vpmu_service(&m.pmu));
}

static void host_sets_whole_counters(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	assert_int_equal(host_set(&m, PMC0, UINT64_C(0x123480000000)), VPMU_DONE);
	assert_int_equal(get(&m, PMC0), UINT64_C(0x123480000000));
	assert_int_equal(host_set(&m, PMC0, 0x80000000), VPMU_DONE);
	assert_int_equal(get(&m, PMC0), 0x80000000);
	/* While it counts, too. */
	set_now(&m, PERFEVTSEL0, BRANCHES);
	happen(&m, 0, 5);
	assert_int_equal(host_set(&m, PMC0, 0x90000000), VPMU_DONE);
	happen(&m, 0, 5);
	assert_int_equal(get(&m, PMC0), 0x90000005);
}

static void host_sets_capabilities(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 4);
	assert_int_equal(host_set(&m, PERF_CAPABILITIES, 0x2000), VPMU_DONE);
	/* The format of branch records and freezing in SMM are the host's. */
	assert_int_equal(host_set(&m, PERF_CAPABILITIES, 0x3005), VPMU_DONE);
	assert_int_equal(host_set(&m, PERF_CAPABILITIES, 0), VPMU_FAULT);
	assert_int_equal(host_set(&m, PERF_CAPABILITIES, 0x6000), VPMU_FAULT);
	assert_int_equal(host_set(&m, GLOBAL_INUSE, 0), VPMU_FAULT);
	assert_int_equal(host_set(&m, 0x10, 0), VPMU_NOT_MINE);
}

static const struct CMUnitTest tests[] = {
	{ .name = "all registers of the state come along", .test_func = registers_come_along },
	{ .name = "an image's bytes are the same everywhere",
	  .test_func = image_is_the_same_everywhere },
	{ .name = "its size is up to the configuration alone",
	  .test_func = size_is_the_configurations },
	{ .name = "with too little room nothing is written, and never more than the image",
	  .test_func = too_little_room },
	{ .name = "a PMU that is saved counts on as before", .test_func = saving_changes_nothing },
	{ .name = "one that is loaded counts on over another source, to the exact overflow",
	  .test_func = counting_goes_on },
	{ .name = "an overflow is one PMI at whatever moment it is saved",
	  .test_func = each_moment_of_an_overflow },
	{ .name = "one that happens while the PMU is saved is in all of the image or in nothing",
	  .test_func = overflow_while_saving },
	{ .name = "a PMI that is pending freezes where it is loaded; what is frozen stays so",
	  .test_func = frozen_comes_along },
	{ .name = "EFER.SVME comes along", .test_func = svme_comes_along },
	{ .name = "nothing is left of what the PMU was before", .test_func = nothing_is_left },
	{ .name = "the filter is no part of the state", .test_func = the_filter_stays },
	{ .name = "a PMU that is off has an image, too", .test_func = without_a_pmu },
	{ .name = "an image of another vendor or version is refused",
	  .test_func = other_configurations },
	{ .name = "so is one that differs in any field of the configuration",
	  .test_func = each_field },
	{ .name = "... or in whether there are nested guests", .test_func = other_nesting },
	{ .name = "an image that is cut short or longer is refused", .test_func = cut_or_longer },
	{ .name = "so is one that says another format, version or size",
	  .test_func = damaged_header },
	{ .name = "so is one with a value that the register cannot have",
	  .test_func = impossible_values },
	{ .name = "so is one with unknown flags", .test_func = impossible_flags },
	{ .name = "the state may be restored register by register, in any order",
	  .test_func = registers_one_by_one },
	{ .name = "each register of the state is listed once, while there is room",
	  .test_func = listed_once },
	{ .name = "the host sets the status; the registers that change it do nothing",
	  .test_func = host_sets_the_status },
	{ .name = "so it does on AMD, where reserved bits are ignored",
	  .test_func = host_sets_amds_status },
	{ .name = "the host sets a counter's old register at full width",
	  .test_func = host_sets_whole_counters },
	{ .name = "PERF_CAPABILITIES takes the value that it has, and no other",
	  .test_func = host_sets_capabilities },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
