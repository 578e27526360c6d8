/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vcpu.h.
 */
#define _GNU_SOURCE
#include "vcpu.h"
#include <signal.h>
#include <string.h>

_Thread_local struct vcpu *running;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (!running)
		return;
	atomic_fetch_add_explicit(&running->signals, 1, memory_order_relaxed);
	if (number == SIGIO)
		atomic_fetch_add_explicit(&running->unqueued, 1, memory_order_relaxed);
	vpmu_perf_event_signal(running->source,
			       number == SIGTRAP || number == SIGIO ? -1 : info->si_fd);
}

int overflow_signal(void)
{
	return SIGRTMIN + 3;
}

static void handle(int number)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };

	action.sa_sigaction = on_signal;
	sigemptyset(&action.sa_mask);
	assert_int_equal(sigaction(number, &action, NULL), 0);
}

void vcpu_start(struct vcpu *v, const struct vpmu_perf_event_options *options)
{
	struct vpmu_config config = {
		.version = 5,
		.general = 8,
		.general_width = 48,
		.fixed_width = 48,
		.full_width_writes = true,
		.events = 0x7f,
	};

	memset(v, 0, sizeof(*v));
	if (options->signal) {
		handle(options->signal);
		handle(SIGIO);
	}
	v->source = vpmu_perf_event_new(&v->pmu, options);
	assert_non_null(v->source);
	assert_int_equal(vpmu_init(&v->pmu, &config, &vpmu_perf_event_ops, v->source), VPMU_OK);
	running = v;
}

void vcpu_finish(struct vcpu *v)
{
	vpmu_reset(&v->pmu);
	running = NULL;
	vpmu_perf_event_free(v->source);
}

void set(struct vcpu *v, uint32_t msr, uint64_t value)
{
	assert_int_equal(vpmu_wrmsr(&v->pmu, msr, value), VPMU_DONE);
}

uint64_t get(struct vcpu *v, uint32_t msr)
{
	uint64_t value = 0;

	assert_int_equal(vpmu_rdmsr(&v->pmu, msr, &value), VPMU_DONE);
	return value;
}

bool set_now(struct vcpu *v, uint32_t msr, uint64_t value)
{
	set(v, msr, value);
	return vpmu_service(&v->pmu);
}

struct vpmu_perf_event_state state_of(struct vcpu *v, unsigned int counter)
{
	return vpmu_perf_event_state(v->source, counter);
}
