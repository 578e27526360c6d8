/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See subject.h.
 */
#define _GNU_SOURCE
#include "subject.h"

#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include <vpmu/msr.h>

#define PERIOD 10000

/* PMIs before each measurement. */
#define SETTLE 30

#define APIC_BASE       0x1b
#define APIC_BASE_VALUE 0xfee00d00 /* x2APIC mode, of the first processor */
#define X2APIC_SVR      0x80f
#define X2APIC_LVTPC    0x834
#define SVR_ENABLED     0x1ff
#define LVT_NMI         0x400

struct subject {
	const struct subject_plan *plan;
	struct subject_figures *figures;
	struct vm vm;
	struct guest_pmi *pmi; /* in its memory */
	int interrupts;        /* probes_open_interrupts() */
	struct guest_write writes[3 + 2 * VPMU_MAX_GENERAL + 2];
	unsigned int write_count;
};

static void add_write(struct subject *subject, uint32_t msr, uint64_t value)
{
	subject->writes[subject->write_count++] =
		(struct guest_write){ msr, (uint32_t)value, (uint32_t)(value >> 32) };
}

/*
 * Instructions, all of them; every second event leaves out user space, in which the guest never
 * is. So two that follow each other are different ones to KVM, and count the same.
 */
static uint32_t event_select(unsigned int event)
{
	uint16_t select = 0;
	uint8_t umask = 0;

	vpmu_event_encoding(VPMU_AMD, VPMU_EVENT_INSTRUCTIONS, &select, &umask);
	return (uint32_t)(select | (uint32_t)umask << 8 | VPMU_EVTSEL_OS | VPMU_EVTSEL_INT |
			  VPMU_EVTSEL_EN | (event % 2 ? 0 : VPMU_EVTSEL_USR));
}

/* So that no two overflow at the same time. */
static uint32_t first_value(const struct subject_plan *plan, unsigned int event)
{
	return -(uint32_t)(PERIOD + event * PERIOD / plan->events);
}

static void plan_pmi(const struct subject_plan *plan, struct guest_pmi *pmi)
{
	*pmi = (struct guest_pmi){
		.counters = plan->counters,
		.all = (1U << plan->counters) - 1,
		.period = PERIOD,
		.events = plan->events,
		.control = plan->pmu->control,
		.status = VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS,
		.clear = VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS_CLR,
		.select = plan->pmu->select,
		.counter = plan->pmu->counter,
	};
	for (unsigned int i = 0; i < plan->events; i++)
		pmi->event[i] = (struct guest_event){ event_select(i), first_value(plan, i) };
}

static void plan_writes(struct subject *subject)
{
	const struct subject_plan *plan = subject->plan;

	add_write(subject, APIC_BASE, APIC_BASE_VALUE);
	add_write(subject, X2APIC_SVR, SVR_ENABLED);
	add_write(subject, X2APIC_LVTPC, LVT_NMI);
	for (unsigned int i = 0; i < plan->counters && !plan->floor; i++) {
		add_write(subject, plan->pmu->counter + 2 * i,
			  (uint64_t)(int32_t)first_value(plan, i));
		add_write(subject, plan->pmu->select + 2 * i, event_select(i));
	}
	if (!plan->floor)
		add_write(subject, plan->pmu->control, (1U << plan->counters) - 1);
	add_write(subject, 0, 0);
}

static const char *start(struct subject *subject)
{
	const struct subject_plan *plan = subject->plan;
	struct vm_plan vm = { .kvm = plan->kvm,
			      .cpuid = plan->cpuid,
			      .code = plan->floor ? guest_floor : guest_sampling,
			      .end = plan->floor ? guest_floor_end : guest_sampling_end,
			      .writes = subject->writes,
			      .pmu_off = plan->floor };
	const char *error;

	plan_writes(subject);
	error = vm_start(&subject->vm, &vm);
	if (error)
		return error;
	subject->pmi = (struct guest_pmi *)(void *)(subject->vm.memory + GUEST_PMI);
	plan_pmi(plan, subject->pmi);
	return vm_run(&subject->vm, SETTLE);
}

static const char *take(struct subject *subject, enum subject_step step)
{
	subject->pmi->rotate = step == STEP_TURN;
	return vm_run(&subject->vm, step == STEP_PMI);
}

static uint64_t interrupts(const struct subject *subject)
{
	uint64_t count = 0;

	return read(subject->interrupts, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* One that the timer has interrupted says nothing; but a turn takes so long that each may be. */
static const char *count_step(struct subject *subject, const struct counters *counters,
			      enum subject_step step)
{
	uint64_t from[COUNTERS_EVENTS], to[COUNTERS_EVENTS];
	uint64_t before = interrupts(subject);
	bool whole = counters_read(counters, from);
	const char *error = take(subject, step);

	whole &= counters_read(counters, to);
	if (whole && !error && (step == STEP_TURN || interrupts(subject) == before))
		measure_add(&subject->figures->instructions[step],
			    (double)(to[COUNTERS_INSTRUCTIONS] - from[COUNTERS_INSTRUCTIONS]));
	return error;
}

static bool takes_turns(const struct subject_plan *plan)
{
	return plan->events > plan->counters;
}

static const char *count(struct subject *subject)
{
	const struct subject_plan *plan = subject->plan;
	struct counters counters;
	const char *error = NULL;

	subject->interrupts = probes_open_interrupts();
	counters_open(&counters, NULL);
	subject->figures->counter_error = counters.error[COUNTERS_INSTRUCTIONS];
	counters_start(&counters);
	for (unsigned int i = 0; i < plan->rounds && !error && !subject->figures->counter_error;
	     i++) {
		if (takes_turns(plan) && i % SUBJECT_TURN == 0)
			error = count_step(subject, &counters, STEP_TURN);
		if (!error)
			error = count_step(subject, &counters, STEP_EXIT);
		if (!error)
			error = count_step(subject, &counters, STEP_PMI);
	}
	counters_close(&counters);
	if (subject->interrupts >= 0)
		close(subject->interrupts);
	return error;
}

/* As many PMIs as there are between two turns, at once. */
static const char *run_pmis(struct subject *subject)
{
	const char *error = takes_turns(subject->plan) ? take(subject, STEP_TURN) : NULL;

	subject->pmi->rotate = 0;
	return error ? error : vm_run(&subject->vm, SUBJECT_TURN);
}

static void add_difference(const struct probes *probes, const uint64_t from[PROBES],
			   uint64_t sum[PROBES])
{
	uint64_t now[PROBES];

	probes_read(probes, now);
	for (int i = 0; i < PROBES; i++)
		sum[i] += now[i] - from[i];
}

static const char *probe_pmis(struct subject *subject, const struct probes *probes)
{
	struct subject_figures *figures = subject->figures;
	const char *error = NULL;
	uint64_t from[PROBES];

	probes_read(probes, from);
	for (figures->pmis = 0; figures->pmis < subject->plan->rounds && !error;
	     figures->pmis += SUBJECT_TURN)
		error = run_pmis(subject);
	add_difference(probes, from, figures->of_pmis);
	return error;
}

static const char *probe_turns(struct subject *subject, const struct probes *probes)
{
	struct subject_figures *figures = subject->figures;
	const char *error = NULL;
	uint64_t from[PROBES];

	probes_read(probes, from);
	for (figures->turns = 0; figures->turns < SUBJECT_TURN && !error; figures->turns++)
		error = take(subject, STEP_TURN);
	add_difference(probes, from, figures->of_turns);
	return error;
}

/* To the next CPU that will have this thread; false: there is none but the one that it is on. */
static bool move_on(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int from = sched_getcpu();

	for (int i = 1; i < cpus; i++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)((from + i) % cpus), &set);
		if (!sched_setaffinity(0, sizeof(set), &set))
			return true;
	}
	return false;
}

static const char *probe_moves(struct subject *subject, const struct probes *probes)
{
	struct subject_figures *figures = subject->figures;
	const char *error = NULL;
	uint64_t from[PROBES];
	cpu_set_t before;

	sched_getaffinity(0, sizeof(before), &before);
	probes_read(probes, from);
	for (figures->moves = 0; figures->moves < subject->plan->moves && !error && move_on();
	     figures->moves++)
		error = take(subject, STEP_PMI);
	add_difference(probes, from, figures->of_moves);
	sched_setaffinity(0, sizeof(before), &before);
	return error;
}

static const char *probe(struct subject *subject)
{
	struct probes probes;
	const char *error;

	probes_open(&probes);
	memcpy(subject->figures->probe_error, probes.error, sizeof(probes.error));
	error = probe_pmis(subject, &probes);
	if (!error && takes_turns(subject->plan))
		error = probe_turns(subject, &probes);
	if (!error)
		error = probe_moves(subject, &probes);
	probes_close(&probes);
	return error;
}

const char *subject_measure(const struct subject_plan *plan, struct subject_figures *figures)
{
	struct subject subject = { .plan = plan, .figures = figures };
	const char *error = start(&subject);

	if (!error)
		error = count(&subject);
	if (!error)
		error = probe(&subject);
	vm_end(&subject.vm);
	return error;
}

void subject_figures_free(struct subject_figures *figures)
{
	for (int step = 0; step < STEPS; step++)
		measure_free(&figures->instructions[step]);
}
