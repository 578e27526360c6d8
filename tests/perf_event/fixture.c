/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See fixture.h.
 */
#define _GNU_SOURCE
#include "fixture.h"
#include "../../sources/perf_event/event.h"
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

/* The machine refuses the guest's event altogether, or as one that sends SIGTRAP; why. */
static const char *cannot_run, *cannot_trap;

/* What the program started with: processors and files. */
static cpu_set_t all_cpus;
static struct rlimit all_files;

void need_events(void)
{
	if (!cannot_run)
		return;
	print_message("# %s\n", cannot_run);
	skip();
}

void need_sigtrap(void)
{
	need_events();
	if (!cannot_trap)
		return;
	print_message("# no events that send SIGTRAP: %s\n", cannot_trap);
	skip();
}

bool two_cpus(int cpus[2])
{
	int found = 0;

	for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET((size_t)i, &all_cpus))
			cpus[found++] = i;
	return found == 2;
}

void need_two_cpus(int cpus[2])
{
	if (two_cpus(cpus))
		return;
	print_message("# needs two processors\n");
	skip();
}

void move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

void start_with(struct vcpu *v, struct vpmu_perf_event_options options)
{
	happen_start();
	vcpu_start(v, &options);
}

void finish(struct vcpu *v)
{
	vcpu_finish(v);
	happen_end();
}

void warm_up(struct vcpu *v, bool polls)
{
	for (unsigned int i = 0; i < 20; i++) {
		set(v, A_PMC0, minus(2));
		set(v, PERFEVTSEL0, ALL_LEVELS | (i % 8 < 4 ? INSTRUCTIONS : BRANCHES));
		set_now(v, GLOBAL_CTRL, 1);
		happen(2);
		is_due(v, polls);
		set_now(v, GLOBAL_CTRL, 0);
		set(v, STATUS_RESET, get(v, GLOBAL_STATUS));
		state_of(v, 0);
		event_id(v, 0);
		get(v, PMC0);
	}
	open_files();
	vpmu_reset(&v->pmu);
}

void start(struct vcpu *v, int signal)
{
	start_with(v, (struct vpmu_perf_event_options){
			      .map = map_event, .include_host = true, .signal = signal });
	warm_up(v, !signal);
}

void start_per_cpu(struct vcpu *v, int signal)
{
	start_with(v, (struct vpmu_perf_event_options){ .map = map_event,
							.include_host = true,
							.per_cpu = true,
							.signal = signal });
	warm_up(v, !signal);
}

void sample(struct vcpu *v, uint64_t period)
{
	set(v, GLOBAL_CTRL, 0);
	set(v, A_PMC0, minus(period));
	set(v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	assert_false(set_now(v, GLOBAL_CTRL, 1));
}

uint64_t handle_pmi(struct vcpu *v, uint64_t period)
{
	uint64_t status;

	assert_false(set_now(v, GLOBAL_CTRL, 0));
	status = get(v, GLOBAL_STATUS);
	for (unsigned int i = 0; i < 4; i++)
		if (status & (1u << i))
			set(v, A_PMC0 + i, minus(period));
	set(v, STATUS_RESET, status);
	assert_false(set_now(v, GLOBAL_CTRL, 0xf));
	return status;
}

bool is_due(struct vcpu *v, bool polls)
{
	if (polls)
		vpmu_perf_event_poll(v->source);
	return vpmu_service(&v->pmu);
}

void sample_exactly(struct vcpu *v, uint64_t period, unsigned int periods, bool polls)
{
	for (unsigned int i = 0; i < periods; i++) {
		for (uint64_t event = 1; event <= period; event++) {
			happen(1);
			assert_int_equal(is_due(v, polls), event == period);
		}
		assert_int_equal(get(v, PMC0), 0);
		assert_int_equal(handle_pmi(v, period), 1);
	}
}

void sample_and_rebind(struct vcpu *v, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		uint64_t period = 2 + i % 3;

		set(v, GLOBAL_CTRL, 0);
		set(v, A_PMC0, minus(period));
		set(v, PERFEVTSEL0, ALL_LEVELS | (i / 4 % 2 ? INSTRUCTIONS : BRANCHES));
		vpmu_service(&v->pmu);
		/* The opening of an event, which faults itself, is over when it is set again. */
		set(v, GLOBAL_CTRL, 1);
		vpmu_service(&v->pmu);
		set(v, GLOBAL_CTRL, 0);
		set(v, A_PMC0, minus(period));
		set(v, STATUS_RESET, 1);
		vpmu_service(&v->pmu);
		assert_false(set_now(v, GLOBAL_CTRL, 1));
		sample_exactly(v, period, 4, false);
	}
}

uint64_t event_id(struct vcpu *v, unsigned int counter)
{
	uint64_t id = 0;

	assert_int_equal(ioctl(vpmu_perf_event_fd(v->source, counter), PERF_EVENT_IOC_ID, &id), 0);
	return id;
}

unsigned int open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

struct rlimit limit(int resource, rlim_t value)
{
	struct rlimit before, now;

	assert_int_equal(getrlimit((__rlimit_resource_t)resource, &before), 0);
	now = before;
	now.rlim_cur = value;
	assert_int_equal(setrlimit((__rlimit_resource_t)resource, &now), 0);
	return before;
}

static const char *try_sigtrap(void)
{
	struct perf_event_attr attr = { 0 };
	struct event opened;
	int trouble;
	int error;

	guest_event_describe(&attr);
	error = vpmu_pe_event_open(&opened, &attr, -1, SIGTRAP, &trouble);
	if (error)
		return strerror(error);
	vpmu_pe_event_close(&opened);
	return NULL;
}

int prepare(void **state)
{
	static bool is_prepared;
	volatile char stack[1 << 16];
	struct vcpu v;

	(void)state;
	if (is_prepared)
		return 0;
	is_prepared = true;
	for (size_t i = 0; i < sizeof(stack); i += 512)
		stack[i] = 1;
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) < 0 ||
	    getrlimit(RLIMIT_NOFILE, &all_files) < 0)
		return -1;
	cannot_run = guest_event_choose();
	cannot_trap = try_sigtrap();
	if (cannot_run)
		return 0;
	start(&v, 0);
	finish(&v);
	start(&v, overflow_signal());
	finish(&v);
	return 0;
}

int forget(void **state)
{
	(void)state;
	running = NULL;
	refused_below = 0;
	if (setrlimit(RLIMIT_NOFILE, &all_files) < 0)
		return -1;
	return sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}
