/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Intel's registers that say more of an event than its event select does: OFFCORE_RSP,
 * LD_LAT, FRONTEND (SDM vol. 3, "Off-core Response Performance Monitoring", "Load Latency
 * Performance Monitoring Facility"; vol. 4, MSR_PEBS_FRONTEND).
 */
#include "machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <vpmu/msr.h>

#include <cmocka.h>

static const struct {
	uint32_t msr;
	uint32_t flag;
} registers[] = { { OFFCORE_RSP0, VPMU_EVENT_REGISTER_OFFCORE_RSP },
		  { OFFCORE_RSP1, VPMU_EVENT_REGISTER_OFFCORE_RSP },
		  { PEBS_LD_LAT, VPMU_EVENT_REGISTER_LD_LAT },
		  { PEBS_FRONTEND, VPMU_EVENT_REGISTER_FRONTEND } };
#define REGISTERS (sizeof(registers) / sizeof(registers[0]))

/* The encodings that each of them belongs to, unit mask first. */
static const struct {
	uint16_t encoding;
	unsigned int which; /* REGISTERS: none */
} encodings[] = { { 0x01b7, 0 },         { 0x01bb, 1 },         { 0x012a, 0 },
		  { 0x012b, 1 },         { 0x01cd, 2 },         { 0x01c6, 3 },
		  { 0x03c6, 3 },         { 0x02b7, REGISTERS }, { 0x02c6, REGISTERS },
		  { 0x00c0, REGISTERS }, { 0x02cd, REGISTERS }, { 0x003c, REGISTERS } };
#define ENCODINGS (sizeof(encodings) / sizeof(encodings[0]))

/* At all levels: off-core responses by OFFCORE_RSP0 and 1. */
#define RESPONSE_0 UINT64_C(0x4301b7)
#define RESPONSE_1 UINT64_C(0x4301bb)

#define REFUSED_RESPONSE 0x666

static bool refuses_response(const struct vpmu_event *event)
{
	return event->extra == REFUSED_RESPONSE;
}

static void start_with_registers(struct machine *m, unsigned int version, uint32_t flags)
{
	struct vpmu_config config = vpmu_config_intel(version, all_events(version));

	config.event_registers = flags;
	start_machine(m, &config);
}

/* Counter 0 counts responses of a value. */
static void start_responses(struct machine *m, uint64_t response)
{
	start_with_registers(m, 4, VPMU_EVENT_REGISTERS);
	set_now(m, OFFCORE_RSP0, response);
	set_now(m, PERFEVTSEL0, RESPONSE_0);
	calls(m);
}

static void theirs_or_the_hosts(void **state)
{
	struct machine m;
	uint64_t value;

	(void)state;
	for (unsigned int version = 0; version <= 5; version++)
		for (uint32_t flags = 0; flags <= VPMU_EVENT_REGISTERS; flags++) {
			start_with_registers(&m, version, flags);
			for (unsigned int i = 0; i < REGISTERS; i++) {
				bool there = version && (flags & registers[i].flag);
				enum vpmu_answer answer = there ? VPMU_DONE : VPMU_NOT_MINE;
				uint32_t msr = registers[i].msr;

				assert_int_equal(vpmu_rdmsr(&m.pmu, msr, &value), answer);
				assert_int_equal(vpmu_wrmsr(&m.pmu, msr, 1), answer);
			}
		}
}

static void keep_their_values(void **state)
{
	struct machine m;

	(void)state;
	start_with_registers(&m, 1, VPMU_EVENT_REGISTERS);
	for (unsigned int i = 0; i < REGISTERS; i++) {
		assert_int_equal(get(&m, registers[i].msr), 0);
		set_now(&m, registers[i].msr, UINT64_C(0x123456789abcdef0) + i);
	}
	for (unsigned int i = 0; i < REGISTERS; i++)
		assert_int_equal(get(&m, registers[i].msr), UINT64_C(0x123456789abcdef0) + i);
	vpmu_reset(&m.pmu);
	for (unsigned int i = 0; i < REGISTERS; i++)
		assert_int_equal(get(&m, registers[i].msr), 0);
}

static bool has_register(uint32_t flags, unsigned int which)
{
	return which < REGISTERS && (flags & registers[which].flag);
}

static void belong_to_encodings(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 1; version <= 5; version++)
		for (uint32_t flags = 0; flags <= VPMU_EVENT_REGISTERS; flags++) {
			start_with_registers(&m, version, flags);
			for (unsigned int i = 0; i < REGISTERS; i++)
				if (has_register(flags, i))
					set_now(&m, registers[i].msr, 0x1000 + i);
			for (unsigned int i = 0; i < ENCODINGS; i++) {
				unsigned int which = encodings[i].which;
				bool extended = has_register(flags, which);

				set_now(&m, PERFEVTSEL0, 0x430000u | encodings[i].encoding);
				assert_true(m.source.bound[0]);
				assert_int_equal(m.source.events[0].extra,
						 extended ? 0x1000 + which : 0);
			}
		}
}

static void fixed_counters_have_none(void **state)
{
	struct machine m;

	(void)state;
	start_responses(&m, 0x10);
	set_now(&m, FIXED_CTR_CTRL, 0x333);
	set_now(&m, GLOBAL_CTRL, FIXED_ON | 1);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(m.source.events[VPMU_FIXED + i].extra, 0);
	calls(&m);
	set_now(&m, OFFCORE_RSP0, 0x20);
	assert_int_equal(m.source.binds, 1);
}

static void changed_while_counting(void **state)
{
	struct machine m;

	(void)state;
	start_responses(&m, 0x10);
	happen(&m, 0, 5);
	set_now(&m, OFFCORE_RSP0, 0x20);
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(m.source.events[0].extra, 0x20);
	assert_int_equal(get(&m, PMC0), 5);
	happen(&m, 0, 7);
	assert_int_equal(get(&m, PMC0), 12);
}

static void overflow_before_the_change(void **state)
{
	struct machine m;

	(void)state;
	start_responses(&m, 0x10);
	set_now(&m, A_PMC0, MAX_48);
	set_now(&m, PERFEVTSEL0, RESPONSE_0 | EVTSEL_INT);
	happen(&m, 0, 3);
	set(&m, OFFCORE_RSP0, 0x20);
	assert_int_equal(vpmu_service(&m.pmu) & VPMU_PMI, VPMU_PMI);
	assert_int_equal(get(&m, PMC0), 2);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(m.source.events[0].extra, 0x20);
}

static void changed_and_back(void **state)
{
	struct machine m;

	(void)state;
	start_responses(&m, 0x10);
	set_now(&m, OFFCORE_RSP0, 0x10);
	assert_int_equal(calls(&m), 0);
	set(&m, OFFCORE_RSP0, 0x20);
	set_now(&m, OFFCORE_RSP0, 0x10);
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
}

static void others_untouched(void **state)
{
	struct machine m;

	(void)state;
	start_responses(&m, 0x10);
	set_now(&m, PERFEVTSEL0 + 1, RESPONSE_1);
	set_now(&m, PERFEVTSEL0 + 2, BRANCHES);
	calls(&m);
	set_now(&m, OFFCORE_RSP1, 0x30);
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(m.source.events[0].extra, 0x10);
	assert_int_equal(m.source.events[1].extra, 0x30);
	assert_int_equal(m.source.events[2].extra, 0);
	calls(&m);
	set_now(&m, PEBS_LD_LAT, 30);
	set_now(&m, PEBS_FRONTEND, 0x11);
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
}

static void changed_while_stopped(void **state)
{
	struct machine m;

	(void)state;
	start_responses(&m, 0x10);
	set_now(&m, GLOBAL_CTRL, 0);
	calls(&m);
	set_now(&m, OFFCORE_RSP0, 0x20);
	assert_int_equal(calls(&m), 0);
	set_now(&m, GLOBAL_CTRL, 1);
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(m.source.events[0].extra, 0x20);
}

static void refused_then_counted(void **state)
{
	struct machine m;

	(void)state;
	start_with_registers(&m, 3, VPMU_EVENT_REGISTERS);
	m.source.refuses = refuses_response;
	set_now(&m, OFFCORE_RSP0, REFUSED_RESPONSE);
	set_now(&m, PERFEVTSEL0, RESPONSE_0);
	assert_int_equal(m.source.refusals, 1);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	set_now(&m, OFFCORE_RSP0, 0x10);
	assert_true(m.source.bound[0]);
	happen(&m, 0, 3);
	assert_int_equal(get(&m, PMC0), 3);
}

static void counted_then_refused(void **state)
{
	struct machine m;

	(void)state;
	start_responses(&m, 0x10);
	m.source.refuses = refuses_response;
	happen(&m, 0, 3);
	set_now(&m, OFFCORE_RSP0, REFUSED_RESPONSE);
	assert_int_equal(m.source.refusals, 1);
	assert_false(m.source.bound[0]);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	happen(&m, 0, 3);
	assert_int_equal(get(&m, PMC0), 3);
	/* And once more, asked once. */
	set_now(&m, PMC0, 0);
	set_now(&m, GLOBAL_CTRL, 0);
	set_now(&m, GLOBAL_CTRL, 1);
	assert_int_equal(m.source.refusals, 1);
}

static const struct CMUnitTest tests[] = {
	{ .name = "an event register that the PMU lacks is the host's",
	  .test_func = theirs_or_the_hosts },
	{ .name = "they keep what is written, and are 0 after RESET",
	  .test_func = keep_their_values },
	{ .name = "each one's value is part of the events of its encodings, and of no others",
	  .test_func = belong_to_encodings },
	{ .name = "a fixed counter's event has none", .test_func = fixed_counters_have_none },
	{ .name = "a counter whose event register changes is bound anew and keeps its value",
	  .test_func = changed_while_counting },
	{ .name = "an overflow before the change is found",
	  .test_func = overflow_before_the_change },
	{ .name = "the same value, or another and back again, costs no binding",
	  .test_func = changed_and_back },
	{ .name = "counters of other events stay as they are", .test_func = others_untouched },
	{ .name = "a stopped counter is bound anew when it starts",
	  .test_func = changed_while_stopped },
	{ .name = "a value that the source refuses, then one that it counts, counts",
	  .test_func = refused_then_counted },
	{ .name = "a value that it counts, then one that it refuses, counts no longer",
	  .test_func = counted_then_refused },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
