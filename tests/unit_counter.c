/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a counter: what it counts, when it overflows, and what the
 * library asks of its source for it, which is as little as possible.
 */
#include "machine.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FREEZE_LBRS      (UINT64_C(1) << 11)
#define FREEZE_PERFMON   (UINT64_C(1) << 12)
#define SAMPLED_BRANCHES (BRANCHES | EVTSEL_INT)

static bool refuses_branches(const struct vpmu_event *event)
{
	return event->id == VPMU_EVENT_BRANCHES;
}

static void counts(void **state)
{
	struct machine m;
	uint64_t value;

	(void)state;
	start_counting(&m, BRANCHES, 100);
	assert_int_equal(get(&m, PMC0), 100);
	happen(&m, 0, 11);
	assert_int_equal(get(&m, PMC0), 111);
	assert_int_equal(get(&m, A_PMC0), 111);
	assert_int_equal(vpmu_rdpmc(&m.pmu, 0, true, &value), VPMU_DONE);
	assert_int_equal(value, 111);
}

static void fixed_counts(void **state)
{
	struct machine m;
	uint64_t value;

	(void)state;
	start_version(&m, 3);
	set_now(&m, GLOBAL_CTRL, FIXED_ON);
	set_now(&m, FIXED_CTR_CTRL, 0x020);
	set_now(&m, FIXED_CTR0 + 1, 50);
	happen(&m, VPMU_FIXED + 1, 5);
	assert_int_equal(get(&m, FIXED_CTR0 + 1), 55);
	assert_int_equal(vpmu_rdpmc(&m.pmu, 0x40000001, true, &value), VPMU_DONE);
	assert_int_equal(value, 55);
	assert_int_equal(get(&m, FIXED_CTR0), 0);
}

static void counts_when_enabled(void **state)
{
	static const struct {
		uint64_t evtsel, global_ctrl;
		bool counts;
	} cases[] = {
		{ 0x4300c4, 1, true },  { 0x4100c4, 1, true },  { 0x4200c4, 1, true },
		{ 0x4000c4, 1, false }, { 0x0300c4, 1, false }, { 0x4300c4, 2, false },
		{ 0x4300c4, 0, false },
	};
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start_version(&m, 3);
		set_now(&m, GLOBAL_CTRL, cases[i].global_ctrl);
		set_now(&m, PERFEVTSEL0, cases[i].evtsel);
		happen(&m, 0, 3);
		assert_int_equal(get(&m, PMC0), cases[i].counts ? 3 : 0);
		assert_int_equal(vpmu_active(&m.pmu), cases[i].counts ? 1 : 0);
		assert_int_equal(m.source.bound[0], cases[i].counts);
	}
}

static void fixed_counts_when_enabled(void **state)
{
	struct machine m;

	(void)state;
	for (uint64_t field = 0; field < 4; field++)
		for (uint64_t global = 0; global < 2; global++) {
			start_version(&m, 2);
			set_now(&m, FIXED_CTR_CTRL, field << 8);
			set_now(&m, GLOBAL_CTRL, global << 34);
			assert_int_equal(m.source.bound[34], field && global);
			assert_int_equal(vpmu_active(&m.pmu), field && global ? 1ull << 34 : 0);
		}
}

static void check_event(unsigned int version, uint64_t evtsel, struct vpmu_event expected)
{
	const struct vpmu_event *event;
	struct machine m;

	start_version(&m, version);
	set_now(&m, PERFEVTSEL0 + 1, evtsel);
	event = &m.source.events[1];
	assert_true(m.source.bound[1]);
	assert_int_equal(event->id, expected.id);
	assert_int_equal(event->select, expected.select);
	assert_int_equal(event->umask, expected.umask);
	assert_int_equal(event->cmask, expected.cmask);
	assert_int_equal(event->invert, expected.invert);
	assert_int_equal(event->edge, expected.edge);
	assert_int_equal(event->user, expected.user);
	assert_int_equal(event->kernel, expected.kernel);
}

static void architectural_events(void **state)
{
	static const struct {
		uint16_t select;
		uint8_t umask;
	} encodings[] = { { 0x3c, 0x00 }, { 0xc0, 0x00 }, { 0x3c, 0x01 }, { 0x2e, 0x4f },
			  { 0x2e, 0x41 }, { 0xc4, 0x00 }, { 0xc5, 0x00 }, { 0xa4, 0x01 } };

	(void)state;
	for (unsigned int id = 0; id < VPMU_EVENT_ARCHITECTURAL; id++) {
		struct vpmu_event event = { .select = encodings[id].select,
					    .umask = encodings[id].umask,
					    .user = true,
					    .kernel = true };
		uint64_t evtsel =
			0x430000u | (unsigned int)encodings[id].umask << 8 | encodings[id].select;

		event.id = (enum vpmu_event_id)id;
		check_event(5, evtsel, event);
		if (id == VPMU_EVENT_TOPDOWN_SLOTS)
			event.id = VPMU_EVENT_RAW;
		check_event(4, evtsel, event);
	}
}

static void event_fields(void **state)
{
	struct vpmu_event event = { .id = VPMU_EVENT_RAW, .select = 0xd0, .umask = 0x81 };

	(void)state;
	event.user = true;
	check_event(3, 0x4181d0, event);
	event.user = false;
	event.kernel = true;
	check_event(3, 0x4281d0, event);
	event.edge = true;
	check_event(3, 0x4681d0, event);
	event.cmask = 0xff;
	event.invert = true;
	check_event(3, 0xffc681d0, event);
}

static void invert_alone(void **state)
{
	struct vpmu_event event = { .id = VPMU_EVENT_CYCLES, .select = 0x3c, .kernel = true };
	struct machine m;

	(void)state;
	check_event(3, 0xc2003c, event);
	start_counting(&m, 0x43003c, 0);
	set_now(&m, PERFEVTSEL0, 0xc3003c);
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
}

static void fixed_events(void **state)
{
	static const enum vpmu_event_id ids[] = { VPMU_EVENT_INSTRUCTIONS, VPMU_EVENT_CYCLES,
						  VPMU_EVENT_TSC_CYCLES, VPMU_EVENT_TOPDOWN_SLOTS };
	struct vpmu_config config = vpmu_config_intel(5, all_events(5));
	struct machine m;

	(void)state;
	config.fixed = 4;
	start_machine(&m, &config);
	set_now(&m, FIXED_CTR_CTRL, 0x3213);
	set_now(&m, GLOBAL_CTRL, UINT64_C(0xf00000000));
	for (unsigned int i = 0; i < 4; i++) {
		const struct vpmu_event *event = &m.source.events[VPMU_FIXED + i];

		assert_true(m.source.bound[VPMU_FIXED + i]);
		assert_int_equal(event->id, ids[i]);
		assert_int_equal(event->select | event->umask | event->cmask, 0);
		assert_int_equal(event->user, i != 1);
		assert_int_equal(event->kernel, i != 2);
		assert_false(event->edge || event->invert);
	}
}

static void overflows_at_the_width(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, MAX_48 - 1);
	happen(&m, 0, 1);
	assert_int_equal(get(&m, PMC0), MAX_48);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	happen(&m, 0, 1);
	assert_int_equal(get(&m, PMC0), 0);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	happen(&m, 0, 5);
	assert_int_equal(get(&m, PMC0), 5);
	assert_false(vpmu_service(&m.pmu));
}

static void overflows_at_any_width(void **state)
{
	struct vpmu_config config = vpmu_config_intel(2, all_events(2));
	struct machine m;

	(void)state;
	for (unsigned int width = 32; width <= 48; width++) {
		uint64_t max = (UINT64_C(1) << width) - 1;

		config.general_width = (uint8_t)width;
		start_machine(&m, &config);
		set_now(&m, A_PMC0, max - 9);
		set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
		assert_int_equal(m.source.alarms[0], m.source.totals[0] + 10);
		happen(&m, 0, 9);
		assert_int_equal(ring(&m), 0);
		happen(&m, 0, 1);
		assert_int_equal(ring(&m), 1);
		assert_true(vpmu_service(&m.pmu));
		assert_int_equal(get(&m, PMC0), 0);
		assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	}
}

static void wraps_many_times(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 4 * (MAX_48 + 1) + 3);
	vpmu_look(&m.pmu, 0);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 2);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
}

static void pmi_needs_int(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	start_counting(&m, BRANCHES, MAX_48);
	happen(&m, 0, 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_false(vpmu_service(&m.pmu));
}

static void fixed_pmi(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_now(&m, GLOBAL_CTRL, FIXED_ON);
	set_now(&m, FIXED_CTR_CTRL, 0xb3);
	set_now(&m, FIXED_CTR0, MAX_48);
	set_now(&m, FIXED_CTR0 + 1, MAX_48);
	happen(&m, VPMU_FIXED, 1);
	vpmu_look(&m.pmu, VPMU_FIXED);
	assert_false(vpmu_service(&m.pmu));
	happen(&m, VPMU_FIXED + 1, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), UINT64_C(0x300000000));
}

static void one_pmi_for_many(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	for (unsigned int i = 0; i < 4; i++) {
		set_now(&m, PMC0 + i, ~UINT64_C(0));
		set_now(&m, PERFEVTSEL0 + i, SAMPLED_BRANCHES);
		happen(&m, i, 1);
	}
	assert_int_equal(ring(&m), 4);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 0xf);
}

static void no_alarm_without_pmi(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, MAX_48 - 9);
	assert_int_equal(m.source.alarms[0], VPMU_NO_ALARM);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	assert_int_equal(m.source.alarms[0], m.source.totals[0] + 10);
	calls(&m);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	assert_int_equal(m.source.binds + m.source.unbinds + m.source.alarm_calls, 0);
	/* The alarm that is left goes off: it asks for nothing. */
	happen(&m, 0, 10);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], VPMU_NO_ALARM);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
}

static void no_fixed_alarm_without_pmi(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_now(&m, GLOBAL_CTRL, FIXED_ON);
	set_now(&m, FIXED_CTR0, MAX_48 - 9);
	set_now(&m, FIXED_CTR_CTRL, 0x3);
	assert_int_equal(m.source.alarms[VPMU_FIXED], VPMU_NO_ALARM);
	set_now(&m, FIXED_CTR_CTRL, 0xb);
	assert_int_equal(m.source.alarms[VPMU_FIXED], m.source.totals[VPMU_FIXED] + 10);
	calls(&m);
	set_now(&m, FIXED_CTR_CTRL, 0x3);
	assert_int_equal(m.source.alarm_calls, 0);
	happen(&m, VPMU_FIXED, 10);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[VPMU_FIXED], VPMU_NO_ALARM);
}

static void alarm_out_of_reach(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	m.source.totals[0] = UINT64_MAX - 10;
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	assert_int_equal(m.source.alarms[0], VPMU_NO_ALARM);
	happen(&m, 0, 10);
	assert_int_equal(get(&m, PMC0), 10);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
}

static void alarm_moves_after_overflow(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 3);
	vpmu_look(&m.pmu, 0);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], m.source.totals[0] - 2 + MAX_48 + 1);
	assert_int_equal(m.source.total_calls, 1);
	assert_int_equal(m.source.alarm_calls, 1);
}

static void early_alarm(void **state)
{
	struct machine m;
	uint64_t alarm;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48 - 9);
	alarm = m.source.alarms[0];
	m.source.alarms[0] = VPMU_NO_ALARM;
	happen(&m, 0, 4);
	vpmu_look(&m.pmu, 0);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.alarms[0], alarm);
	happen(&m, 0, 6);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
}

static void stale_hint(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 1);
	vpmu_look(&m.pmu, 0);
	vpmu_look(&m.pmu, 0);
	assert_true(vpmu_service(&m.pmu));
	vpmu_look(&m.pmu, 0);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 0);
	set_now(&m, GLOBAL_CTRL, 0);
	set_now(&m, PMC0, ~UINT64_C(0));
	happen(&m, 0, 100);
	calls(&m);
	vpmu_look(&m.pmu, 0);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), MAX_48);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(calls(&m), 0);
}

static void hint_at_nothing(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 0);
	for (unsigned int i = 1; i < 300; i++)
		vpmu_look(&m.pmu, i);
	vpmu_look(&m.pmu, ~0u);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(calls(&m), 0);
	start_version(&m, 0);
	for (unsigned int i = 0; i < 300; i++)
		vpmu_look(&m.pmu, i);
	assert_false(vpmu_service(&m.pmu));
}

static void found_by_status(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(ring(&m), 0);
}

static void found_by_read(void **state)
{
	struct machine m;
	uint64_t value;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 4);
	assert_int_equal(vpmu_rdpmc(&m.pmu, 0, true, &value), VPMU_DONE);
	assert_int_equal(value, 3);
	assert_true(vpmu_service(&m.pmu));
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(ring(&m), 0);
}

static void found_by_stop(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 1);
	set(&m, GLOBAL_CTRL, 0);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(get(&m, PMC0), 0);
	/* Its alarm is late: nothing comes of it. */
	happen(&m, 0, 7);
	assert_int_equal(ring(&m), 1);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, PMC0), 0);
}

static void old_int_decides(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, MAX_48);
	happen(&m, 0, 1);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 1);
	set(&m, PERFEVTSEL0, BRANCHES);
	assert_true(vpmu_service(&m.pmu));
}

static void old_fixed_pmi_decides(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_now(&m, GLOBAL_CTRL, FIXED_ON);
	set_now(&m, FIXED_CTR_CTRL, 0xb);
	set_now(&m, FIXED_CTR0, MAX_48);
	happen(&m, VPMU_FIXED, 1);
	set(&m, FIXED_CTR_CTRL, 0x3);
	assert_true(vpmu_service(&m.pmu));
	set_now(&m, FIXED_CTR0, MAX_48);
	happen(&m, VPMU_FIXED, 1);
	set_now(&m, FIXED_CTR_CTRL, 0xb);
	assert_int_equal(get(&m, FIXED_CTR0), 0);
}

static void acknowledged_unseen(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, MAX_48);
	happen(&m, 0, 1);
	set_now(&m, STATUS_RESET, 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	assert_int_equal(get(&m, PMC0), 0);
}

static void rewritten_while_counting(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 0);
	happen(&m, 0, 40);
	set_now(&m, PMC0, ~UINT64_C(0) - 1);
	happen(&m, 0, 1);
	assert_int_equal(get(&m, PMC0), MAX_48);
	assert_int_equal(ring(&m), 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
}

static void rewritten_after_overflow(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 1);
	set(&m, PMC0, 77);
	assert_true(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(get(&m, PMC0), 77);
}

static void stopped_keeps_value(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 10);
	happen(&m, 0, 5);
	set_now(&m, GLOBAL_CTRL, 0);
	happen(&m, 0, 1000);
	assert_int_equal(get(&m, PMC0), 15);
	set_now(&m, GLOBAL_CTRL, 1);
	happen(&m, 0, 2);
	assert_int_equal(get(&m, PMC0), 17);
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
}

/* Counter 0 has overflowed with the freeze bits given, and its PMI is handed out. */
static void start_frozen(struct machine *m, unsigned int version, uint64_t debugctl)
{
	start_version(m, version);
	set_now(m, DEBUGCTL, debugctl);
	set_now(m, PMC0, ~UINT64_C(0));
	set_now(m, PERFEVTSEL0, SAMPLED_BRANCHES);
	set_now(m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	happen(m, 0, 1);
	happen(m, 1, 1);
	assert_int_equal(ring(m), 1);
	assert_true(vpmu_service(&m->pmu));
	happen(m, 0, 5);
	happen(m, 1, 5);
}

static void freeze_legacy(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 2; version <= 3; version++) {
		start_frozen(&m, version, FREEZE_PERFMON);
		assert_int_equal(get(&m, GLOBAL_CTRL), 0);
		assert_int_equal(get(&m, GLOBAL_STATUS), 1);
		assert_int_equal(get(&m, PMC0), 0);
		assert_int_equal(get(&m, PMC0 + 1), 1);
		assert_int_equal(vpmu_active(&m.pmu), 0);
		set_now(&m, GLOBAL_CTRL, 3);
		happen(&m, 1, 3);
		assert_int_equal(get(&m, PMC0 + 1), 4);
	}
}

static void freeze_streamlined(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 4; version <= 5; version++) {
		start_frozen(&m, version, FREEZE_PERFMON);
		assert_int_equal(get(&m, GLOBAL_CTRL), version == 4 ? 0xf : 0xff);
		assert_int_equal(get(&m, GLOBAL_STATUS), CTR_FRZ | 1);
		assert_int_equal(get(&m, PMC0), 0);
		assert_int_equal(get(&m, PMC0 + 1), 1);
		assert_int_equal(vpmu_active(&m.pmu), 0);
		set_now(&m, STATUS_RESET, CTR_FRZ | 1);
		happen(&m, 1, 3);
		assert_int_equal(get(&m, PMC0 + 1), 4);
		assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	}
}

static void freeze_not_asked(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 2; version <= 5; version++) {
		start_frozen(&m, version, 0);
		assert_int_equal(get(&m, GLOBAL_CTRL), version < 5 ? 0xf : 0xff);
		assert_int_equal(get(&m, GLOBAL_STATUS), 1);
		assert_int_equal(get(&m, PMC0), 5);
		assert_int_equal(get(&m, PMC0 + 1), 6);
	}
}

static void freeze_lbrs(void **state)
{
	struct machine m;

	(void)state;
	start_frozen(&m, 4, FREEZE_LBRS | 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), LBR_FRZ | 1);
	assert_int_equal(get(&m, DEBUGCTL), FREEZE_LBRS | 1);
	assert_int_equal(get(&m, PMC0), 5);
	start_frozen(&m, 3, FREEZE_LBRS | 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(get(&m, DEBUGCTL), FREEZE_LBRS);
	assert_int_equal(get(&m, PMC0), 5);
}

static void pmi_masks_lvtpc(void **state)
{
	static const struct {
		unsigned int version;
		uint64_t debugctl;
		unsigned int asked;
	} cases[] = { { 1, 0, VPMU_PMI | VPMU_MASK_LVTPC },
		      { 2, FREEZE_PERFMON, VPMU_PMI | VPMU_MASK_LVTPC },
		      { 3, FREEZE_LBRS, VPMU_PMI | VPMU_MASK_LVTPC | VPMU_FREEZE_LBR },
		      { 4, 0, VPMU_PMI | VPMU_MASK_LVTPC },
		      { 5, FREEZE_LBRS, VPMU_PMI | VPMU_MASK_LVTPC | VPMU_FREEZE_LBR } };
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start_version(&m, cases[i].version);
		if (cases[i].debugctl)
			set_now(&m, DEBUGCTL, cases[i].debugctl);
		set_now(&m, PMC0, ~UINT64_C(0));
		set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
		happen(&m, 0, 1);
		ring(&m);
		assert_int_equal(vpmu_service(&m.pmu), cases[i].asked);
		assert_int_equal(vpmu_service(&m.pmu), 0);
	}
}

static void first_version(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 1);
	set_now(&m, PERFEVTSEL0 + 1, SAMPLED_BRANCHES & ~(UINT64_C(1) << 22));
	assert_int_equal(vpmu_active(&m.pmu), 0);
	set_now(&m, PERFEVTSEL0 + 1, SAMPLED_BRANCHES);
	assert_int_equal(vpmu_active(&m.pmu), 2);
	set_now(&m, PMC0 + 1, 0xfffffff0);
	happen(&m, 1, 15);
	assert_int_equal(get(&m, PMC0 + 1), UINT64_C(0xffffffffff));
	assert_int_equal(ring(&m), 0);
	happen(&m, 1, 3);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu) & VPMU_PMI);
	assert_int_equal(get(&m, PMC0 + 1), 2);
	/* There is no status that an overflow would have to be acknowledged in. */
	assert_int_equal(vpmu_status(&m.pmu), 0);
	set_now(&m, PMC0 + 1, 0xffffffff);
	happen(&m, 1, 1);
	ring(&m);
	assert_true(vpmu_service(&m.pmu) & VPMU_PMI);
}

static void frozen_by_software(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 4);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	happen(&m, 0, 2);
	set_now(&m, STATUS_SET, CTR_FRZ);
	happen(&m, 0, 2);
	assert_int_equal(get(&m, PMC0), 2);
	set_now(&m, STATUS_RESET, CTR_FRZ);
	happen(&m, 0, 2);
	assert_int_equal(get(&m, PMC0), 4);
}

static void status_set_is_quiet(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 4);
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	set_now(&m, STATUS_SET, 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_false(vpmu_service(&m.pmu));
}

static void accesses_do_not_bind(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	get(&m, PMC0);
	get(&m, GLOBAL_STATUS);
	assert_int_equal(calls(&m), 0);
	assert_int_equal(vpmu_active(&m.pmu), 1);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.binds, 1);
	calls(&m);
	set(&m, PERFEVTSEL0, INSTRUCTIONS);
	set(&m, GLOBAL_CTRL, 0);
	set(&m, PMC0, 0);
	assert_int_equal(m.source.binds + m.source.unbinds + m.source.alarm_calls, 0);
	assert_int_equal(vpmu_active(&m.pmu), 1);
}

static void pmi_cycle(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	for (unsigned int i = 0; i < 10; i++) {
		happen(&m, 0, 1);
		assert_int_equal(ring(&m), 1);
		assert_true(vpmu_service(&m.pmu));
		set_now(&m, GLOBAL_CTRL, 0);
		assert_int_equal(get(&m, GLOBAL_STATUS), 1);
		set_now(&m, PMC0, ~UINT64_C(0));
		set_now(&m, STATUS_RESET, 1);
		set_now(&m, GLOBAL_CTRL, 0xf);
		assert_int_equal(m.source.binds + m.source.unbinds, 0);
		/* Overflow, stop, start. */
		assert_int_equal(m.source.total_calls, 3);
		/* Far away after the overflow, near after the start. */
		assert_int_equal(m.source.alarm_calls, 2);
		calls(&m);
	}
}

static void changes_undone(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 0);
	happen(&m, 0, 3);
	set(&m, GLOBAL_CTRL, 0);
	set(&m, GLOBAL_CTRL, 1);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(calls(&m), 0);
	set(&m, PERFEVTSEL0, INSTRUCTIONS);
	set(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.binds + m.source.unbinds + m.source.alarm_calls, 0);
	assert_int_equal(get(&m, PMC0), 3);
}

static void same_values(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 0);
	set(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	set(&m, GLOBAL_CTRL, get(&m, GLOBAL_CTRL));
	set(&m, FIXED_CTR_CTRL, get(&m, FIXED_CTR_CTRL));
	set(&m, DEBUGCTL, FREEZE_PERFMON);
	set(&m, STATUS_RESET, 0);
	set(&m, PMC0 + 1, 5);
	assert_int_equal(m.pmu.dirty, 0);
	assert_int_equal(calls(&m), 0);
	set(&m, GLOBAL_CTRL, get(&m, GLOBAL_CTRL) ^ 4);
	assert_int_equal(m.pmu.dirty, 4);
}

static void idle_service(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 0);
	for (unsigned int i = 0; i < 100; i++) {
		happen(&m, 0, 100);
		assert_false(vpmu_service(&m.pmu));
	}
	assert_int_equal(calls(&m), 0);
}

static void others_untouched(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 0);
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	calls(&m);
	set_now(&m, PERFEVTSEL0 + 1, LOADS);
	/* The old event: value, end. The new one: bind, value. */
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(calls(&m), 4);
}

static void stopped_event_changes(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 0);
	set_now(&m, GLOBAL_CTRL, 0);
	calls(&m);
	set_now(&m, PERFEVTSEL0, INSTRUCTIONS);
	set_now(&m, PERFEVTSEL0, LOADS);
	set_now(&m, PERFEVTSEL0, 0);
	assert_int_equal(calls(&m), 0);
	set_now(&m, PERFEVTSEL0, LOADS);
	set_now(&m, GLOBAL_CTRL, 1);
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(m.source.unbinds, 1);
}

static void release(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 0);
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	happen(&m, 0, 2);
	assert_int_equal(vpmu_release_idle(&m.pmu), 0);
	set_now(&m, GLOBAL_CTRL, 2);
	assert_int_equal(vpmu_release_idle(&m.pmu), 1);
	assert_int_equal(vpmu_release_idle(&m.pmu), 0);
	assert_false(m.source.bound[0]);
	assert_true(m.source.bound[1]);
	set_now(&m, GLOBAL_CTRL, 3);
	assert_true(m.source.bound[0]);
	happen(&m, 0, 2);
	assert_int_equal(get(&m, PMC0), 4);
}

static void release_before_service(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 0);
	set(&m, GLOBAL_CTRL, 0);
	assert_int_equal(vpmu_release_idle(&m.pmu), 0);
	assert_false(vpmu_service(&m.pmu));
	set(&m, GLOBAL_CTRL, 1);
	assert_int_equal(vpmu_release_idle(&m.pmu), 0);
}

static void refused(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	m.source.refuses = refuses_branches;
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	assert_int_equal(m.source.refusals, 1);
	happen(&m, 0, 10);
	vpmu_look(&m.pmu, 0);
	set_now(&m, GLOBAL_CTRL, 0);
	set_now(&m, GLOBAL_CTRL, 1);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	assert_int_equal(get(&m, PMC0), 0);
	assert_int_equal(calls(&m), 1);
	set_now(&m, PERFEVTSEL0, INSTRUCTIONS);
	happen(&m, 0, 10);
	assert_int_equal(get(&m, PMC0), 10);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	assert_int_equal(m.source.refusals, 1);
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(get(&m, PMC0), 10);
}

static void refused_is_written(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	m.source.refuses = refuses_all;
	set_now(&m, PERFEVTSEL0, SAMPLED_BRANCHES);
	set_now(&m, PMC0, 42);
	happen(&m, 0, 10);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	assert_int_equal(get(&m, PMC0), 42);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	assert_int_equal(vpmu_release_idle(&m.pmu), 0);
	vpmu_reset(&m.pmu);
	assert_int_equal(calls(&m), 1);
}

static void left_out(void **state)
{
	struct vpmu_config config = vpmu_config_intel(3, 0x127);
	struct machine m;

	(void)state;
	start_machine(&m, &config);
	set_now(&m, PERFEVTSEL0, 0x43412e);
	assert_int_equal(m.source.events[0].id, VPMU_EVENT_LLC_MISSES);
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(m.source.unbinds, 1);
	happen(&m, 0, 10);
	assert_int_equal(get(&m, PMC0), 0);
	set_now(&m, GLOBAL_CTRL, 0);
	set_now(&m, GLOBAL_CTRL, 1);
	assert_int_equal(calls(&m), 2);
}

static void reset_unbinds(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	set_now(&m, PERFEVTSEL0 + 1, 0);
	calls(&m);
	happen(&m, 0, 1);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	vpmu_look(&m.pmu, 0);
	vpmu_reset(&m.pmu);
	assert_int_equal(m.source.unbinds, 2);
	calls(&m);
	vpmu_look(&m.pmu, 0);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
	assert_int_equal(get(&m, PMC0), 0);
	assert_int_equal(calls(&m), 0);
}

#define HINTS 2000

/* Hints one counter after the other, each once the one before has been taken. */
struct hinter {
	struct vpmu *pmu;
	atomic_uint sent, taken;
};

static void *hint(void *opaque)
{
	struct hinter *hinter = opaque;

	for (unsigned int i = 0; i < HINTS; i++) {
		while (atomic_load(&hinter->taken) < i)
			sched_yield();
		vpmu_look(hinter->pmu, i % 4);
		atomic_fetch_add(&hinter->sent, 1);
	}
	return NULL;
}

static void hints_from_a_thread(void **state)
{
	struct hinter hinter;
	pthread_t thread;
	struct machine m;

	(void)state;
	start_version(&m, 3);
	for (unsigned int i = 0; i < 4; i++)
		set_now(&m, PERFEVTSEL0 + i, SAMPLED_BRANCHES);
	calls(&m);
	hinter.pmu = &m.pmu;
	atomic_init(&hinter.sent, 0);
	atomic_init(&hinter.taken, 0);
	assert_int_equal(pthread_create(&thread, NULL, hint, &hinter), 0);
	while (m.source.total_calls < HINTS) {
		unsigned int before = m.source.total_calls;

		assert_false(vpmu_service(&m.pmu));
		if (m.source.total_calls == before)
			sched_yield();
		else
			atomic_fetch_add(&hinter.taken, 1);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(atomic_load(&hinter.sent), HINTS);
	assert_int_equal(m.source.alarm_calls, HINTS);
}

static void *hint_wildly(void *opaque)
{
	struct hinter *hinter = opaque;

	while (!atomic_load(&hinter->taken))
		for (unsigned int i = 0; i < 64; i++)
			vpmu_look(hinter->pmu, i);
	return NULL;
}

static void wild_hints_change_nothing(void **state)
{
	struct hinter hinter;
	pthread_t thread;
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, 0);
	hinter.pmu = &m.pmu;
	atomic_init(&hinter.taken, 0);
	assert_int_equal(pthread_create(&thread, NULL, hint_wildly, &hinter), 0);
	for (unsigned int i = 0; i < 10000; i++) {
		set_now(&m, PMC0, 0);
		happen(&m, 0, 3);
		assert_false(vpmu_service(&m.pmu));
		set_now(&m, GLOBAL_CTRL, i % 2);
		assert_int_equal(get(&m, PMC0), i % 2 ? 0 : 3);
	}
	atomic_store(&hinter.taken, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(get(&m, GLOBAL_STATUS), 0);
}

static const struct CMUnitTest tests[] = {
	{ .name = "a counting counter reads as its value plus what has happened since",
	  .test_func = counts },
	{ .name = "a fixed counter counts, by its MSR and by RDPMC", .test_func = fixed_counts },
	{ .name = "a general counter counts with EN, USR or OS, and its GLOBAL_CTRL bit set",
	  .test_func = counts_when_enabled },
	{ .name = "a fixed counter counts with an enable and its GLOBAL_CTRL bit set",
	  .test_func = fixed_counts_when_enabled },
	{ .name = "architectural events have names, topdown slots from version 5 on",
	  .test_func = architectural_events },
	{ .name = "levels, edge, invert and counter mask reach the source",
	  .test_func = event_fields },
	{ .name = "invert without a counter mask means nothing", .test_func = invert_alone },
	{ .name = "fixed counters count instructions, cycles, reference cycles and topdown slots",
	  .test_func = fixed_events },
	{ .name = "a counter overflows when it passes its highest value, and goes on from zero",
	  .test_func = overflows_at_the_width },
	{ .name = "a counter of any width overflows at the exact event",
	  .test_func = overflows_at_any_width },
	{ .name = "a counter that wraps many times has one status bit and one PMI",
	  .test_func = wraps_many_times },
	{ .name = "an overflow asks for a PMI if INT is set, and once",
	  .test_func = pmi_needs_int },
	{ .name = "a fixed counter's overflow asks for a PMI if its PMI bit is set",
	  .test_func = fixed_pmi },
	{ .name = "overflows that are found together are one PMI", .test_func = one_pmi_for_many },
	{ .name = "a counter gets an alarm with INT, and one that is left without INT asks for "
		  "nothing",
	  .test_func = no_alarm_without_pmi },
	{ .name = "so it is with a fixed counter's PMI bit",
	  .test_func = no_fixed_alarm_without_pmi },
	{ .name = "an alarm beyond the highest total is none", .test_func = alarm_out_of_reach },
	{ .name = "an overflow costs one look at the total and one new alarm",
	  .test_func = alarm_moves_after_overflow },
	{ .name = "an alarm that came early is set again", .test_func = early_alarm },
	{ .name = "a stale hint changes nothing", .test_func = stale_hint },
	{ .name = "a hint at what does not count is ignored", .test_func = hint_at_nothing },
	{ .name = "a read of GLOBAL_STATUS finds an overflow that no hint has told of",
	  .test_func = found_by_status },
	{ .name = "a read of the counter finds an overflow that no hint has told of",
	  .test_func = found_by_read },
	{ .name = "stopping a counter finds an overflow that no hint has told of",
	  .test_func = found_by_stop },
	{ .name = "whether an overflow asks for a PMI was decided when it happened",
	  .test_func = old_int_decides },
	{ .name = "the same holds for a fixed counter's PMI bit",
	  .test_func = old_fixed_pmi_decides },
	{ .name = "STATUS_RESET clears an overflow that no hint has told of",
	  .test_func = acknowledged_unseen },
	{ .name = "a counter that is written while it counts stays exact",
	  .test_func = rewritten_while_counting },
	{ .name = "a write does not hide an overflow before it",
	  .test_func = rewritten_after_overflow },
	{ .name = "a stopped counter keeps its value and its binding",
	  .test_func = stopped_keeps_value },
	{ .name = "freeze on PMI clears GLOBAL_CTRL in versions 2 and 3",
	  .test_func = freeze_legacy },
	{ .name = "freeze on PMI sets CTR_FRZ from version 4 on, and STATUS_RESET ends it",
	  .test_func = freeze_streamlined },
	{ .name = "without freeze on PMI the counters go on", .test_func = freeze_not_asked },
	{ .name = "freeze LBRs on PMI sets LBR_FRZ, or clears DEBUGCTL.LBR before version 4",
	  .test_func = freeze_lbrs },
	{ .name = "a PMI asks the host to mask LVTPC, and to stop branch records that freeze",
	  .test_func = pmi_masks_lvtpc },
	{ .name = "in version 1 a counter needs EN alone, and its overflow is a PMI and no status",
	  .test_func = first_version },
	{ .name = "CTR_FRZ set by software stops the counters", .test_func = frozen_by_software },
	{ .name = "STATUS_SET raises no PMI", .test_func = status_set_is_quiet },
	{ .name = "a guest's access never binds, unbinds or moves an alarm",
	  .test_func = accesses_do_not_bind },
	{ .name = "a PMI handler's stop, reload and start never bind or unbind",
	  .test_func = pmi_cycle },
	{ .name = "changes that are undone before the service cost nothing",
	  .test_func = changes_undone },
	{ .name = "writing the values that are there leaves nothing to do",
	  .test_func = same_values },
	{ .name = "a service with nothing changed asks nothing", .test_func = idle_service },
	{ .name = "a change of one counter leaves the others alone",
	  .test_func = others_untouched },
	{ .name = "a stopped counter's event is bound when it starts, not before",
	  .test_func = stopped_event_changes },
	{ .name = "releasing idle counters unbinds those that are stopped", .test_func = release },
	{ .name = "a counter that is about to stop or start is not idle",
	  .test_func = release_before_service },
	{ .name = "an event that the source refuses is asked for once and counts nothing",
	  .test_func = refused },
	{ .name = "a refused counter is not active, can be written and never overflows",
	  .test_func = refused_is_written },
	{ .name = "an event that the configuration leaves out is shown to the source and counts "
		  "nothing",
	  .test_func = left_out },
	{ .name = "RESET ends all bindings and forgets hints and PMIs",
	  .test_func = reset_unbinds },
	{ .name = "no hint from another thread is lost", .test_func = hints_from_a_thread },
	{ .name = "wild hints from another thread change nothing",
	  .test_func = wild_hints_change_nothing },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
