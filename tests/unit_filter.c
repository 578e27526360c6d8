/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What lets a counter count besides its registers: the host's event filter (Linux,
 * Documentation/virt/kvm/api.rst, KVM_SET_PMU_EVENT_FILTER), and the source, which may be
 * asked again. Both are heeded at the next service, and no count is lost.
 */
#include "machine.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <vpmu/filter.h>

#include <cmocka.h>

#define SAMPLED_BRANCHES (BRANCHES | EVTSEL_INT)

/* Entries. */
#define ENTRY_INSTRUCTIONS 0xc0
#define ENTRY_BRANCHES     0xc4
#define ENTRY_LOADS        0x81d0

#define EVERY_ENTRY(array) (uint32_t)(sizeof(array) / sizeof((array)[0])), (array)

static struct vpmu_filter list(enum vpmu_filter_action action, uint32_t count,
			       const uint64_t *entries)
{
	return (struct vpmu_filter){ .action = action, .count = count, .entries = entries };
}

static struct vpmu_filter masked_list(enum vpmu_filter_action action, uint32_t count,
				      const uint64_t *entries)
{
	struct vpmu_filter filter = list(action, count, entries);

	filter.masked = true;
	return filter;
}

static void set_filter(struct machine *m, const struct vpmu_filter *filter)
{
	assert_int_equal(vpmu_set_filter(&m->pmu, filter), VPMU_OK);
}

static void set_filter_now(struct machine *m, const struct vpmu_filter *filter)
{
	set_filter(m, filter);
	assert_false(vpmu_service(&m->pmu));
}

/* Does general counter 0 count the event under the filter? */
static bool counts(struct machine *m, uint64_t evtsel)
{
	set_now(m, PERFEVTSEL0, evtsel);
	return vpmu_active(&m->pmu) & 1;
}

static bool amd_counts(struct machine *m, uint64_t evtsel)
{
	set_now(m, K7_EVNTSEL0, evtsel);
	return vpmu_active(&m->pmu) & 1;
}

/* --- what a filter says ----------------------------------------------------------- */

static void no_filter(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	assert_true(counts(&m, BRANCHES));
	set_filter_now(&m, NULL);
	assert_true(counts(&m, INSTRUCTIONS));
	assert_true(counts(&m, LOADS));
}

static void allow_list(void **state)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES, ENTRY_LOADS };
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_filter_now(&m, &filter);
	assert_true(counts(&m, BRANCHES));
	assert_true(counts(&m, LOADS));
	assert_false(counts(&m, INSTRUCTIONS));
	/* The unit mask counts. */
	assert_false(counts(&m, BRANCHES | 0x100));
	assert_false(counts(&m, LOADS ^ 0x100));
}

static void deny_list(void **state)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES, ENTRY_LOADS };
	struct vpmu_filter filter = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_filter_now(&m, &filter);
	assert_false(counts(&m, BRANCHES));
	assert_false(counts(&m, LOADS));
	assert_true(counts(&m, INSTRUCTIONS));
	assert_true(counts(&m, BRANCHES | 0x100));
}

static void empty_lists(void **state)
{
	struct vpmu_filter allow = list(VPMU_FILTER_ALLOW, 0, NULL);
	struct vpmu_filter deny = list(VPMU_FILTER_DENY, 0, NULL);
	struct machine m;

	(void)state;
	start_version(&m, 3);
	for (unsigned int masked = 0; masked < 2; masked++) {
		allow.masked = deny.masked = masked;
		set_filter_now(&m, &allow);
		assert_false(counts(&m, BRANCHES));
		set_filter_now(&m, &deny);
		assert_true(counts(&m, BRANCHES));
	}
}

static void conditions_do_not_matter(void **state)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES };
	static const uint64_t conditions[] = { 1u << 16, 1u << 17, 7u << 16,
					       1u << 20, 1u << 23, 0xff000000 };
	struct vpmu_filter filter = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_filter_now(&m, &filter);
	for (unsigned int i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		assert_false(counts(&m, 0x4100c4 | conditions[i]));
		assert_true(counts(&m, 0x4100c0 | conditions[i]));
	}
}

static void plain_entries_with_more(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	for (unsigned int n = 16; n < 64; n++) {
		const uint64_t entry = ENTRY_BRANCHES | UINT64_C(1) << n;
		struct vpmu_filter filter = list(VPMU_FILTER_DENY, 1, &entry);

		set_filter_now(&m, &filter);
		assert_true(counts(&m, BRANCHES));
		set_now(&m, PERFEVTSEL0, 0);
		set_filter_now(&m, NULL);
	}
}

static void masked_entries(void **state)
{
	static const struct {
		uint8_t mask, match, umask;
		bool matches;
	} cases[] = {
		{ 0xff, 0x81, 0x81, true },
		{ 0xff, 0x81, 0x82, false },
		{ 0x80, 0x80, 0x82, true },
		{ 0x80, 0x80, 0x02, false },
		{ 0x00, 0x00, 0xff, true },
		{ 0x00, 0x00, 0x00, true },
		/* A match outside of its mask fits nothing. */
		{ 0x0f, 0x81, 0x81, false },
		{ 0x00, 0x01, 0x01, false },
	};
	struct machine m;

	(void)state;
	start_version(&m, 3);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t entry =
			vpmu_filter_entry(0xd0, cases[i].mask, cases[i].match, false);
		struct vpmu_filter filter = masked_list(VPMU_FILTER_ALLOW, 1, &entry);
		uint64_t evtsel = 0x4300d0u | (uint64_t)cases[i].umask << 8;

		set_filter_now(&m, &filter);
		assert_int_equal(counts(&m, evtsel), cases[i].matches);
		assert_false(counts(&m, evtsel ^ 1));
		set_filter_now(&m, NULL);
	}
}

/* Either order of the two entries. */
static void exclude_entries(void **state)
{
	const uint64_t all = vpmu_filter_entry(0xd0, 0, 0, false);
	const uint64_t but_81 = vpmu_filter_entry(0xd0, 0xff, 0x81, true);
	const uint64_t orders[2][2] = { { all, but_81 }, { but_81, all } };
	struct machine m;

	(void)state;
	start_version(&m, 3);
	for (unsigned int i = 0; i < 2; i++) {
		struct vpmu_filter allow = masked_list(VPMU_FILTER_ALLOW, 2, orders[i]);
		struct vpmu_filter deny = masked_list(VPMU_FILTER_DENY, 2, orders[i]);

		set_filter_now(&m, &allow);
		assert_true(counts(&m, 0x4382d0));
		assert_false(counts(&m, 0x4381d0));
		set_filter_now(&m, &deny);
		assert_false(counts(&m, 0x4382d0));
		assert_true(counts(&m, 0x4381d0));
	}
}

static void exclude_alone(void **state)
{
	const uint64_t entry = vpmu_filter_entry(0xd0, 0xff, 0x81, true);
	struct vpmu_filter allow = masked_list(VPMU_FILTER_ALLOW, 1, &entry);
	struct vpmu_filter deny = masked_list(VPMU_FILTER_DENY, 1, &entry);
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_filter_now(&m, &allow);
	assert_false(counts(&m, LOADS));
	assert_false(counts(&m, BRANCHES));
	set_filter_now(&m, &deny);
	assert_true(counts(&m, LOADS));
	assert_true(counts(&m, BRANCHES));
}

static void entry_layout(void **state)
{
	(void)state;
	assert_int_equal(vpmu_filter_entry(0x5d0, 0xa5, 0x3c, false), UINT64_C(0xa500000500003cd0));
	assert_int_equal(vpmu_filter_entry(0xd0, 0, 0, true), UINT64_C(0x00800000000000d0));
}

static void amd_selects(void **state)
{
	const uint64_t plain = UINT64_C(0x1000000c0);
	const uint64_t masked = vpmu_filter_entry(0x1c0, 0xff, 0, false);
	struct vpmu_filter filters[2];
	struct machine m;

	(void)state;
	filters[0] = list(VPMU_FILTER_DENY, 1, &plain);
	filters[1] = masked_list(VPMU_FILTER_DENY, 1, &masked);
	start_amd(&m, 1, 4);
	for (unsigned int i = 0; i < 2; i++) {
		set_filter_now(&m, &filters[i]);
		assert_false(amd_counts(&m, UINT64_C(0x1004300c0)));
		assert_true(amd_counts(&m, UINT64_C(0x0004300c0)));
		assert_true(amd_counts(&m, UINT64_C(0x3004300c0)));
	}
}

static void fixed_by_the_bitmap(void **state)
{
	static const uint64_t entries[] = { ENTRY_INSTRUCTIONS };
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_now(&m, FIXED_CTR_CTRL, 0x333);
	set_now(&m, GLOBAL_CTRL, FIXED_ON);
	for (uint32_t fixed = 0; fixed < 8; fixed++) {
		struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, EVERY_ENTRY(entries));

		/* Bits of counters that there are not mean nothing. */
		filter.fixed = fixed | 0xfffffff0;
		set_filter_now(&m, &filter);
		assert_int_equal(vpmu_active(&m.pmu), (uint64_t)fixed << 32);
		filter.action = VPMU_FILTER_DENY;
		set_filter_now(&m, &filter);
		assert_int_equal(vpmu_active(&m.pmu), (uint64_t)(7 & ~fixed) << 32);
		set_filter_now(&m, NULL);
	}
}

static void long_lists(void **state)
{
	static uint64_t entries[5000];
	struct vpmu_filter filter = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < 5000; i++)
		entries[i] = 0xffd0;
	start_version(&m, 3);
	for (unsigned int at = 0; at < 5000; at += 4999) {
		entries[at] = ENTRY_BRANCHES;
		set_filter_now(&m, &filter);
		assert_false(counts(&m, BRANCHES));
		assert_true(counts(&m, INSTRUCTIONS));
		set_filter_now(&m, NULL);
		entries[at] = 0xffd0;
	}
	filter.masked = true;
	entries[2500] = vpmu_filter_entry(0xc4, 0xff, 0, false);
	for (unsigned int i = 0; i < 5000; i++)
		entries[i] |= UINT64_C(0xff) << 56;
	set_filter_now(&m, &filter);
	assert_false(counts(&m, BRANCHES));
	assert_true(counts(&m, INSTRUCTIONS));
}

/* --- what is refused --------------------------------------------------------------- */

/* Branches are denied by the filter in force, and stay so. */
static void check_refused(struct machine *m, const struct vpmu_filter *filter,
			  enum vpmu_error error)
{
	calls(m);
	assert_int_equal(vpmu_set_filter(&m->pmu, filter), error);
	assert_string_not_equal(vpmu_error_text(m->pmu.config.vendor, error), "unknown error");
	assert_false(vpmu_service(&m->pmu));
	assert_int_equal(calls(m), 0);
	assert_int_equal(vpmu_active(&m->pmu), 0);
}

static void refuses_bits(void **state)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES };
	struct vpmu_filter in_force = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	for (unsigned int vendor = 0; vendor < 2; vendor++) {
		if (vendor)
			start_amd(&m, 2, 6);
		else
			start_version(&m, 4);
		set_filter_now(&m, &in_force);
		set_now(&m, vendor ? K7_EVNTSEL0 : PERFEVTSEL0, BRANCHES);
		for (unsigned int n = 0; n < 64; n++) {
			uint64_t several[3] = { 0xc0, UINT64_C(1) << n, 0xc0 };
			struct vpmu_filter filter = masked_list(VPMU_FILTER_ALLOW, 3, several);
			bool known = n < 16 || n >= 55 || (vendor && n >= 32 && n < 36);

			if (!known)
				check_refused(&m, &filter, VPMU_ERROR_FILTER);
			else
				assert_int_equal(vpmu_set_filter(&m.pmu, &filter), VPMU_OK);
			set_filter_now(&m, &in_force);
		}
	}
}

static void refuses_the_rest(void **state)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES };
	struct vpmu_filter in_force = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct vpmu_filter filter = in_force;
	struct machine m;

	(void)state;
	start_version(&m, 4);
	set_filter_now(&m, &in_force);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	filter.action = (enum vpmu_filter_action)2;
	check_refused(&m, &filter, VPMU_ERROR_FILTER);
	filter = list(VPMU_FILTER_ALLOW, 1, NULL);
	check_refused(&m, &filter, VPMU_ERROR_FILTER);
	for (unsigned int i = 0; i < 4; i++) {
		filter = list(VPMU_FILTER_ALLOW, 0, NULL);
		filter.reserved[i] = UINT64_C(1) << 63;
		check_refused(&m, &filter, VPMU_ERROR_RESERVED);
	}
}

static void without_a_pmu(void **state)
{
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, 0, NULL);
	struct machine m;

	(void)state;
	start_version(&m, 0);
	set_filter_now(&m, &filter);
	start_amd(&m, 0, 0);
	set_filter_now(&m, &filter);
	assert_int_equal(calls(&m), 0);
}

/* --- when it is heeded --------------------------------------------------------------- */

static void denied_while_counting(void **state)
{
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, 0, NULL);
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 100);
	happen(&m, 0, 5);
	set_filter(&m, &filter);
	/* Not before the service. */
	happen(&m, 0, 5);
	assert_int_equal(get(&m, PMC0), 110);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(vpmu_active(&m.pmu), 0);
	assert_int_equal(get(&m, PMC0), 110);
	happen(&m, 0, 5);
	assert_int_equal(get(&m, PMC0), 110);
	assert_false(vpmu_service(&m.pmu));
	/* It can be written, and stands still. */
	set_now(&m, PMC0, 7);
	happen(&m, 0, 5);
	assert_int_equal(get(&m, PMC0), 7);
}

static void overflow_before_the_service(void **state)
{
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, 0, NULL);
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	set_filter(&m, &filter);
	happen(&m, 0, 3);
	assert_true(vpmu_service(&m.pmu) & VPMU_PMI);
	assert_int_equal(get(&m, PMC0), 2);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(vpmu_active(&m.pmu), 0);
}

static void allowed_again(void **state)
{
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, 0, NULL);
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48 - 9);
	happen(&m, 0, 4);
	set_filter_now(&m, &filter);
	happen(&m, 0, 50);
	set_filter_now(&m, NULL);
	assert_int_equal(get(&m, PMC0), MAX_48 - 5);
	happen(&m, 0, 5);
	assert_int_equal(ring(&m), 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu) & VPMU_PMI);
	assert_int_equal(get(&m, PMC0), 0);
}

static void there_and_back(void **state)
{
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, 0, NULL);
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 0);
	set_filter(&m, &filter);
	set_filter_now(&m, NULL);
	assert_int_equal(m.source.binds + m.source.unbinds, 0);
	happen(&m, 0, 3);
	assert_int_equal(get(&m, PMC0), 3);
}

static void others_untouched(void **state)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES };
	struct vpmu_filter filter = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 0);
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	calls(&m);
	set_filter_now(&m, &filter);
	assert_int_equal(m.source.binds, 0);
	assert_true(m.source.unbinds <= 1);
	assert_int_equal(vpmu_active(&m.pmu), 2);
	calls(&m);
	/* The same once more. */
	set_filter_now(&m, &filter);
	assert_int_equal(calls(&m), 0);
}

static bool saw_branches;

static bool notes_branches(const struct vpmu_event *event)
{
	saw_branches |= event->id == VPMU_EVENT_BRANCHES;
	return false;
}

static void source_is_not_asked(void **state)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES };
	struct vpmu_filter filter = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	start_version(&m, 3);
	saw_branches = false;
	m.source.refuses = notes_branches;
	set_filter_now(&m, &filter);
	for (unsigned int i = 0; i < 4; i++) {
		set_now(&m, PERFEVTSEL0 + i, BRANCHES);
		set_now(&m, GLOBAL_CTRL, 0);
		set_now(&m, GLOBAL_CTRL, 0xf);
	}
	assert_false(saw_branches);
	set_filter_now(&m, NULL);
	assert_true(saw_branches);
	assert_int_equal(vpmu_active(&m.pmu), 0xf);
}

static void programmed_again(void **state)
{
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, 0, NULL);
	static const uint64_t fields[] = { 0x0, 0x3, 0x1, 0x2, 0xb, 0x8, 0x3 };
	struct machine m;

	(void)state;
	for (unsigned int serviced = 0; serviced < 2; serviced++) {
		start_version(&m, 3);
		set_now(&m, GLOBAL_CTRL, FIXED_ON);
		set_now(&m, FIXED_CTR_CTRL, 0x333);
		happen(&m, VPMU_FIXED, 5);
		set_filter(&m, &filter);
		if (serviced)
			assert_false(vpmu_service(&m.pmu));
		for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			set_now(&m, FIXED_CTR_CTRL, fields[i] * 0x111);
			assert_int_equal(vpmu_active(&m.pmu), 0);
		}
		set_now(&m, GLOBAL_CTRL, 0);
		set_now(&m, GLOBAL_CTRL, FIXED_ON | 1);
		set_now(&m, FIXED_CTR0, 40);
		vpmu_release_idle(&m.pmu);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(vpmu_active(&m.pmu), 0);
		vpmu_retired(&m.pmu, VPMU_RETIRED_USER);
		assert_int_equal(get(&m, FIXED_CTR0), 40);
		set_now(&m, PERFEVTSEL0, INSTRUCTIONS);
		assert_int_equal(vpmu_active(&m.pmu), 0);
	}
}

static void after_reset(void **state)
{
	struct vpmu_filter filter = list(VPMU_FILTER_ALLOW, 0, NULL);
	struct machine m;

	(void)state;
	start_version(&m, 3);
	set_filter(&m, &filter);
	vpmu_reset(&m.pmu);
	assert_false(counts(&m, BRANCHES));
}

static void emulated_instructions(void **state)
{
	static const uint64_t entries[] = { ENTRY_INSTRUCTIONS };
	struct vpmu_filter filter = list(VPMU_FILTER_DENY, EVERY_ENTRY(entries));
	struct machine m;

	(void)state;
	start_counting(&m, INSTRUCTIONS, 0);
	vpmu_retired(&m.pmu, VPMU_RETIRED_USER);
	set_filter_now(&m, &filter);
	vpmu_retired(&m.pmu, VPMU_RETIRED_USER);
	assert_int_equal(get(&m, PMC0), 1);
	set_filter_now(&m, NULL);
	vpmu_retired(&m.pmu, VPMU_RETIRED_USER);
	assert_int_equal(get(&m, PMC0), 2);
}

/* Sets filters while the vCPU's thread services; each is left in force until the next. */
struct setter {
	struct vpmu *pmu;
	atomic_bool ends;
};

static void *set_in_turn(void *opaque)
{
	static const uint64_t entries[] = { ENTRY_BRANCHES };
	static const struct vpmu_filter filters[] = {
		{ .action = VPMU_FILTER_DENY, .count = 1, .entries = entries },
		{ .action = VPMU_FILTER_ALLOW, .count = 1, .entries = entries },
	};
	struct setter *setter = opaque;

	for (unsigned int i = 0; !atomic_load(&setter->ends); i++) {
		vpmu_set_filter(setter->pmu, i % 3 ? &filters[i % 2] : NULL);
		vpmu_ask_again(setter->pmu);
	}
	vpmu_set_filter(setter->pmu, &filters[0]);
	return NULL;
}

static void from_a_thread(void **state)
{
	struct setter setter;
	pthread_t thread;
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 0);
	setter.pmu = &m.pmu;
	atomic_init(&setter.ends, false);
	assert_int_equal(pthread_create(&thread, NULL, set_in_turn, &setter), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		uint64_t before = get(&m, PMC0);
		bool counting;

		assert_false(vpmu_service(&m.pmu));
		counting = m.source.bound[0] && (m.pmu.counting & 1);
		happen(&m, 0, 3);
		assert_int_equal(get(&m, PMC0), before + (counting ? 3 : 0));
	}
	atomic_store(&setter.ends, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* The last one is in force. */
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(vpmu_active(&m.pmu), 0);
}

/* --- asking the source again ------------------------------------------------------- */

static bool refuses_branches(const struct vpmu_event *event)
{
	return event->id == VPMU_EVENT_BRANCHES;
}

static void ask_again_refused(void **state)
{
	struct machine m;

	(void)state;
	start_version(&m, 3);
	m.source.refuses = refuses_branches;
	set_now(&m, PMC0, 40);
	set_now(&m, PERFEVTSEL0, BRANCHES);
	m.source.refuses = NULL;
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(vpmu_active(&m.pmu), 0);
	vpmu_ask_again(&m.pmu);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(vpmu_active(&m.pmu), 1);
	happen(&m, 0, 2);
	assert_int_equal(get(&m, PMC0), 42);
}

static void ask_again_counting(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, BRANCHES, 10);
	happen(&m, 0, 5);
	m.source.refuses = refuses_branches;
	vpmu_ask_again(&m.pmu);
	happen(&m, 0, 5);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(m.source.unbinds, 1);
	assert_int_equal(m.source.refusals, 1);
	assert_int_equal(get(&m, PMC0), 20);
	assert_int_equal(vpmu_active(&m.pmu), 0);
	calls(&m);
	assert_false(vpmu_service(&m.pmu));
	assert_int_equal(calls(&m), 0);
}

static void ask_again_same(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48 - 9);
	set_now(&m, PERFEVTSEL0 + 1, INSTRUCTIONS);
	set_now(&m, PERFEVTSEL0 + 1, 0);
	calls(&m);
	happen(&m, 0, 3);
	vpmu_ask_again(&m.pmu);
	assert_false(vpmu_service(&m.pmu));
	/* The counter that has stopped is asked for when it starts. */
	assert_int_equal(m.source.unbinds, 2);
	assert_int_equal(m.source.binds, 1);
	assert_int_equal(get(&m, PMC0), MAX_48 - 6);
	happen(&m, 0, 6);
	assert_int_equal(ring(&m), 0);
	happen(&m, 0, 1);
	assert_int_equal(ring(&m), 1);
	assert_true(vpmu_service(&m.pmu) & VPMU_PMI);
}

static void ask_again_overflow(void **state)
{
	struct machine m;

	(void)state;
	start_counting(&m, SAMPLED_BRANCHES, MAX_48);
	happen(&m, 0, 4);
	vpmu_ask_again(&m.pmu);
	assert_true(vpmu_service(&m.pmu) & VPMU_PMI);
	assert_int_equal(get(&m, PMC0), 3);
	assert_int_equal(get(&m, GLOBAL_STATUS), 1);
	assert_int_equal(vpmu_active(&m.pmu), 1);
}

static void ask_again_idle(void **state)
{
	struct machine m;

	(void)state;
	for (unsigned int version = 0; version <= 5; version++) {
		start_version(&m, version);
		vpmu_ask_again(&m.pmu);
		assert_false(vpmu_service(&m.pmu));
		assert_int_equal(calls(&m), 0);
	}
}

static const struct CMUnitTest tests[] = {
	{ .name = "without a filter every event is counted", .test_func = no_filter },
	{ .name = "an allow list lets through what it lists, by select and unit mask",
	  .test_func = allow_list },
	{ .name = "a deny list keeps out what it lists", .test_func = deny_list },
	{ .name = "an empty allow list allows nothing, an empty deny list denies nothing",
	  .test_func = empty_lists },
	{ .name = "levels, edge, invert, counter mask and INT do not matter to it",
	  .test_func = conditions_do_not_matter },
	{ .name = "a plain entry with other bits than select and unit mask matches nothing",
	  .test_func = plain_entries_with_more },
	{ .name = "a masked entry matches if the unit mask under its mask is its match",
	  .test_func = masked_entries },
	{ .name = "what is included and excluded is not listed, in whatever order",
	  .test_func = exclude_entries },
	{ .name = "an exclude entry alone lists nothing", .test_func = exclude_alone },
	{ .name = "a masked entry is laid out as KVM has it", .test_func = entry_layout },
	{ .name = "AMD's selects have 12 bits", .test_func = amd_selects },
	{ .name = "fixed counters follow the bitmap, whatever the entries say",
	  .test_func = fixed_by_the_bitmap },
	{ .name = "5000 entries are all heeded", .test_func = long_lists },
	{ .name = "a masked entry with unused bits is refused, and the filter in force stays",
	  .test_func = refuses_bits },
	{ .name = "so are an unknown action, missing entries and reserved fields",
	  .test_func = refuses_the_rest },
	{ .name = "a PMU that is off takes a filter", .test_func = without_a_pmu },
	{ .name = "a counter that is denied stops at the next service and keeps its value",
	  .test_func = denied_while_counting },
	{ .name = "an overflow before that service is found",
	  .test_func = overflow_before_the_service },
	{ .name = "a counter that is allowed again goes on, and overflows at the exact event",
	  .test_func = allowed_again },
	{ .name = "a filter that is gone before the service costs no binding",
	  .test_func = there_and_back },
	{ .name = "a filter that does not concern a counter leaves it alone",
	  .test_func = others_untouched },
	{ .name = "the source is not asked for what is denied", .test_func = source_is_not_asked },
	{ .name = "a fixed counter that is programmed again after a change does not slip through",
	  .test_func = programmed_again },
	{ .name = "RESET leaves the filter", .test_func = after_reset },
	{ .name = "a counter that is denied does not count emulated instructions",
	  .test_func = emulated_instructions },
	{ .name = "filters may be set from another thread at any moment",
	  .test_func = from_a_thread },
	{ .name = "a source that is asked again counts what it had refused",
	  .test_func = ask_again_refused },
	{ .name = "... or refuses what it has counted, and no count is lost",
	  .test_func = ask_again_counting },
	{ .name = "... or counts on, to an overflow at the exact event",
	  .test_func = ask_again_same },
	{ .name = "an overflow until it is asked again is found", .test_func = ask_again_overflow },
	{ .name = "where nothing is enabled nothing is asked", .test_func = ask_again_idle },
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
