/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AMD's PMU as a guest sees it: K7's, the core extension's and PerfMonV2's registers
 * (APM vol. 2, "Performance Monitoring Counters"; PPR), what their bits do to a counter,
 * RDPMC and CPUID. What the vendors have in common is unit_counter.c's.
 */
#include "machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <vpmu/msr.h>

#include <cmocka.h>

/* PERF_CTL: enabled at all levels; 076H, 0C0H, 0C2H, and an event with a number of 12 bits. */
#define CYCLES         UINT64_C(0x430076)
#define TAKEN_BRANCHES UINT64_C(0x4300c2)
#define WIDE_EVENT     UINT64_C(0x10043ff87)

#define GUEST_ONLY (UINT64_C(1) << 40)
#define HOST_ONLY  (UINT64_C(1) << 41)

#define FREEZE_LBRS    (UINT64_C(1) << 11)
#define FREEZE_PERFMON (UINT64_C(1) << 12)

#define EVERY_BIT (~UINT64_C(0))

/* What is kept of an event select: all but bits 19, 21, 31 on but the event's upper part. */
#define CTL_BITS UINT64_C(0xfffd7ffff)

/* The three PMUs. */
static const struct {
	unsigned int version, counters;
} pmus[] = { { 1, 4 }, { 1, 6 }, { 2, 6 } };
#define PMUS (sizeof(pmus) / sizeof(pmus[0]))

static uint64_t bit(unsigned int n)
{
	return UINT64_C(1) << n;
}

static void start_pmu(struct machine *m, unsigned int i)
{
	start_amd(m, pmus[i].version, pmus[i].counters);
}

static bool is_k7(unsigned int i)
{
	return pmus[i].counters == 4;
}

/* The numbers of a counter's two registers: the new ones where there are any. */
static uint32_t ctl(const struct machine *m, unsigned int n)
{
	return m->pmu.config.general == 4 ? K7_EVNTSEL0 + n : PERF_CTL0 + 2 * n;
}

static uint32_t ctr(const struct machine *m, unsigned int n)
{
	return m->pmu.config.general == 4 ? K7_PERFCTR0 + n : PERF_CTR0 + 2 * n;
}

/* Any write is accepted; the bits outside of kept read as 0. */
static void check_kept(struct machine *m, uint32_t msr, uint64_t kept)
{
	for (unsigned int n = 0; n < 64; n++) {
		set(m, msr, bit(n));
		assert_int_equal(get(m, msr), bit(n) & kept);
	}
	set(m, msr, EVERY_BIT);
	assert_int_equal(get(m, msr), kept);
	set(m, msr, 0);
	assert_int_equal(get(m, msr), 0);
}

static void check_absent(struct machine *m, uint32_t msr)
{
	get_faults(m, msr);
	set_faults(m, msr, 0);
}

static void check_not_mine(struct machine *m, uint32_t msr)
{
	uint64_t value = 0x1234;

	assert_int_equal(vpmu_rdmsr(&m->pmu, msr, &value), VPMU_NOT_MINE);
	assert_int_equal(vpmu_wrmsr(&m->pmu, msr, 0), VPMU_NOT_MINE);
	assert_int_equal(value, 0x1234);
}

/* --- configurations ------------------------------------------------------------- */

static void check_refused(const struct vpmu_config *config, enum vpmu_error error, const char *word)
{
	const char *text = vpmu_error_text(VPMU_AMD, error);
	struct machine m;

	memset(&m, 0xa5, sizeof(m));
	assert_int_equal(vpmu_init(&m.pmu, config, &source_ops, &m.source), error);
	assert_non_null(strstr(text, word));
	/* It is off. */
	check_absent(&m, AMD_GLOBAL_CTL);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	assert_false(vpmu_service(&m.pmu));
}

static void refuses_versions(void **state)
{
	struct vpmu_config config = vpmu_config_amd(2, 6, AMD_EVENTS);

	(void)state;
	for (unsigned int version = 3; version < 256; version++) {
		config.version = (uint8_t)version;
		check_refused(&config, VPMU_ERROR_VERSION, "version");
	}
	assert_int_equal(vpmu_config_amd(256 + 2, 6, AMD_EVENTS).version, 255);
	assert_int_equal(vpmu_config_amd(2, 256 + 6, AMD_EVENTS).general, 255);
}

static void refuses_numbers(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 1; version <= 2; version++)
		for (unsigned int counters = 0; counters < 256; counters++) {
			struct vpmu_config config = vpmu_config_amd(version, counters, AMD_EVENTS);
			bool fits = version == 1 ? counters == 4 || counters == 6
						 : counters >= 1 && counters <= 6;

			if (fits)
				start_machine(&m, &config);
			else
				check_refused(&config, VPMU_ERROR_GENERAL, "4 or 6");
		}
}

static void refuses_intels(void **state)
{
	struct vpmu_config config;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		const struct vpmu_config usual =
			vpmu_config_amd(pmus[i].version, pmus[i].counters, AMD_EVENTS);

		config = usual;
		config.fixed = 1;
		check_refused(&config, VPMU_ERROR_FIXED, "fixed");
		config = usual;
		config.fixed_width = 48;
		check_refused(&config, VPMU_ERROR_FIXED, "fixed");
		config = usual;
		config.full_width_writes = true;
		check_refused(&config, VPMU_ERROR_REGISTERS, "full width");
		config = usual;
		config.event_registers = VPMU_EVENT_REGISTER_OFFCORE_RSP;
		check_refused(&config, VPMU_ERROR_REGISTERS, "event registers");
	}
}

static void refuses_widths(void **state)
{
	struct vpmu_config config = vpmu_config_amd(2, 6, AMD_EVENTS);

	(void)state;
	for (unsigned int width = 0; width < 256; width++) {
		config.general_width = (uint8_t)width;
		if (width != 48)
			check_refused(&config, VPMU_ERROR_WIDTH, "48");
	}
}

static void refuses_events(void **state)
{
	struct vpmu_config config = vpmu_config_amd(2, 6, ~0u);

	(void)state;
	assert_int_equal(config.events, AMD_EVENTS);
	for (unsigned int id = 0; id < 32; id++) {
		config.events = 1u << id;
		if (!(AMD_EVENTS & (1u << id)))
			check_refused(&config, VPMU_ERROR_EVENTS, "event");
	}
}

static void usual_configurations(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		struct vpmu_config config =
			vpmu_config_amd(pmus[i].version, pmus[i].counters, AMD_EVENTS);

		assert_int_equal(config.vendor, VPMU_AMD);
		assert_int_equal(config.version, pmus[i].version);
		assert_int_equal(config.general, pmus[i].counters);
		assert_int_equal(config.general_width, 48);
		assert_int_equal(config.fixed | config.fixed_width, 0);
		assert_false(config.full_width_writes || config.nested);
	}
}

/* --- registers ------------------------------------------------------------------ */

static void k7_numbers(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 1, 4);
	for (unsigned int n = 0; n < 4; n++) {
		set(&m, K7_EVNTSEL0 + n, 0x100u + n);
		set(&m, K7_PERFCTR0 + n, 0x200u + n);
	}
	for (unsigned int n = 0; n < 4; n++) {
		assert_int_equal(get(&m, K7_EVNTSEL0 + n), 0x100 + n);
		assert_int_equal(get(&m, K7_PERFCTR0 + n), 0x200 + n);
	}
	for (uint32_t msr = PERF_CTL0; msr < PERF_CTL0 + 12; msr++)
		check_absent(&m, msr);
}

static void core_numbers(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 1; version <= 2; version++) {
		start_amd(&m, version, 6);
		for (unsigned int n = 0; n < 6; n++) {
			set(&m, PERF_CTL0 + 2 * n, 0x100u + n);
			set(&m, PERF_CTR0 + 2 * n, 0x200u + n);
		}
		for (unsigned int n = 0; n < 6; n++) {
			assert_int_equal(get(&m, PERF_CTL0 + 2 * n), 0x100 + n);
			assert_int_equal(get(&m, PERF_CTR0 + 2 * n), 0x200 + n);
		}
		check_not_mine(&m, PERF_CTL0 + 12);
		check_not_mine(&m, PERF_CTL0 - 1);
	}
}

static void aliases(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 1; version <= 2; version++) {
		start_amd(&m, version, 6);
		for (unsigned int n = 0; n < 4; n++) {
			set(&m, PERF_CTL0 + 2 * n, 0x100u + n);
			set(&m, PERF_CTR0 + 2 * n, 0x200u + n);
			assert_int_equal(get(&m, K7_EVNTSEL0 + n), 0x100 + n);
			assert_int_equal(get(&m, K7_PERFCTR0 + n), 0x200 + n);
			set(&m, K7_EVNTSEL0 + n, 0x300u + n);
			set(&m, K7_PERFCTR0 + n, 0x400u + n);
			assert_int_equal(get(&m, PERF_CTL0 + 2 * n), 0x300 + n);
			assert_int_equal(get(&m, PERF_CTR0 + 2 * n), 0x400 + n);
		}
		assert_int_equal(get(&m, PERF_CTL0 + 8) | get(&m, PERF_CTR0 + 10), 0);
	}
}

static void absent_counters(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int counters = 1; counters <= 6; counters++) {
		start_amd(&m, 2, counters);
		for (unsigned int n = counters; n < 6; n++) {
			check_absent(&m, PERF_CTL0 + 2 * n);
			check_absent(&m, PERF_CTR0 + 2 * n);
			if (n >= 4)
				continue;
			check_absent(&m, K7_EVNTSEL0 + n);
			check_absent(&m, K7_PERFCTR0 + n);
		}
	}
}

static void ctl_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		start_pmu(&m, i);
		for (unsigned int n = 0; n < pmus[i].counters; n++)
			check_kept(&m, ctl(&m, n), CTL_BITS);
		check_kept(&m, K7_EVNTSEL0 + 3, CTL_BITS);
	}
}

static void mode_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		struct vpmu_config config =
			vpmu_config_amd(pmus[i].version, pmus[i].counters, AMD_EVENTS);

		config.nested = true;
		start_machine(&m, &config);
		check_kept(&m, ctl(&m, 0), CTL_BITS | GUEST_ONLY | HOST_ONLY);
		check_kept(&m, K7_EVNTSEL0 + 1, CTL_BITS | GUEST_ONLY | HOST_ONLY);
	}
}

static void counter_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		start_pmu(&m, i);
		for (unsigned int n = 0; n < pmus[i].counters; n++)
			check_kept(&m, ctr(&m, n), MAX_48);
		check_kept(&m, K7_PERFCTR0, MAX_48);
		/* Nothing is sign-extended. */
		set(&m, K7_PERFCTR0, 0x80000000);
		assert_int_equal(get(&m, K7_PERFCTR0), 0x80000000);
	}
}

static void global_ctl_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int counters = 1; counters <= 6; counters++) {
		start_amd(&m, 2, counters);
		check_kept(&m, AMD_GLOBAL_CTL, bit(counters) - 1);
	}
}

static void status_bits(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int counters = 1; counters <= 6; counters++) {
		uint64_t bits = (bit(counters) - 1) | CTR_FRZ | LBR_FRZ;

		start_amd(&m, 2, counters);
		set(&m, AMD_GLOBAL_STATUS_SET, EVERY_BIT);
		assert_int_equal(get(&m, AMD_GLOBAL_STATUS), bits);
		set(&m, AMD_GLOBAL_STATUS_CLR, ~bits);
		assert_int_equal(get(&m, AMD_GLOBAL_STATUS), bits);
		for (unsigned int n = 0; n < 64; n++) {
			set(&m, AMD_GLOBAL_STATUS_CLR, bit(n));
			assert_int_equal(get(&m, AMD_GLOBAL_STATUS), bits & ~bit(n));
			set(&m, AMD_GLOBAL_STATUS_SET, bit(n));
			assert_int_equal(get(&m, AMD_GLOBAL_STATUS), bits);
		}
		assert_int_equal(get(&m, AMD_GLOBAL_STATUS_SET), 0);
		assert_int_equal(get(&m, AMD_GLOBAL_STATUS_CLR), 0);
		set(&m, AMD_GLOBAL_STATUS_CLR, EVERY_BIT);
		assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0);
		assert_false(vpmu_service(&m.pmu));
	}
}

static void status_read_only(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	set(&m, AMD_GLOBAL_STATUS, EVERY_BIT);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0);
	set(&m, AMD_GLOBAL_STATUS_SET, 0x21);
	set(&m, AMD_GLOBAL_STATUS, 0);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0x21);
}

static void no_global_registers(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int counters = 4; counters <= 6; counters += 2) {
		start_amd(&m, 1, counters);
		for (uint32_t msr = AMD_GLOBAL_STATUS; msr <= AMD_GLOBAL_STATUS_SET; msr++)
			check_absent(&m, msr);
		check_not_mine(&m, DEBUGCTL);
	}
}

static void debugctl_bits(void **state)
{
	static const uint64_t hosts[] = { 0, DEBUG_BITS, 0x47, EVERY_BIT & ~UINT64_C(0x1800) };
	struct vpmu_config config = vpmu_config_amd(2, 6, AMD_EVENTS);
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		uint64_t kept = hosts[i] | FREEZE_LBRS | FREEZE_PERFMON;

		config.debug_bits = hosts[i];
		start_machine(&m, &config);
		for (unsigned int n = 0; n < 64; n++) {
			if (!(kept & bit(n)) && (n < 2 || n > 5)) {
				set_faults(&m, DEBUGCTL, bit(n));
				continue;
			}
			set(&m, DEBUGCTL, bit(n));
			assert_int_equal(get(&m, DEBUGCTL), bit(n) & kept);
		}
		set(&m, DEBUGCTL, kept);
		assert_int_equal(get(&m, DEBUGCTL), kept);
	}
}

static void others_not_mine(void **state)
{
	static const uint32_t others[] = {
		0x10,
		PMC0,
		PERFEVTSEL0,
		MISC_ENABLE,
		OFFCORE_RSP0,
		FIXED_CTR0,
		PERF_CAPABILITIES,
		FIXED_CTR_CTRL,
		GLOBAL_STATUS,
		GLOBAL_CTRL,
		STATUS_RESET,
		PEBS_LD_LAT,
		A_PMC0,
		AMD_GLOBAL_STATUS - 1,
		AMD_GLOBAL_STATUS_SET + 1,
		K7_EVNTSEL0 - 1,
		K7_PERFCTR0 + 4,
		0xc0010230, /* the L3 cache's counters */
		0xc0010240, /* the northbridge's */
		0xc0011030, /* instruction based sampling */
	};
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i <= PMUS; i++) {
		if (i < PMUS)
			start_pmu(&m, i);
		else
			start_amd(&m, 0, 0);
		for (unsigned int n = 0; n < sizeof(others) / sizeof(others[0]); n++)
			check_not_mine(&m, others[n]);
	}
}

static void reset_values(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		bool v2 = pmus[i].version == 2;

		start_pmu(&m, i);
		for (unsigned int round = 0; round < 2; round++) {
			for (unsigned int n = 0; n < pmus[i].counters; n++) {
				assert_int_equal(get(&m, ctl(&m, n)), 0);
				assert_int_equal(get(&m, ctr(&m, n)), 0);
				set(&m, ctl(&m, n), CYCLES);
				set(&m, ctr(&m, n), 5);
			}
			if (v2) {
				assert_int_equal(get(&m, AMD_GLOBAL_CTL), 0x3f);
				assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0);
				assert_int_equal(get(&m, DEBUGCTL), 0);
				set(&m, DEBUGCTL, FREEZE_PERFMON);
				set(&m, AMD_GLOBAL_STATUS_SET, CTR_FRZ | 1);
				set(&m, AMD_GLOBAL_CTL, 1);
			}
			assert_false(vpmu_service(&m.pmu));
			vpmu_reset(&m.pmu);
			assert_int_equal(vpmu_active(&m.pmu), 0);
		}
	}
}

static void off(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 0, 0);
	for (uint32_t msr = K7_EVNTSEL0; msr < K7_PERFCTR0 + 4; msr++) {
		set(&m, msr, EVERY_BIT);
		assert_int_equal(get(&m, msr), 0);
	}
	for (uint32_t msr = PERF_CTL0; msr < PERF_CTL0 + 12; msr++)
		check_absent(&m, msr);
	for (uint32_t msr = AMD_GLOBAL_STATUS; msr <= AMD_GLOBAL_STATUS_SET; msr++)
		check_absent(&m, msr);
	check_not_mine(&m, DEBUGCTL);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(vpmu_active(&m.pmu), 0);
	assert_int_equal(calls(&m), 0);
}

/* --- RDPMC ---------------------------------------------------------------------- */

static void check_rdpmc_faults(struct machine *m, uint32_t index, bool allowed)
{
	uint64_t value = 0x1234;

	assert_int_equal(vpmu_rdpmc(&m->pmu, index, allowed, &value), VPMU_FAULT);
	assert_int_equal(value, 0x1234);
}

static void rdpmc(void **state)
{
	struct machine m;
	uint64_t value;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		start_pmu(&m, i);
		for (unsigned int n = 0; n < pmus[i].counters; n++) {
			set(&m, ctr(&m, n), MAX_48 - n);
			assert_int_equal(vpmu_rdpmc(&m.pmu, n, true, &value), VPMU_DONE);
			assert_int_equal(value, MAX_48 - n);
			check_rdpmc_faults(&m, n, false);
		}
		/* The northbridge's and the L3 cache's counters would begin at 6 and at 10. */
		for (uint32_t n = pmus[i].counters; n < 70; n++)
			check_rdpmc_faults(&m, n, true);
		for (unsigned int n = 3; n < 32; n++)
			check_rdpmc_faults(&m, UINT32_C(1) << n, true);
		check_rdpmc_faults(&m, 0xc0000000, true);
		check_rdpmc_faults(&m, 0xffffffff, true);
	}
	start_amd(&m, 0, 0);
	check_rdpmc_faults(&m, 0, true);
}

/* --- counting ------------------------------------------------------------------- */

static void check_event(uint64_t evtsel, struct vpmu_event expected)
{
	const struct vpmu_event *event;
	struct machine m;

	start_amd(&m, 2, 6);
	set_now(&m, ctl(&m, 4), evtsel);
	event = &m.source.events[4];
	assert_true(m.source.bound[4]);
	assert_int_equal(event->id, expected.id);
	assert_int_equal(event->select, expected.select);
	assert_int_equal(event->umask, expected.umask);
	assert_int_equal(event->cmask, expected.cmask);
	assert_int_equal(event->invert, expected.invert);
	assert_int_equal(event->edge, expected.edge);
	assert_int_equal(event->user, expected.user);
	assert_int_equal(event->kernel, expected.kernel);
	assert_true(event->host_mode && event->guest_mode);
	assert_int_equal(event->extra, 0);
}

static void named_events(void **state)
{
	static const struct {
		enum vpmu_event_id id;
		uint16_t select;
	} named[] = { { VPMU_EVENT_CYCLES, 0x76 },
		      { VPMU_EVENT_INSTRUCTIONS, 0xc0 },
		      { VPMU_EVENT_BRANCHES, 0xc2 },
		      { VPMU_EVENT_BRANCH_MISSES, 0xc3 } };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct vpmu_event event = { .id = named[i].id, .select = named[i].select };

		event.user = event.kernel = true;
		check_event(0x430000u | named[i].select, event);
		/* With a unit mask, or upper bits of the select, it is another event. */
		event.id = VPMU_EVENT_RAW;
		event.umask = 1;
		check_event(0x430100u | named[i].select, event);
		event.umask = 0;
		event.select = (uint16_t)(0x800 | named[i].select);
		check_event(UINT64_C(0x800430000) | named[i].select, event);
	}
	/* Intel's are not known here. */
	check_event(0x43003c,
		    (struct vpmu_event){
			    .id = VPMU_EVENT_RAW, .select = 0x3c, .user = true, .kernel = true });
	check_event(0x4300c4,
		    (struct vpmu_event){
			    .id = VPMU_EVENT_RAW, .select = 0xc4, .user = true, .kernel = true });
}

static void event_fields(void **state)
{
	struct vpmu_event event = { .id = VPMU_EVENT_RAW, .select = 0x187, .umask = 0xff };

	(void)state;
	event.user = event.kernel = true;
	check_event(WIDE_EVENT, event);
	event.select = 0xf87;
	event.kernel = false;
	check_event(UINT64_C(0xf0041ff87), event);
	event.edge = true;
	event.cmask = 0x80;
	event.invert = true;
	check_event(UINT64_C(0xf80c5ff87), event);
	/* Bits that are ignored make no other event. */
	check_event(UINT64_C(0xf80c5ff87) | bit(19) | bit(21) | bit(31 + 5) | bit(40) | bit(41) |
			    bit(63),
		    event);
}

static void counts(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		start_pmu(&m, i);
		for (unsigned int n = 0; n < pmus[i].counters; n++) {
			set_now(&m, ctr(&m, n), 100);
			set_now(&m, ctl(&m, n), CYCLES & ~bit(22));
			assert_false(m.source.bound[n]);
			set_now(&m, ctl(&m, n), CYCLES);
			happen(&m, n, 11 + n);
			assert_int_equal(get(&m, ctr(&m, n)), 111 + n);
			assert_int_equal(vpmu_active(&m.pmu), bit(n + 1) - 1);
		}
	}
}

static void counts_by_old_numbers(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	set_now(&m, K7_EVNTSEL0 + 2, TAKEN_BRANCHES);
	happen(&m, 2, 5);
	assert_int_equal(get(&m, K7_PERFCTR0 + 2), 5);
	assert_int_equal(get(&m, PERF_CTR0 + 4), 5);
	set_now(&m, PERF_CTL0 + 4, 0);
	happen(&m, 2, 5);
	assert_int_equal(get(&m, K7_PERFCTR0 + 2), 5);
}

static void global_ctl_enables(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	set_now(&m, AMD_GLOBAL_CTL, 0x20);
	for (unsigned int n = 0; n < 6; n++)
		set_now(&m, ctl(&m, n), CYCLES);
	assert_int_equal(vpmu_active(&m.pmu), 0x20);
	set_now(&m, AMD_GLOBAL_CTL, 0x01);
	assert_int_equal(vpmu_active(&m.pmu), 0x01);
	happen(&m, 0, 3);
	happen(&m, 5, 3);
	assert_int_equal(get(&m, ctr(&m, 0)), 3);
	assert_int_equal(get(&m, ctr(&m, 5)), 0);
}

static void overflow_without_status(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int counters = 4; counters <= 6; counters += 2) {
		start_amd(&m, 1, counters);
		set_now(&m, ctr(&m, 3), MAX_48);
		set_now(&m, ctl(&m, 3), CYCLES | EVTSEL_INT);
		happen(&m, 3, 2);
		assert_int_equal(ring(&m), 1);
		assert_int_equal(vpmu_service(&m.pmu), VPMU_PMI);
		assert_int_equal(get(&m, ctr(&m, 3)), 1);
		assert_int_equal(vpmu_status(&m.pmu), 0);
		/* It counts on, and the next is the next. */
		set_now(&m, ctr(&m, 3), MAX_48 - 9);
		happen(&m, 3, 10);
		ring(&m);
		assert_int_equal(vpmu_service(&m.pmu), VPMU_PMI);
		assert_false(vpmu_service(&m.pmu));
	}
}

static void overflow_with_status(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	set_now(&m, ctr(&m, 5), MAX_48 - 1);
	set_now(&m, ctl(&m, 5), CYCLES | EVTSEL_INT);
	happen(&m, 5, 1);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0);
	happen(&m, 5, 1);
	ring(&m);
	assert_int_equal(vpmu_service(&m.pmu), VPMU_PMI);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0x20);
	assert_int_equal(vpmu_status(&m.pmu), 0x20);
	set_now(&m, AMD_GLOBAL_STATUS_CLR, 0x20);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0);
	assert_int_equal(get(&m, ctr(&m, 5)), 0);
}

static void pmi_needs_int(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		start_pmu(&m, i);
		if (pmus[i].version == 2)
			set_now(&m, DEBUGCTL, FREEZE_PERFMON | FREEZE_LBRS);
		set_now(&m, ctr(&m, 0), MAX_48);
		set_now(&m, ctl(&m, 0), CYCLES);
		happen(&m, 0, 4);
		assert_int_equal(ring(&m), 0);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(get(&m, ctr(&m, 0)), 3);
		assert_false(vpmu_service(&m.pmu));
		/* It is in the status all the same, and nothing freezes. */
		assert_int_equal(vpmu_status(&m.pmu), pmus[i].version == 2 ? 1 : 0);
	}
}

/* Version 2, DEBUGCTL as given: counter 0 overflows into a PMI. */
static void overflow_with(struct machine *m, uint64_t debugctl, unsigned int asked)
{
	start_amd(m, 2, 6);
	set_now(m, DEBUGCTL, debugctl);
	set_now(m, ctr(m, 0), MAX_48);
	set_now(m, ctl(m, 0), CYCLES | EVTSEL_INT);
	set_now(m, ctl(m, 1), CYCLES);
	happen(m, 0, 1);
	ring(m);
	assert_int_equal(vpmu_service(&m->pmu), asked);
	happen(m, 0, 7);
	happen(m, 1, 7);
}

static void freezes_counters(void **state)
{
	struct machine m;

	(void)state;
	overflow_with(&m, FREEZE_PERFMON | 1, VPMU_PMI);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), CTR_FRZ | 1);
	assert_int_equal(get(&m, ctr(&m, 0)) | get(&m, ctr(&m, 1)), 0);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	assert_int_equal(get(&m, AMD_GLOBAL_CTL), 0x3f);
	/* Acknowledging the overflow alone is not enough. */
	set_now(&m, AMD_GLOBAL_STATUS_CLR, 1);
	happen(&m, 1, 7);
	assert_int_equal(get(&m, ctr(&m, 1)), 0);
	set_now(&m, AMD_GLOBAL_STATUS_CLR, CTR_FRZ);
	happen(&m, 1, 7);
	assert_int_equal(get(&m, ctr(&m, 1)), 7);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 0);
}

static void freezes_branch_records(void **state)
{
	struct machine m;

	(void)state;
	overflow_with(&m, FREEZE_LBRS | 1, VPMU_PMI | VPMU_FREEZE_LBR);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), LBR_FRZ | 1);
	assert_int_equal(get(&m, ctr(&m, 1)), 7);
	assert_int_equal(get(&m, DEBUGCTL), FREEZE_LBRS | 1);
}

static void freezes_nothing(void **state)
{
	struct machine m;

	(void)state;
	overflow_with(&m, 1, VPMU_PMI);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 1);
	assert_int_equal(get(&m, ctr(&m, 0)), 7);
	assert_int_equal(get(&m, ctr(&m, 1)), 7);
}

static void frozen_by_software(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	set_now(&m, ctl(&m, 0), CYCLES | EVTSEL_INT);
	happen(&m, 0, 5);
	set_now(&m, AMD_GLOBAL_STATUS_SET, CTR_FRZ | 4);
	happen(&m, 0, 5);
	assert_int_equal(get(&m, ctr(&m, 0)), 5);
	set_now(&m, AMD_GLOBAL_STATUS_CLR, CTR_FRZ);
	happen(&m, 0, 5);
	assert_int_equal(get(&m, ctr(&m, 0)), 10);
	assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 4);
}

/* What perf's NMI handler does: stop all, look, reload, acknowledge, start. */
static void pmi_cycle(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	set_now(&m, ctr(&m, 0), MAX_48 - 99);
	set_now(&m, ctl(&m, 0), CYCLES | EVTSEL_INT);
	for (unsigned int i = 0; i < 5; i++) {
		happen(&m, 0, 100);
		ring(&m);
		assert_int_equal(vpmu_service(&m.pmu), VPMU_PMI);
		calls(&m);
		set_now(&m, AMD_GLOBAL_CTL, 0);
		assert_int_equal(get(&m, AMD_GLOBAL_STATUS), 1);
		set_now(&m, ctr(&m, 0), MAX_48 - 99);
		set_now(&m, AMD_GLOBAL_STATUS_CLR, 1);
		set_now(&m, AMD_GLOBAL_CTL, 0x3f);
		assert_int_equal(m.source.binds + m.source.unbinds, 0);
	}
}

/* --- host and guest mode ---------------------------------------------------------- */

/* The four settings of the two bits, and what they mean with EFER.SVME = 1. */
static const struct {
	uint64_t bits;
	bool host_mode, guest_mode;
} modes[] = { { 0, true, true },
	      { GUEST_ONLY, false, true },
	      { HOST_ONLY, true, false },
	      { GUEST_ONLY | HOST_ONLY, true, true } };

static void start_nested(struct machine *m, unsigned int i)
{
	struct vpmu_config config = vpmu_config_amd(pmus[i].version, pmus[i].counters, AMD_EVENTS);

	config.nested = true;
	start_machine(m, &config);
}

static void modes_reach_the_source(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		start_nested(&m, i);
		vpmu_set_svme(&m.pmu, true);
		for (unsigned int n = 0; n < 4; n++) {
			set_now(&m, ctl(&m, n), CYCLES | modes[n].bits);
			assert_true(m.source.bound[n]);
			assert_int_equal(m.source.events[n].host_mode, modes[n].host_mode);
			assert_int_equal(m.source.events[n].guest_mode, modes[n].guest_mode);
			happen(&m, n, 3);
			assert_int_equal(get(&m, ctr(&m, n)), 3);
		}
	}
}

static void modes_without_svme(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++) {
		start_nested(&m, i);
		for (unsigned int n = 0; n < 4; n++)
			set_now(&m, ctl(&m, n), CYCLES | modes[n].bits);
		assert_int_equal(vpmu_active(&m.pmu), 0x1);
		vpmu_set_svme(&m.pmu, true);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(vpmu_active(&m.pmu), 0xf);
		for (unsigned int n = 0; n < 4; n++)
			happen(&m, n, 4);
		vpmu_set_svme(&m.pmu, false);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(vpmu_active(&m.pmu), 0x1);
		for (unsigned int n = 0; n < 4; n++) {
			happen(&m, n, 4);
			assert_int_equal(get(&m, ctr(&m, n)), n == 0 ? 8 : 4);
		}
	}
}

static void svme_alone(void **state)
{
	struct machine m;

	(void)state;
	start_nested(&m, 2);
	set_now(&m, ctl(&m, 0), CYCLES);
	calls(&m);
	vpmu_set_svme(&m.pmu, false);
	assert_int_equal(m.pmu.dirty, 0);
	vpmu_set_svme(&m.pmu, true);
	assert_false(vpmu_service(&m.pmu));
	vpmu_set_svme(&m.pmu, false);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
	happen(&m, 0, 6);
	assert_int_equal(get(&m, ctr(&m, 0)), 6);
}

static void svme_not_nested(void **state)
{
	struct machine m;

	(void)state;
	start_amd(&m, 2, 6);
	/* The bits are ignored: the counter is not restricted. */
	set_now(&m, ctl(&m, 0), CYCLES | HOST_ONLY);
	assert_true(m.source.bound[0]);
	assert_true(m.source.events[0].guest_mode);
	calls(&m);
	vpmu_set_svme(&m.pmu, true);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(calls(&m), 0);
}

static void svme_after_reset(void **state)
{
	struct machine m;

	(void)state;
	start_nested(&m, 0);
	vpmu_set_svme(&m.pmu, true);
	vpmu_reset(&m.pmu);
	set_now(&m, ctl(&m, 0), CYCLES | HOST_ONLY);
	assert_false(m.source.bound[0]);
	vpmu_set_svme(&m.pmu, true);
	assert_false(vpmu_service(&m.pmu));
	assert_true(m.source.bound[0]);
}

static void other_mode_other_event(void **state)
{
	struct machine m;

	(void)state;
	start_nested(&m, 1);
	vpmu_set_svme(&m.pmu, true);
	set_now(&m, ctl(&m, 0), CYCLES | HOST_ONLY);
	happen(&m, 0, 5);
	calls(&m);
	set_now(&m, ctl(&m, 0), CYCLES | GUEST_ONLY);
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(m.source.binds, 1);
	assert_false(m.source.events[0].host_mode);
	happen(&m, 0, 5);
	assert_int_equal(get(&m, ctr(&m, 0)), 10);
	/* Neither bit is both. */
	set_now(&m, ctl(&m, 0), CYCLES);
	calls(&m);
	set_now(&m, ctl(&m, 0), CYCLES | HOST_ONLY | GUEST_ONLY);
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
}

static void retired_in_modes(void **state)
{
	static const uint64_t events[] = { INSTRUCTIONS, TAKEN_BRANCHES };
	struct machine m;

	(void)state;
	for (unsigned int e = 0; e < 2; e++) {
		start_nested(&m, 1);
		vpmu_set_svme(&m.pmu, true);
		for (unsigned int n = 0; n < 4; n++)
			set_now(&m, ctl(&m, n), events[e] | modes[n].bits);
		for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++) {
			bool guest = kind & VPMU_RETIRED_GUEST_MODE;
			bool counted = e == 0 || (kind & VPMU_RETIRED_BRANCH);

			vpmu_retired(&m.pmu, kind);
			for (unsigned int n = 0; n < 4; n++) {
				bool mode = guest ? modes[n].guest_mode : modes[n].host_mode;

				assert_int_equal(get(&m, ctr(&m, n)), counted && mode);
				set_now(&m, ctr(&m, n), 0);
			}
		}
		/* With SVME clear only the counter that is not restricted is left. */
		vpmu_set_svme(&m.pmu, false);
		assert_false(vpmu_service(&m.pmu));
		for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++)
			assert_int_equal(m.pmu.retired[kind] & ~UINT64_C(1), 0);
	}
}

/* --- CPUID ---------------------------------------------------------------------- */

static void check_cpuid(const struct machine *m, uint32_t leaf, const uint32_t expected[4],
			uint32_t hosts)
{
	uint32_t regs[4] = { hosts, hosts, hosts, hosts };

	vpmu_cpuid(&m->pmu, leaf, 0, regs);
	assert_memory_equal(regs, expected, sizeof(regs));
}

/* The same for any value of the host. */
static void check_cpuid_is(const struct machine *m, uint32_t leaf, uint32_t eax, uint32_t ebx)
{
	const uint32_t expected[4] = { eax, ebx, 0, 0 };

	check_cpuid(m, leaf, expected, 0);
	check_cpuid(m, leaf, expected, ~0u);
}

static void cpuid_perf_core(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i <= PMUS; i++) {
		bool core = i < PMUS && !is_k7(i);
		/* Instruction based sampling, northbridge and L3 counters are hidden. */
		const uint32_t hidden = 1u << 10 | 1u << 24 | 1u << 28;
		const uint32_t ones[4] = { ~0u, ~0u, ~hidden & ~(core ? 0 : 1u << 23), ~0u };
		const uint32_t zeros[4] = { 0, 0, core ? 1u << 23 : 0, 0 };

		if (i < PMUS)
			start_pmu(&m, i);
		else
			start_amd(&m, 0, 0);
		check_cpuid(&m, 0x80000001, ones, ~0u);
		check_cpuid(&m, 0x80000001, zeros, 0);
	}
}

static void cpuid_v2(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int counters = 1; counters <= 6; counters++) {
		start_amd(&m, 2, counters);
		/* PerfMonV2, and freezing; no branch records. */
		check_cpuid_is(&m, 0x80000022, 0x5, counters);
	}
	start_amd(&m, 1, 4);
	check_cpuid_is(&m, 0x80000022, 0, 0);
	start_amd(&m, 1, 6);
	check_cpuid_is(&m, 0x80000022, 0, 0);
	start_amd(&m, 0, 0);
	check_cpuid_is(&m, 0x80000022, 0, 0);
}

static void cpuid_highest(void **state)
{
	static const uint32_t hosts[] = { 0x80000008, 0x80000021, 0x80000022, 0x80000026 };
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < PMUS; i++)
		for (unsigned int n = 0; n < 4; n++) {
			bool raised = pmus[i].version == 2 && hosts[n] < 0x80000022;
			uint32_t regs[4] = { hosts[n], 2, 3, 4 };

			start_pmu(&m, i);
			vpmu_cpuid(&m.pmu, 0x80000000, 0, regs);
			assert_int_equal(regs[0], raised ? 0x80000022 : hosts[n]);
			assert_true(regs[1] == 2 && regs[2] == 3 && regs[3] == 4);
			/* The basic leaves need no further one. */
			regs[0] = 7;
			vpmu_cpuid(&m.pmu, 0, 0, regs);
			assert_int_equal(regs[0], 7);
		}
}

static void cpuid_hides(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i <= PMUS; i++) {
		const uint32_t ones[4] = { ~0u, ~0u, ~(1u << 2 | 1u << 4 | 1u << 15), ~(1u << 21) };
		const uint32_t zeros[4] = { 0, 0, 0, 0 };

		if (i < PMUS)
			start_pmu(&m, i);
		else
			start_amd(&m, 0, 0);
		check_cpuid_is(&m, 0x0a, 0, 0);
		check_cpuid_is(&m, 0x1c, 0, 0);
		check_cpuid_is(&m, 0x23, 0, 0);
		check_cpuid_is(&m, 0x8000001b, 0, 0);
		check_cpuid(&m, 0x01, ones, ~0u);
		check_cpuid(&m, 0x01, zeros, 0);
	}
}

static const struct CMUnitTest tests[] = {
	{ .name = "a version that is not 0 to 2 is refused", .test_func = refuses_versions },
	{ .name = "version 1 has 4 or 6 counters, version 2 has 1 to 6; others are refused",
	  .test_func = refuses_numbers },
	{ .name = "fixed counters, event registers and full width writes are refused",
	  .test_func = refuses_intels },
	{ .name = "a width that is not 48 bits is refused", .test_func = refuses_widths },
	{ .name = "events without an encoding that all processors share are refused",
	  .test_func = refuses_events },
	{ .name = "the usual configurations are K7's, the core extension's and PerfMonV2's",
	  .test_func = usual_configurations },
	{ .name = "K7 has event selects at C0010000H to 3H and counters at C0010004H to 7H",
	  .test_func = k7_numbers },
	{ .name = "the core extension has 6 pairs of registers from C0010200H on",
	  .test_func = core_numbers },
	{ .name = "K7's numbers are those of the core extension's first four counters",
	  .test_func = aliases },
	{ .name = "the registers of absent counters raise #GP", .test_func = absent_counters },
	{ .name = "an event select keeps its fields and ignores bits 19, 21 and the upper ones",
	  .test_func = ctl_bits },
	{ .name = "with nested guests it keeps GuestOnly and HostOnly, too",
	  .test_func = mode_bits },
	{ .name = "a counter has 48 bits and ignores those above", .test_func = counter_bits },
	{ .name = "PerfCntrGlobalCtl ignores absent counters", .test_func = global_ctl_bits },
	{ .name = "PerfCntrGlobalStatusClr and Set clear and set the status bits and read 0",
	  .test_func = status_bits },
	{ .name = "PerfCntrGlobalStatus ignores writes", .test_func = status_read_only },
	{ .name = "without PerfMonV2 the global registers raise #GP, and DebugCtl is the host's",
	  .test_func = no_global_registers },
	{ .name = "DebugCtl keeps the freeze bits and the host's, ignores bits 5 to 2, refuses "
		  "others",
	  .test_func = debugctl_bits },
	{ .name = "Intel's registers, and AMD's others, are not the library's",
	  .test_func = others_not_mine },
	{ .name = "RESET clears all registers but PerfCntrGlobalCtl, which enables all counters",
	  .test_func = reset_values },
	{ .name = "with the PMU off K7's registers read 0 and ignore writes, others raise #GP",
	  .test_func = off },
	{ .name = "RDPMC reads the counters by number; other indexes raise #GP",
	  .test_func = rdpmc },
	{ .name = "the events that all processors share have names", .test_func = named_events },
	{ .name = "an event's 12 bits, unit mask and conditions reach the source",
	  .test_func = event_fields },
	{ .name = "each counter counts with EN set, without global control as with it",
	  .test_func = counts },
	{ .name = "a counter counts by its old numbers, too", .test_func = counts_by_old_numbers },
	{ .name = "a counter of PerfMonV2 needs its bit of PerfCntrGlobalCtl",
	  .test_func = global_ctl_enables },
	{ .name = "without PerfMonV2 an overflow is a PMI and no status",
	  .test_func = overflow_without_status },
	{ .name = "PerfMonV2's overflow is a status bit and a PMI that does not mask LVTPC",
	  .test_func = overflow_with_status },
	{ .name = "an overflow without INT is no PMI and freezes nothing",
	  .test_func = pmi_needs_int },
	{ .name = "freeze on PMI sets PmcFreeze, and StatusClr ends it",
	  .test_func = freezes_counters },
	{ .name = "freezing of branch records sets LbrFreeze, asks the host, and counters go on",
	  .test_func = freezes_branch_records },
	{ .name = "without either the counters go on", .test_func = freezes_nothing },
	{ .name = "PmcFreeze set by software stops the counters", .test_func = frozen_by_software },
	{ .name = "a PMI handler's stop, reload and start never bind or unbind",
	  .test_func = pmi_cycle },
	{ .name = "HostOnly and GuestOnly reach the source; both are as neither",
	  .test_func = modes_reach_the_source },
	{ .name = "with EFER.SVME clear a counter with either of them does not count",
	  .test_func = modes_without_svme },
	{ .name = "EFER.SVME costs a counter without them nothing", .test_func = svme_alone },
	{ .name = "without nested guests neither the bits nor EFER.SVME mean anything",
	  .test_func = svme_not_nested },
	{ .name = "after RESET EFER.SVME is 0", .test_func = svme_after_reset },
	{ .name = "a counter whose mode changes is bound anew and keeps its value",
	  .test_func = other_mode_other_event },
	{ .name = "an emulated instruction counts in its mode, a branch also as a branch",
	  .test_func = retired_in_modes },
	{ .name = "CPUID 80000001H tells the core extension and hides IBS, NB and L3 counters",
	  .test_func = cpuid_perf_core },
	{ .name = "CPUID 80000022H tells PerfMonV2, the counters and freezing",
	  .test_func = cpuid_v2 },
	{ .name = "CPUID 80000000H is raised to 80000022H for PerfMonV2",
	  .test_func = cpuid_highest },
	{ .name = "CPUID hides Intel's PMU, debug store and IBS", .test_func = cpuid_hides },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
