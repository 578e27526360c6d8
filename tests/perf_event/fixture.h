/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What tests over the guest's event share: what they need, how they start and end, and the
 * steps that guests and hosts take in them.
 */
#ifndef TESTS_PERF_EVENT_FIXTURE_H
#define TESTS_PERF_EVENT_FIXTURE_H

#include "guest_event.h"
#include "vcpu.h"
#include <sys/resource.h>

/* A test ends here, skipped, if the machine has no such thing. */
void need_events(void);
void need_sigtrap(void);
/* Two processors that this thread may use. */
void need_two_cpus(int cpus[2]);
/* The same without a word: false if there is only one. */
bool two_cpus(int cpus[2]);
void move_to(int cpu);

/* The source counts the guest's event. Warmed up: only the guest faults from now on. */
void start(struct vcpu *v, int signal);
void start_per_cpu(struct vcpu *v, int signal);
/* With any options, and cold. */
void start_with(struct vcpu *v, struct vpmu_perf_event_options options);
/* Code and memory that is used for the first time faults: run once through what tests do. */
void warm_up(struct vcpu *v, bool polls);
void finish(struct vcpu *v);

/* Counter 0 counts and asks for a PMI after so many. */
void sample(struct vcpu *v, uint64_t period);
/* What a guest's handler does: disable all, status, reload, clear, enable all. Its status. */
uint64_t handle_pmi(struct vcpu *v, uint64_t period);
/* The host looks whether the guest is due a PMI. */
bool is_due(struct vcpu *v, bool polls);
/* Sample so many periods; each PMI comes at its event, with the counter at 0. */
void sample_exactly(struct vcpu *v, uint64_t period, unsigned int periods, bool polls);
/* Bind, sample, rewrite, unbind. Every overflow is found at its event. */
void sample_and_rebind(struct vcpu *v, unsigned int times);

/* The kernel's own number of a counter's event: another event, another number. */
uint64_t event_id(struct vcpu *v, unsigned int counter);
unsigned int open_files(void);
/* Change a resource's limit; returns the one before. */
struct rlimit limit(int resource, rlim_t value);

/* A subject's tests, run as a group; how many failed. */
int run_sampling_tests(void);
int run_alarm_tests(void);
int run_binding_tests(void);
int run_trouble_tests(void);
int run_move_tests(void);
int run_signal_tests(void);
int run_random_tests(void);
int run_entry_tests(void);
int run_hardware_tests(void);

/* Before a group, and after each test, also one that has failed on its way. */
int prepare(void **state);
int forget(void **state);

static inline struct CMUnitTest sentence(const char *name, CMUnitTestFunction test)
{
	return (struct CMUnitTest){ .name = name, .test_func = test, .teardown_func = forget };
}

#endif
