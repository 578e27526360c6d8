/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a guest can see of Intel's registers when nothing counts: reserved
 * bits, absent registers, widths, RDPMC, CPUID. Counting is unit_counter.c's.
 */
#include "machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const unsigned int versions[] = { 1, 2, 3, 4, 5 };
#define VERSIONS (sizeof(versions) / sizeof(versions[0]))
/* The first of them that has fixed counters, global control and DEBUGCTL. */
#define FIRST_GLOBAL 1

static bool has_global(unsigned int version)
{
	return version >= versions[FIRST_GLOBAL];
}

static uint64_t bit(unsigned int n)
{
	return UINT64_C(1) << n;
}

static uint64_t low_bits(unsigned int n)
{
	return bit(n) - 1;
}

/* Each bit alone: the writes that fault are those of bits outside of writable. */
static void check_writable(struct machine *m, uint32_t msr, uint64_t writable)
{
	for (unsigned int n = 0; n < 64; n++) {
		if (writable & bit(n))
			set(m, msr, bit(n));
		else
			set_faults(m, msr, bit(n));
	}
	set(m, msr, writable);
	if (~writable)
		set_faults(m, msr, ~UINT64_C(0));
}

/* The same for a register that keeps what is written. */
static void check_kept(struct machine *m, uint32_t msr, uint64_t writable)
{
	check_writable(m, msr, writable);
	assert_int_equal(get(m, msr), writable);
	for (unsigned int n = 0; n < 64; n++) {
		if (!(writable & bit(n)))
			continue;
		set(m, msr, bit(n));
		assert_int_equal(get(m, msr), bit(n));
	}
}

static void check_refused(const struct vpmu_config *config, enum vpmu_error error)
{
	struct machine m;
	uint64_t value;

	memset(&m, 0xa5, sizeof(m));
	assert_int_equal(vpmu_init(&m.pmu, config, &source_ops, &m.source), error);
	assert_string_not_equal(vpmu_error_text(VPMU_INTEL, error), "no error");
	assert_string_not_equal(vpmu_error_text(VPMU_INTEL, error), "unknown error");
	assert_int_equal(vpmu_rdmsr(&m.pmu, GLOBAL_CTRL, &value), VPMU_FAULT);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	assert_false(vpmu_service(&m.pmu));
}

static void refuses_versions(void **state)
{
	(void)state;
	for (unsigned int version = 0; version < 256; version++) {
		struct vpmu_config config = vpmu_config_intel(5, all_events(5));

		config.version = (uint8_t)version;
		if (version > 5)
			check_refused(&config, VPMU_ERROR_VERSION);
	}
}

static void refuses_general(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, all_events(3));

	(void)state;
	config.general = 0;
	check_refused(&config, VPMU_ERROR_GENERAL);
	config.general = 9;
	check_refused(&config, VPMU_ERROR_GENERAL);
	config.general = 255;
	check_refused(&config, VPMU_ERROR_GENERAL);
}

static void refuses_fixed(void **state)
{
	struct vpmu_config config = vpmu_config_intel(4, all_events(4));

	(void)state;
	config.fixed = 4;
	check_refused(&config, VPMU_ERROR_FIXED);
	config = vpmu_config_intel(1, all_events(1));
	config.fixed = 1;
	config.fixed_width = 40;
	check_refused(&config, VPMU_ERROR_FIXED);
	config = vpmu_config_intel(5, all_events(5));
	config.fixed = 5;
	check_refused(&config, VPMU_ERROR_FIXED);
	config.fixed = 255;
	check_refused(&config, VPMU_ERROR_FIXED);
}

static void refuses_widths(void **state)
{
	static const uint8_t bad[] = { 0, 1, 31, 49, 64, 255 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad); i++) {
		struct vpmu_config config = vpmu_config_intel(2, all_events(2));

		config.general_width = bad[i];
		check_refused(&config, VPMU_ERROR_WIDTH);
		config = vpmu_config_intel(2, all_events(2));
		config.fixed_width = bad[i];
		check_refused(&config, VPMU_ERROR_WIDTH);
	}
}

static void refuses_events(void **state)
{
	struct vpmu_config config = vpmu_config_intel(4, all_events(4));

	(void)state;
	config.events = all_events(5);
	check_refused(&config, VPMU_ERROR_EVENTS);
	/* There is no counter that could count TSC cycles. */
	config = vpmu_config_intel(1, all_events(1));
	config.events = all_events(2);
	check_refused(&config, VPMU_ERROR_EVENTS);
	config = vpmu_config_intel(5, all_events(5));
	config.events = 0x3ff;
	check_refused(&config, VPMU_ERROR_EVENTS);
	config.events = all_events(5) & ~(1u << VPMU_EVENT_CYCLES);
	check_refused(&config, VPMU_ERROR_EVENTS);
	config = vpmu_config_intel(5, all_events(4));
	config.fixed = 4;
	check_refused(&config, VPMU_ERROR_EVENTS);
}

static void refuses_no_source(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, all_events(3));
	struct vpmu pmu;

	(void)state;
	assert_int_equal(vpmu_init(&pmu, &config, NULL, NULL), VPMU_ERROR_SOURCE);
	config.version = 0;
	assert_int_equal(vpmu_init(&pmu, &config, NULL, NULL), VPMU_OK);
}

static void refuses_reserved_fields(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, all_events(3));

	(void)state;
	for (size_t i = 0; i < sizeof(config.reserved) / sizeof(config.reserved[0]); i++) {
		config.reserved[i] = 1;
		check_refused(&config, VPMU_ERROR_RESERVED);
		config.reserved[i] = 0;
	}
}

static void off_ignores_the_rest(void **state)
{
	struct vpmu_config config;
	struct machine m;

	(void)state;
	memset(&config, 0xff, sizeof(config));
	config.full_width_writes = true;
	config.version = 0;
	config.vendor = VPMU_INTEL;
	start_machine(&m, &config);
	get_faults(&m, GLOBAL_CTRL);
}

static void usual_configurations(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VERSIONS; i++) {
		struct vpmu_config config = vpmu_config_intel(versions[i], all_events(versions[i]));

		assert_int_equal(config.version, versions[i]);
		assert_int_equal(config.events, all_events(versions[i]));
		if (!has_global(versions[i]))
			continue;
		assert_int_equal(config.general, versions[i] < 5 ? 4 : 8);
		assert_int_equal(config.fixed, 3);
		assert_int_equal(config.general_width, 48);
		assert_int_equal(config.fixed_width, 48);
		assert_true(config.full_width_writes);
	}
	assert_int_equal(vpmu_config_intel(1, ~0u).events, 0x7f);
	assert_int_equal(vpmu_config_intel(4, ~0u).events, 0x17f);
	assert_int_equal(vpmu_config_intel(5, ~0u).events, 0x1ff);
	assert_int_equal(vpmu_config_intel(0, 0xff).version, 0);
	assert_int_not_equal(vpmu_config_intel(256 + 3, 0xff).version, 3);
}

static void usual_first_version(void **state)
{
	struct vpmu_config config = vpmu_config_intel(1, all_events(1));

	(void)state;
	assert_int_equal(config.general, 2);
	assert_int_equal(config.general_width, 40);
	assert_int_equal(config.fixed | config.fixed_width, 0);
	assert_false(config.full_width_writes);
}

static void usual_fixed_counters(void **state)
{
	uint32_t all = all_events(3);

	(void)state;
	assert_int_equal(vpmu_config_intel(3, all & ~(1u << VPMU_EVENT_TSC_CYCLES)).fixed, 2);
	assert_int_equal(vpmu_config_intel(3, all & ~(1u << VPMU_EVENT_CYCLES)).fixed, 1);
	assert_int_equal(vpmu_config_intel(3, all & ~(1u << VPMU_EVENT_INSTRUCTIONS)).fixed, 0);
	assert_int_equal(vpmu_config_intel(3, 0).fixed, 0);
}

static void check_reset_values(struct machine *m)
{
	unsigned int general = m->pmu.config.general, fixed = m->pmu.config.fixed;

	for (unsigned int i = 0; i < general; i++) {
		assert_int_equal(get(m, PMC0 + i), 0);
		assert_int_equal(get(m, PERFEVTSEL0 + i), 0);
	}
	for (unsigned int i = 0; i < fixed; i++)
		assert_int_equal(get(m, FIXED_CTR0 + i), 0);
	assert_int_equal(vpmu_active(&m->pmu), 0);
	if (!has_global(m->pmu.config.version))
		return;
	assert_int_equal(get(m, FIXED_CTR_CTRL), 0);
	assert_int_equal(get(m, GLOBAL_STATUS), 0);
	assert_int_equal(get(m, DEBUGCTL), 0);
	assert_int_equal(get(m, GLOBAL_CTRL), low_bits(general));
	if (m->pmu.config.version >= 4)
		assert_int_equal(get(m, GLOBAL_INUSE), 0);
}

static void set_globals(struct machine *m)
{
	set(m, FIXED_CTR0, 5);
	set(m, FIXED_CTR_CTRL, 0x333);
	set(m, DEBUGCTL, 1);
	set(m, GLOBAL_CTRL, bit(VPMU_FIXED));
	if (m->pmu.config.version >= 4)
		set(m, STATUS_SET, CTR_FRZ | 1);
}

static void reset_values(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < VERSIONS; i++) {
		start_version(&m, versions[i]);
		check_reset_values(&m);
		for (unsigned int n = 0; n < m.pmu.config.general; n++) {
			set(&m, PERFEVTSEL0 + n, BRANCHES);
			set(&m, PMC0 + n, 5);
		}
		if (has_global(versions[i]))
			set_globals(&m);
		assert_false(vpmu_service(&m.pmu));
		vpmu_reset(&m.pmu);
		check_reset_values(&m);
	}
}

static void off_faults(void **state)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = { { 0xc1, 0xc8 },   { 0x186, 0x18d }, { 0x309, 0x30c },
		       { 0x345, 0x345 }, { 0x38d, 0x392 }, { 0x4c1, 0x4c8 } };
	struct machine m;

	(void)state;
	start_version(&m, 0);
	for (unsigned int i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		for (uint32_t msr = ranges[i].first; msr <= ranges[i].last; msr++) {
			get_faults(&m, msr);
			set_faults(&m, msr, 0);
		}
	assert_int_equal(calls(&m), 0);
}

static void hosts_debugctl(void **state)
{
	struct machine m;
	uint64_t value = 0;

	(void)state;
	for (unsigned int version = 0; version <= 1; version++) {
		start_version(&m, version);
		assert_int_equal(vpmu_rdmsr(&m.pmu, DEBUGCTL, &value), VPMU_NOT_MINE);
		assert_int_equal(vpmu_wrmsr(&m.pmu, DEBUGCTL, 0), VPMU_NOT_MINE);
	}
}

static void first_version_registers(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 1);
	for (uint32_t msr = FIXED_CTR_CTRL; msr <= GLOBAL_INUSE; msr++) {
		get_faults(&m, msr);
		set_faults(&m, msr, 0);
	}
	for (uint32_t n = 0; n < 4; n++) {
		get_faults(&m, FIXED_CTR0 + n);
		set_faults(&m, FIXED_CTR0 + n, 0);
	}
}

static void not_mine(void **state)
{
	static const uint32_t others[] = {
		0x00,  0x10,  0xc0,  0xc9,  0x185, 0x18e,      0x1a1,
		0x1d8, 0x1da, 0x308, 0x30d, 0x344, 0x346,      0x38c,
		0x393, 0x3f1, 0x4c0, 0x4c9, 0x600, 0xc0000080, 0xffffffff
	};
	struct machine m;
	uint64_t value;

	(void)state;
	for (unsigned int version = 0; version <= 5; version++) {
		start_version(&m, version);
		for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
			assert_int_equal(vpmu_rdmsr(&m.pmu, others[i], &value), VPMU_NOT_MINE);
			assert_int_equal(vpmu_wrmsr(&m.pmu, others[i], 0), VPMU_NOT_MINE);
		}
	}
}

static void evtsel_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < VERSIONS; i++) {
		start_version(&m, versions[i]);
		for (unsigned int n = 0; n < m.pmu.config.general; n++)
			check_kept(&m, PERFEVTSEL0 + n, low_bits(32) & ~bit(21));
	}
}

static void fixed_ctrl_bits(void **state)
{
	static const uint64_t writable[] = { 0, 0xb, 0xbb, 0xbbb, 0xbbbb };
	struct machine m;

	(void)state;
	for (unsigned int i = FIRST_GLOBAL; i < VERSIONS; i++) {
		struct vpmu_config config = vpmu_config_intel(versions[i], all_events(versions[i]));

		for (config.fixed = 0; config.fixed <= (versions[i] == 5 ? 4 : 3); config.fixed++) {
			start_machine(&m, &config);
			check_kept(&m, FIXED_CTR_CTRL, writable[config.fixed]);
		}
	}
}

static void global_ctrl_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = FIRST_GLOBAL; i < VERSIONS; i++) {
		struct vpmu_config config = vpmu_config_intel(versions[i], all_events(versions[i]));

		for (config.general = 1; config.general <= 8; config.general++)
			for (config.fixed = 0; config.fixed <= 3; config.fixed++) {
				start_machine(&m, &config);
				check_kept(&m, GLOBAL_CTRL,
					   low_bits(config.general) | low_bits(config.fixed)
									      << VPMU_FIXED);
			}
	}
}

/* For the usual configurations: the counters, OvfBuf, CondChgd; LBR_Frz and CTR_Frz. */
static uint64_t status_bits(unsigned int version)
{
	uint64_t counters = version < 5 ? UINT64_C(0x70000000f) : UINT64_C(0x7000000ff);

	return counters | bit(62) | bit(63) | (version < 4 ? 0 : bit(58) | bit(59));
}

static void status_reset_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = FIRST_GLOBAL; i < VERSIONS; i++) {
		start_version(&m, versions[i]);
		check_writable(&m, STATUS_RESET, status_bits(versions[i]));
		assert_int_equal(get(&m, STATUS_RESET), 0);
	}
}

static void status_set_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = FIRST_GLOBAL; i < VERSIONS; i++) {
		uint64_t settable = status_bits(versions[i]) & ~bit(63);

		start_version(&m, versions[i]);
		if (versions[i] < 4) {
			get_faults(&m, STATUS_SET);
			set_faults(&m, STATUS_SET, 0);
			continue;
		}
		check_writable(&m, STATUS_SET, settable);
		assert_int_equal(get(&m, STATUS_SET), 0);
		assert_int_equal(get(&m, GLOBAL_STATUS), settable);
		set(&m, STATUS_RESET, bit(62) | 1);
		assert_int_equal(get(&m, GLOBAL_STATUS), settable & ~bit(62) & ~bit(0));
		set(&m, STATUS_RESET, status_bits(versions[i]));
		assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	}
}

static void status_read_only(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = FIRST_GLOBAL; i < VERSIONS; i++) {
		start_version(&m, versions[i]);
		set_faults(&m, GLOBAL_STATUS, 0);
		set_faults(&m, GLOBAL_STATUS, 1);
	}
}

static void inuse(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = FIRST_GLOBAL; i < VERSIONS; i++) {
		start_version(&m, versions[i]);
		set_faults(&m, GLOBAL_INUSE, 0);
		if (versions[i] < 4) {
			get_faults(&m, GLOBAL_INUSE);
			continue;
		}
		set(&m, PERFEVTSEL0 + 2, 0x01);
		set(&m, PERFEVTSEL0 + 3, 0x4300ff00 & ~bit(21));
		assert_int_equal(get(&m, GLOBAL_INUSE), bit(2));
		set(&m, FIXED_CTR_CTRL, 0x210);
		assert_int_equal(get(&m, GLOBAL_INUSE), bit(2) | bit(33) | bit(34));
		set(&m, FIXED_CTR_CTRL, 0x800);
		assert_int_equal(get(&m, GLOBAL_INUSE), bit(2) | bit(63));
		set(&m, FIXED_CTR_CTRL, 0);
		set(&m, PERFEVTSEL0, EVTSEL_INT);
		assert_int_equal(get(&m, GLOBAL_INUSE), bit(2) | bit(63));
	}
}

static void capabilities(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < VERSIONS; i++) {
		struct vpmu_config config = vpmu_config_intel(versions[i], all_events(versions[i]));

		config.full_width_writes = true;
		start_machine(&m, &config);
		assert_int_equal(get(&m, PERF_CAPABILITIES), bit(13));
		set_faults(&m, PERF_CAPABILITIES, bit(13));
		config.full_width_writes = false;
		start_machine(&m, &config);
		assert_int_equal(get(&m, PERF_CAPABILITIES), 0);
		set_faults(&m, PERF_CAPABILITIES, 0);
	}
}

static void debugctl_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = FIRST_GLOBAL; i < VERSIONS; i++) {
		start_version(&m, versions[i]);
		check_kept(&m, DEBUGCTL, bit(0) | bit(1) | bit(11) | bit(12));
	}
}

static void pmc_sign_extension(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, all_events(3));
	struct machine m;

	(void)state;
	for (config.general_width = 32; config.general_width <= 48; config.general_width++) {
		uint64_t top = low_bits(config.general_width) & ~low_bits(32);

		start_machine(&m, &config);
		set(&m, PMC0, 0x7fffffff);
		assert_int_equal(get(&m, PMC0), 0x7fffffff);
		set(&m, PMC0, 0x80000000);
		assert_int_equal(get(&m, PMC0), top | 0x80000000);
		set(&m, PMC0, 0xffffffff);
		assert_int_equal(get(&m, PMC0), low_bits(config.general_width));
	}
}

static void pmc_upper_half(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set(&m, PMC0, UINT64_C(0xffffffff00000001));
	assert_int_equal(get(&m, PMC0), 1);
	set(&m, PMC0, UINT64_C(0x1234567880000000));
	assert_int_equal(get(&m, PMC0), UINT64_C(0xffff80000000));
}

static void a_pmc_alias(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < VERSIONS; i++) {
		struct vpmu_config config = vpmu_config_intel(versions[i], all_events(versions[i]));

		config.full_width_writes = true;
		config.general_width = 48;
		start_machine(&m, &config);
		for (unsigned int n = 0; n < config.general; n++) {
			set(&m, A_PMC0 + n, UINT64_C(0x800000000000) | n);
			assert_int_equal(get(&m, PMC0 + n), UINT64_C(0x800000000000) | n);
			set(&m, PMC0 + n, 0x42);
			assert_int_equal(get(&m, A_PMC0 + n), 0x42);
		}
	}
}

static void full_widths(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, all_events(3));
	struct machine m;

	(void)state;
	for (unsigned int width = 32; width <= 48; width++) {
		config.general_width = (uint8_t)width;
		config.fixed_width = (uint8_t)(80 - width);
		start_machine(&m, &config);
		check_kept(&m, A_PMC0, low_bits(width));
		check_kept(&m, FIXED_CTR0, low_bits(80 - width));
	}
}

static void a_pmc_absent(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, all_events(3));
	struct machine m;

	(void)state;
	config.full_width_writes = false;
	start_machine(&m, &config);
	for (unsigned int n = 0; n < 8; n++) {
		get_faults(&m, A_PMC0 + n);
		set_faults(&m, A_PMC0 + n, 0);
	}
}

static void absent_counters(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < VERSIONS; i++) {
		struct vpmu_config config = vpmu_config_intel(versions[i], all_events(versions[i]));

		config.fixed = has_global(versions[i]) ? 2 : 0;
		for (config.general = 1; config.general <= 8; config.general++) {
			start_machine(&m, &config);
			for (unsigned int n = config.general; n < 8; n++) {
				get_faults(&m, PMC0 + n);
				set_faults(&m, PMC0 + n, 0);
				get_faults(&m, A_PMC0 + n);
				set_faults(&m, A_PMC0 + n, 0);
				get_faults(&m, PERFEVTSEL0 + n);
				set_faults(&m, PERFEVTSEL0 + n, 0);
			}
		}
		for (unsigned int n = config.fixed; n < 4; n++) {
			get_faults(&m, FIXED_CTR0 + n);
			set_faults(&m, FIXED_CTR0 + n, 0);
		}
	}
}

static void topdown_counter(void **state)
{
	struct vpmu_config config = vpmu_config_intel(5, all_events(5));
	struct machine m;

	(void)state;
	config.fixed = 4;
	start_machine(&m, &config);
	check_kept(&m, FIXED_CTR0 + 3, low_bits(48));
	check_kept(&m, FIXED_CTR_CTRL, 0xbbbb);
	check_kept(&m, GLOBAL_CTRL, UINT64_C(0xf000000ff));
}

static void check_rdpmc_faults(struct machine *m, uint32_t index, bool allowed)
{
	uint64_t value = 0x1234;

	assert_int_equal(vpmu_rdpmc(&m->pmu, index, allowed, &value), VPMU_FAULT);
	assert_int_equal(value, 0x1234);
}

static void rdpmc_forms(void **state)
{
	struct machine m;
	uint64_t value;

	(void)state;
	start_version(&m, 1);
	set(&m, PMC0 + 1, 0x80000000);
	assert_int_equal(vpmu_rdpmc(&m.pmu, 1, true, &value), VPMU_DONE);
	assert_int_equal(value, UINT64_C(0xff80000000));
	start_version(&m, 3);
	for (unsigned int n = 0; n < 4; n++) {
		set(&m, A_PMC0 + n, UINT64_C(0xffffffff0000) | n);
		assert_int_equal(vpmu_rdpmc(&m.pmu, n, true, &value), VPMU_DONE);
		assert_int_equal(value, UINT64_C(0xffffffff0000) | n);
	}
	for (unsigned int n = 0; n < 3; n++) {
		set(&m, FIXED_CTR0 + n, UINT64_C(0xeeeeeeee0000) | n);
		assert_int_equal(vpmu_rdpmc(&m.pmu, 0x40000000 | n, true, &value), VPMU_DONE);
		assert_int_equal(value, UINT64_C(0xeeeeeeee0000) | n);
	}
}

static void rdpmc_faults(void **state)
{
	static const uint32_t bad[] = { 4,          8,          32,         0xffff,     0x10000,
					0x20000000, 0x40000003, 0x40000020, 0x4000ffff, 0x40010000,
					0x80000000, 0xc0000000, 0xffffffff };
	struct machine m;

	(void)state;
	start_version(&m, 3);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_rdpmc_faults(&m, bad[i], true);
	start_version(&m, 1);
	check_rdpmc_faults(&m, 2, true);
	check_rdpmc_faults(&m, 0x40000000, true);
	start_version(&m, 0);
	check_rdpmc_faults(&m, 0, true);
	check_rdpmc_faults(&m, 0x40000000, true);
}

static void rdpmc_not_allowed(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	check_rdpmc_faults(&m, 0, false);
	check_rdpmc_faults(&m, 0x40000000, false);
	check_rdpmc_faults(&m, 9, false);
}

static void cpuid_0a(void **state)
{
	static const struct {
		unsigned int version;
		uint32_t regs[4];
	} expected[] = {
		{ 0, { 0, 0, 0, 0 } },
		{ 1, { 0x07280201, 0x58, 0, 0 } },
		{ 2, { 0x07300402, 0x58, 0, 0x0603 } },
		{ 3, { 0x07300403, 0x58, 0, 0x8603 } },
		{ 4, { 0x07300404, 0x58, 0, 0x8603 } },
		{ 5, { 0x08300805, 0xd8, 0x7, 0x8603 } },
	};
	/* Cycles, instructions, reference and TSC cycles, branches. */
	uint32_t events = 0x127;
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct vpmu_config config = vpmu_config_intel(expected[i].version, events);
		uint32_t regs[4] = { ~0u, ~0u, ~0u, ~0u };

		start_machine(&m, &config);
		vpmu_cpuid(&m.pmu, 0x0a, 0, regs);
		assert_memory_equal(regs, expected[i].regs, sizeof(regs));
	}
}

static void cpuid_0a_widths(void **state)
{
	struct vpmu_config config = vpmu_config_intel(5, all_events(5));
	uint32_t regs[4] = { 0, 0, 0, 0 };
	struct machine m;

	(void)state;
	config.general = 3;
	config.general_width = 40;
	config.fixed = 4;
	config.fixed_width = 33;
	start_machine(&m, &config);
	vpmu_cpuid(&m.pmu, 0x0a, 0, regs);
	assert_int_equal(regs[0], 0x08280305);
	assert_int_equal(regs[1], 0);
	assert_int_equal(regs[2], 0xf);
	assert_int_equal(regs[3], 0x8000 | 33 << 5 | 4);
}

static void cpuid_01(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 0; version <= 5; version++) {
		uint32_t ones[4] = { ~0u, ~0u, ~0u, ~0u }, zeros[4] = { 0, 0, 0, 0 };

		start_version(&m, version);
		vpmu_cpuid(&m.pmu, 0x01, 0, ones);
		vpmu_cpuid(&m.pmu, 0x01, 0, zeros);
		assert_int_equal(ones[0], ~0u);
		assert_int_equal(ones[1], ~0u);
		assert_int_equal(ones[2],
				 ~0u & ~(1u << 2) & ~(1u << 4) & ~(version ? 0 : 1u << 15));
		assert_int_equal(ones[3], ~0u & ~(1u << 21));
		assert_int_equal(zeros[2], version ? 1u << 15 : 0);
		assert_int_equal(zeros[0] | zeros[1] | zeros[3], 0);
	}
}

static void cpuid_others(void **state)
{
	static const uint32_t leaves[] = { 0x02, 0x06, 0x09, 0x0b, 0x14, 0x80000008, ~0u };
	struct machine m;

	(void)state;
	start_version(&m, 5);
	for (unsigned int i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		uint32_t regs[4] = { 1, 2, 3, 4 }, same[4] = { 1, 2, 3, 4 };

		vpmu_cpuid(&m.pmu, leaves[i], 0, regs);
		assert_memory_equal(regs, same, sizeof(regs));
	}
}

static uint64_t misc_enable_of(struct machine *m, uint64_t hosts)
{
	assert_int_equal(vpmu_rdmsr(&m->pmu, MISC_ENABLE, &hosts), VPMU_DONE);
	return hosts;
}

static void misc_enable(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	assert_int_equal(misc_enable_of(&m, 1), 1 | bit(7) | bit(11) | bit(12));
	assert_true(misc_enable_of(&m, ~UINT64_C(0)) == ~UINT64_C(0));
	set(&m, MISC_ENABLE, bit(11) | bit(12));
	set_faults(&m, MISC_ENABLE, bit(7) | bit(11));
	start_version(&m, 0);
	assert_int_equal(misc_enable_of(&m, 1), 1 | bit(11) | bit(12));
	assert_true(misc_enable_of(&m, ~UINT64_C(0)) == ~bit(7));
}

static const struct CMUnitTest tests[] = {
	{ .name = "a version that is not 0 to 5 is refused", .test_func = refuses_versions },
	{ .name = "a number of general counters that is not 1 to 8 is refused",
	  .test_func = refuses_general },
	{ .name = "more than 3 fixed counters, or 4 in version 5, are refused",
	  .test_func = refuses_fixed },
	{ .name = "a width that is not 32 to 48 bits is refused", .test_func = refuses_widths },
	{ .name = "unknown events, and fixed counters without their event, are refused",
	  .test_func = refuses_events },
	{ .name = "a configuration is refused if a reserved field is not 0",
	  .test_func = refuses_reserved_fields },
	{ .name = "a PMU that is on needs a source", .test_func = refuses_no_source },
	{ .name = "a PMU that is off ignores the rest of its configuration",
	  .test_func = off_ignores_the_rest },
	{ .name = "the usual configurations have 4 or 8 general counters and 3 fixed ones of 48 "
		  "bits",
	  .test_func = usual_configurations },
	{ .name = "that of version 1 has 2 general counters of 40 bits and no fixed ones",
	  .test_func = usual_first_version },
	{ .name = "the usual fixed counters end before the first whose event is not counted",
	  .test_func = usual_fixed_counters },
	{ .name = "RESET clears all registers but GLOBAL_CTRL's general bits, which it sets",
	  .test_func = reset_values },
	{ .name = "with the PMU off every one of its registers raises #GP",
	  .test_func = off_faults },
	{ .name = "with the PMU off and in version 1 DEBUGCTL is the host's",
	  .test_func = hosts_debugctl },
	{ .name = "in version 1 fixed counters and global control raise #GP",
	  .test_func = first_version_registers },
	{ .name = "registers beside the PMU's are not the library's", .test_func = not_mine },
	{ .name = "PERFEVTSEL keeps bits 31:0 but AnyThread, and raises #GP for the others",
	  .test_func = evtsel_bits },
	{ .name = "FIXED_CTR_CTRL raises #GP for AnyThread and for absent counters",
	  .test_func = fixed_ctrl_bits },
	{ .name = "GLOBAL_CTRL raises #GP for absent counters", .test_func = global_ctrl_bits },
	{ .name = "STATUS_RESET takes the version's status bits, raises #GP for others and reads 0",
	  .test_func = status_reset_bits },
	{ .name = "STATUS_SET comes with version 4, sets all status bits but CondChgd and reads 0",
	  .test_func = status_set_bits },
	{ .name = "a write to GLOBAL_STATUS raises #GP", .test_func = status_read_only },
	{ .name = "GLOBAL_INUSE comes with version 4, is read-only and follows the selects and "
		  "enables",
	  .test_func = inuse },
	{ .name = "PERF_CAPABILITIES says whether full width writes exist and is read-only",
	  .test_func = capabilities },
	{ .name = "DEBUGCTL keeps LBR, BTF and the two freeze bits and raises #GP for others",
	  .test_func = debugctl_bits },
	{ .name = "a legacy counter write is sign-extended from bit 31 to the counter's width",
	  .test_func = pmc_sign_extension },
	{ .name = "a legacy counter write ignores the upper half", .test_func = pmc_upper_half },
	{ .name = "a counter and its full width alias are the same register",
	  .test_func = a_pmc_alias },
	{ .name = "full width and fixed counters raise #GP for bits above their width",
	  .test_func = full_widths },
	{ .name = "without full width writes their registers raise #GP",
	  .test_func = a_pmc_absent },
	{ .name = "the registers of absent counters raise #GP", .test_func = absent_counters },
	{ .name = "version 5 may have a fourth fixed counter", .test_func = topdown_counter },
	{ .name = "RDPMC reads general counters by number and fixed ones from 40000000H",
	  .test_func = rdpmc_forms },
	{ .name = "RDPMC of anything else raises #GP", .test_func = rdpmc_faults },
	{ .name = "RDPMC that is not allowed raises #GP", .test_func = rdpmc_not_allowed },
	{ .name = "CPUID 0AH tells version, counters, widths and missing events",
	  .test_func = cpuid_0a },
	{ .name = "CPUID 0AH follows an unusual configuration", .test_func = cpuid_0a_widths },
	{ .name = "CPUID 01H has PDCM with the PMU on, and never DS or DTES64",
	  .test_func = cpuid_01 },
	{ .name = "other CPUID leaves stay as they are", .test_func = cpuid_others },
	{ .name = "MISC_ENABLE says that counters are available, BTS and PEBS not",
	  .test_func = misc_enable },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
