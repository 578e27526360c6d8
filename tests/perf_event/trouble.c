/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What goes wrong with an event is told, and counts stay right.
 */
#define _GNU_SOURCE
#include "../../sources/perf_event/event.h"
#include "fixture.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u

static bool map_nothing(const struct vpmu_perf_event_options *options,
			const struct vpmu_event *event, struct perf_event_attr *attr)
{
	(void)options;
	(void)event;
	(void)attr;
	return false;
}

static bool map_absent(const struct vpmu_perf_event_options *options,
		       const struct vpmu_event *event, struct perf_event_attr *attr)
{
	(void)options;
	(void)event;
	attr->type = PERF_TYPE_SOFTWARE;
	attr->config = 0xfffff;
	return true;
}

/* The counter of an event that is refused stands still; why is told, and nothing is left over. */
static void check_refused(struct vcpu *v, int error)
{
	struct vpmu_perf_event_state trouble;

	set(v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	set(v, A_PMC0, 5);
	assert_false(set_now(v, GLOBAL_CTRL, 1));
	happen(20);
	assert_false(is_due(v, true));
	assert_int_equal(get(v, PMC0), 5);
	trouble = state_of(v, 0);
	assert_false(trouble.bound);
	if (error)
		assert_int_equal(trouble.error, error);
	else
		assert_int_not_equal(trouble.error, 0);
	assert_int_equal(vpmu_perf_event_fd(v->source, 0), -1);
}

static void refused_with(struct vpmu_perf_event_options options, int error)
{
	unsigned int files = open_files();
	struct vcpu v;

	start_with(&v, options);
	check_refused(&v, error);
	assert_int_equal(open_files(), files);
	finish(&v);
}

static void unsupported(void **state)
{
	(void)state;
	need_events();
	refused_with((struct vpmu_perf_event_options){ .map = map_nothing, .include_host = true },
		     ENOENT);
	refused_with((struct vpmu_perf_event_options){ .map = map_absent, .include_host = true },
		     0);
	refused_with((struct vpmu_perf_event_options){ .map = map_event }, EOPNOTSUPP);
}

static void reserved_options(void **state)
{
	struct vpmu_perf_event_options options = { .include_host = true };
	struct vpmu pmu;

	(void)state;
	for (size_t i = 0; i < sizeof(options.reserved) / sizeof(options.reserved[0]); i++) {
		options.reserved[i] = 1;
		errno = 0;
		assert_null(vpmu_perf_event_new(&pmu, &options));
		assert_int_equal(errno, EINVAL);
		options.reserved[i] = 0;
	}
}

static void failed_signal(void **state)
{
	unsigned int files;
	struct vcpu v;

	(void)state;
	need_events();
	files = open_files();
	start(&v, 0);
	vpmu_perf_event_free(v.source);
	v.source = vpmu_perf_event_new(
		&v.pmu, &(struct vpmu_perf_event_options){
				.map = map_event, .include_host = true, .signal = 1000 });
	v.pmu.source = v.source;
	check_refused(&v, EINVAL);
	assert_int_equal(open_files(), files);
	finish(&v);
}

static void set_user(uid_t user)
{
	/* Of this thread only; the C library's function is for all. */
	assert_int_equal(syscall(SYS_setresuid, -1, user, -1), 0);
	/* Or nobody may look at this process, the leak sanitizer included. */
	prctl(PR_SET_DUMPABLE, 1);
}

static int paranoid(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
	int level = -1;

	if (file) {
		if (fscanf(file, "%d", &level) != 1)
			level = -1;
		fclose(file);
	}
	return level;
}

static void no_permission(void **state)
{
	const struct vpmu_perf_event_options options = { .map = map_event, .include_host = true };
	struct vcpu v;

	(void)state;
	need_events();
	if (geteuid() != 0 || paranoid() != 2) {
		print_message("# needs root, and kernel.perf_event_paranoid of 2\n");
		skip();
	}
	if (guest_event == CALLS) {
		print_message("# needs an event that users may open; uprobes are root's\n");
		skip();
	}
	start(&v, 0);
	set_user(65534);
	assert_int_equal(vpmu_perf_event_probe(&options), 0);
	check_refused(&v, EACCES);
	/* Less is allowed. */
	assert_false(set_now(&v, PERFEVTSEL0, USER_ONLY | INSTRUCTIONS));
	happen(20);
	assert_int_equal(get(&v, PMC0), 25);
	assert_int_equal(state_of(&v, 0).error, 0);
	set_user(0);
	finish(&v);
}

static void no_more_files(void **state)
{
	struct rlimit before;
	struct vcpu v;
	int fd;

	(void)state;
	need_events();
	start(&v, 0);
	fd = dup(0);
	close(fd);
	before = limit(RLIMIT_NOFILE, (rlim_t)fd);
	check_refused(&v, EMFILE);
	limit(RLIMIT_NOFILE, before.rlim_cur);
	/* Another event, and there is room again. */
	assert_false(set_now(&v, PERFEVTSEL0, ALL_LEVELS | BRANCHES));
	happen(20);
	assert_int_equal(get(&v, PMC0), 25);
	assert_int_equal(state_of(&v, 0).error, 0);
	finish(&v);
}

static void no_mapping(void **state)
{
	struct rlimit before;
	struct vcpu v;

	(void)state;
	need_events();
	for (unsigned int polls = 0; polls < 2; polls++) {
		start(&v, polls ? 0 : overflow_signal());
		before = limit(RLIMIT_AS, 0);
		sample(&v, 7);
		limit(RLIMIT_AS, before.rlim_cur);
		assert_true(state_of(&v, 0).bound);
		assert_false(state_of(&v, 0).user_reads);
		assert_int_equal(state_of(&v, 0).error, ENOMEM);
		sample(&v, 7);
		sample_exactly(&v, 7, 50, polls);
		finish(&v);
	}
}

static void lost_records(void **state)
{
	struct vcpu v;
	uint64_t before;

	(void)state;
	need_events();
	start(&v, 0);
	sample(&v, 2);
	/* Far more overflows than there is room for records. */
	happen(2000);
	assert_true(is_due(&v, true));
	assert_int_equal(get(&v, PMC0), 1998);
	handle_pmi(&v, 2);
	/* The kernel tells of it with the next record. */
	sample_exactly(&v, 2, 3, true);
	assert_true(state_of(&v, 0).lost > 500);
	before = state_of(&v, 0).lost;
	sample(&v, 5);
	sample_exactly(&v, 5, 1000, true);
	assert_int_equal(state_of(&v, 0).lost, before);
	finish(&v);
}

/*
 * Nehalem has none below 32; the kernel takes 1 on branches for a wish to trace them. A PMI
 * is late by what the period is too long, and the counter says how late.
 */
static void refused_periods(void **state)
{
	enum { SHORTEST = 32 };
	struct vcpu v;

	(void)state;
	need_events();
	for (unsigned int polls = 0; polls < 2; polls++) {
		start(&v, polls ? 0 : overflow_signal());
		refused_below = SHORTEST;
		for (uint64_t period = 1; period < SHORTEST + 8; period++) {
			uint64_t accepted = period < SHORTEST ? SHORTEST : period;

			sample(&v, period);
			for (unsigned int i = 0; i < 3; i++) {
				happen(accepted - 1);
				assert_false(is_due(&v, polls));
				happen(1);
				assert_true(is_due(&v, polls));
				assert_int_equal(get(&v, PMC0), accepted - period);
				calls.periods = 0;
				assert_int_equal(handle_pmi(&v, period), 1);
				/* What has been refused is not tried again. */
				assert_in_range(calls.periods, 0, 1);
			}
			assert_int_equal(state_of(&v, 0).error, 0);
			vpmu_reset(&v.pmu);
		}
		refused_below = 0;
		finish(&v);
	}
}

/* None is accepted: the counter is looked at whenever the host does. */
static void no_period(void **state)
{
	struct vcpu v;

	(void)state;
	need_events();
	start(&v, 0);
	refused_below = UINT64_MAX;
	set(&v, A_PMC0, minus(7));
	set(&v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	set(&v, A_PMC0, minus(7));
	for (unsigned int i = 1; i <= 7; i++) {
		happen(1);
		assert_int_equal(is_due(&v, false), i == 7);
	}
	assert_int_equal(state_of(&v, 0).error, EINVAL);
	refused_below = 0;
	finish(&v);
}

/* Records as a kernel writes them. */
static void put_record(struct event *event, uint32_t type, uint16_t size, uint64_t first,
		       uint64_t second)
{
	uint64_t record[4] = { 0, first, second, 0 };
	struct perf_event_header header = { .type = type, .size = size };
	char *records = (char *)event->page + event->page->data_offset;

	memcpy(record, &header, sizeof(header));
	for (size_t i = 0; i < size; i++)
		records[(event->page->data_head + i) % event->page->data_size] =
			((const char *)record)[i];
	event->page->data_head += size;
}

static void record_kinds(void **state)
{
	struct event event = event_none();
	struct event_news news = { 0 };

	(void)state;
	event.page = aligned_alloc(PAGE, (size_t)2 * PAGE);
	memset(event.page, 0, (size_t)2 * PAGE);
	event.page->data_offset = PAGE;
	event.page->data_size = PAGE;
	for (unsigned int i = 0; i < 1000; i++) {
		put_record(&event, PERF_RECORD_SAMPLE, 32, i, 7);
		assert_true(event_has_records(&event));
		put_record(&event, PERF_RECORD_THROTTLE, 32, 1, 2);
		vpmu_pe_event_take_records(&event, &news);
		assert_true(news.throttled);
		put_record(&event, PERF_RECORD_LOST, 24, 1, 3);
		put_record(&event, PERF_RECORD_UNTHROTTLE, 32, 1, 2);
		put_record(&event, PERF_RECORD_EXIT, 32, 1, 2);
		vpmu_pe_event_take_records(&event, &news);
		assert_false(news.throttled);
		assert_false(event_has_records(&event));
		assert_int_equal(event.page->data_tail, event.page->data_head);
		assert_int_equal(news.value, i);
	}
	assert_int_equal(news.overflows, 1000);
	assert_int_equal(news.throttles, 1000);
	assert_int_equal(news.lost, 3000);
	free(event.page);
}

int run_trouble_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("an event that is not known, or not limited to the guest, is refused",
			 unsupported),
		sentence("options are refused if a reserved field is not 0", reserved_options),
		sentence("a signal that the kernel does not know refuses the counter",
			 failed_signal),
		sentence("without permission for a level the counter is refused, and nothing is "
			 "offered",
			 no_permission),
		sentence("without a file descriptor the counter is refused", no_more_files),
		sentence("without the event's page counts and PMIs are the same", no_mapping),
		sentence("lost records are told and lose no counts", lost_records),
		sentence("a period that the kernel refuses is replaced by the shortest it accepts",
			 refused_periods),
		sentence("if it accepts none, each service looks at the counter", no_period),
		sentence("throttling, lost and unknown records are told apart", record_kinds),
	};

	return cmocka_run_group_tests_name("trouble", tests, prepare, NULL);
}
