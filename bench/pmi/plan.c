/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A trace made into a plan. The library itself, over totals in memory, is the model
 * that says which counters count at which record; two passes over the records find
 * where the guest has to run for each PMI, and what its counters have to start from.
 */
#include "replay.h"

#include "bench/lib/registers.h"
#include "totals.h"
#include "work.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define FIXED_KEY (UINT64_C(1) << 63) /* apart from event selects */

/* A place in the trace at which the guest runs until a PMI. */
struct place {
	size_t before;     /* the record that follows the work */
	size_t record;     /* the PMI's own */
	uint64_t counters; /* that overflow */
};

struct maker {
	const struct trace *trace;
	struct plan *plan;
	unsigned int vcpu;
	struct vpmu pmu;
	struct totals totals;
	uint64_t *active;     /* counters that count when a record comes */
	struct place *places; /* of the PMIs, in order */
	size_t place_count;
	uint64_t last_event[COUNTERS]; /* what the counter was last enabled for; 0: nothing */
	uint64_t loaded;          /* counters that the guest has written since they overflowed */
	size_t write[COUNTERS];   /* where: a record in the first pass, a step in the second */
	uint64_t units[COUNTERS]; /* that a counter has counted since */
};

/* The counter that RDMSR or WRMSR reaches by this number. */
static unsigned int counter_of_msr(const struct vpmu_config *config, uint32_t msr)
{
	if (msr - VPMU_MSR_PMC0 < config->general)
		return msr - VPMU_MSR_PMC0;
	if (msr - VPMU_MSR_A_PMC0 < config->general)
		return msr - VPMU_MSR_A_PMC0;
	if (msr - VPMU_MSR_FIXED_CTR0 < config->fixed)
		return VPMU_FIXED + msr - VPMU_MSR_FIXED_CTR0;
	return STEP_NO_COUNTER;
}

static unsigned int counter_of(const struct vpmu_config *config, const struct trace_record *record)
{
	if (record->answer != VPMU_DONE || record->kind == TRACE_RESET)
		return STEP_NO_COUNTER;
	if (record->kind != TRACE_RDPMC)
		return counter_of_msr(config, record->index);
	if (record->index & RDPMC_FIXED)
		return VPMU_FIXED + (record->index & 0xf);
	return record->index & 0xf;
}

/* Is it a write that loads a counter? */
static bool loads(const struct vpmu_config *config, const struct trace_record *record,
		  unsigned int *counter)
{
	*counter = counter_of(config, record);
	return record->kind == TRACE_WRMSR && *counter != STEP_NO_COUNTER;
}

/* What is to be written for the counter to overflow after so many counts. */
static uint64_t distance(const struct vpmu_config *config, const struct step *write,
			 unsigned int counter, uint64_t counts)
{
	if (write->index - VPMU_MSR_PMC0 < config->general)
		return -counts & UINT32_MAX; /* its sign is extended */
	return -counts & counter_mask(config, counter);
}

/* The same for a counter that does not overflow again: as far as may be. */
static uint64_t far_away(const struct vpmu_config *config, const struct step *write,
			 unsigned int counter)
{
	if (write->index - VPMU_MSR_PMC0 < config->general)
		return UINT64_C(1) << 31;
	return counter_mask(config, counter) / 2 + 1;
}

static uint64_t model_msr(struct maker *maker, uint32_t msr)
{
	uint64_t value = 0;

	vpmu_rdmsr(&maker->pmu, msr, &value);
	return value;
}

/* What a counter is set to count; two values are the same if the events are. */
static uint64_t event_key(struct maker *maker, unsigned int counter)
{
	unsigned int i = counter - VPMU_FIXED;

	if (counter < VPMU_FIXED)
		return model_msr(maker, VPMU_MSR_PERFEVTSEL0 + counter) & ~VPMU_EVTSEL_INT &
		       ~VPMU_EVTSEL_EN;
	return FIXED_KEY |
	       (model_msr(maker, VPMU_MSR_FIXED_CTR_CTRL) >> (FIXED_BITS * i) & FIXED_EN);
}

static void note_events(struct maker *maker, uint64_t active)
{
	while (active) {
		unsigned int counter = take_counter(&active);
		uint64_t key = event_key(maker, counter);

		if (key != maker->last_event[counter])
			maker->plan->event_changes++;
		maker->last_event[counter] = key;
	}
}

/* The model's counters overflow, so that what the PMU does of itself comes to pass. */
static void model_overflow(struct maker *maker, uint64_t counters)
{
	while (counters) {
		unsigned int counter = take_counter(&counters);
		uint32_t index =
			counter < VPMU_FIXED ? counter : RDPMC_FIXED | (counter - VPMU_FIXED);
		uint64_t value = 0;

		vpmu_rdpmc(&maker->pmu, index, true, &value);
		maker->totals.total[counter] +=
			counter_mask(&maker->plan->config, counter) + 1 - value;
		vpmu_look(&maker->pmu, counter);
	}
	vpmu_service(&maker->pmu);
}

/* Those of the candidates that count when a record comes and have been loaded before it. */
static uint64_t counting_at(const struct maker *maker, size_t before, uint64_t candidates)
{
	uint64_t left = maker->active[before] & candidates;
	uint64_t counters = 0;

	while (left) {
		unsigned int counter = take_counter(&left);

		if (maker->write[counter] < before)
			counters |= counter_bit(counter);
	}
	return counters;
}

/*
 * Where the guest has to run for a PMI: while its counters count and after they have
 * been loaded; that is right before it, unless the guest has just stopped them.
 */
static void place_pmi(struct maker *maker, size_t record, uint64_t status)
{
	size_t first = maker->place_count ? maker->places[maker->place_count - 1].record + 1 : 0;
	uint64_t candidates = status & maker->loaded;
	size_t before = record;
	uint64_t counters = counting_at(maker, before, candidates);

	while (!counters && before > first)
		counters = counting_at(maker, --before, candidates);
	if (!counters) {
		maker->plan->left_out++;
		return;
	}
	maker->places[maker->place_count++] =
		(struct place){ .before = before, .record = record, .counters = counters };
	maker->loaded &= ~counters;
	model_overflow(maker, counters);
}

static void model_record(struct maker *maker, size_t i)
{
	const struct trace_record *record = &maker->trace->records[i];
	unsigned int counter;
	uint64_t value = 0;

	switch (record->kind) {
	case TRACE_RESET:
		vpmu_reset(&maker->pmu);
		memset(maker->last_event, 0, sizeof(maker->last_event));
		maker->loaded = 0;
		break;
	case TRACE_RDMSR:
		vpmu_rdmsr(&maker->pmu, record->index, &value);
		break;
	case TRACE_WRMSR:
		if (loads(&maker->plan->config, record, &counter)) {
			maker->loaded |= counter_bit(counter);
			maker->write[counter] = i;
		}
		vpmu_wrmsr(&maker->pmu, record->index, record->value);
		break;
	case TRACE_RDPMC:
		vpmu_rdpmc(&maker->pmu, record->index, true, &value);
		break;
	case TRACE_PMI:
		place_pmi(maker, i, record->value & all_counters(&maker->plan->config));
		break;
	case TRACE_KINDS:
		break;
	}
	vpmu_service(&maker->pmu);
}

/* Which counters count when, and where the guest runs. */
static void first_pass(struct maker *maker)
{
	uint64_t active = 0;

	for (size_t i = 0; i < maker->trace->count; i++) {
		maker->active[i] = active;
		if (maker->trace->records[i].vcpu != maker->vcpu)
			continue;
		model_record(maker, i);
		active = vpmu_active(&maker->pmu);
		note_events(maker, active);
	}
}

static struct step *add_step(struct plan *plan, enum step_kind kind)
{
	struct step *step = &plan->steps[plan->count++];

	*step = (struct step){ .kind = kind, .counter = STEP_NO_COUNTER };
	return step;
}

/* The guest runs; its counters count, and those that are to overflow have got there. */
static void add_work(struct maker *maker, const struct place *place)
{
	struct plan *plan = maker->plan;
	const struct work_kind *kind = &work_kinds[plan->events];
	uint64_t active = maker->active[place->before];
	uint64_t counters = place->counters;

	add_step(plan, STEP_WORK)->value = kind->units;
	while (active)
		maker->units[take_counter(&active)] += kind->units;
	while (counters) {
		unsigned int counter = take_counter(&counters);
		struct step *write = &plan->steps[maker->write[counter]];

		write->value = distance(&plan->config, write, counter,
					maker->units[counter] * kind->weight);
	}
}

static void add_access(struct maker *maker, const struct trace_record *record)
{
	static const enum step_kind kinds[TRACE_KINDS] = { [TRACE_RESET] = STEP_RESET,
							   [TRACE_RDMSR] = STEP_RDMSR,
							   [TRACE_WRMSR] = STEP_WRMSR,
							   [TRACE_RDPMC] = STEP_RDPMC };
	struct plan *plan = maker->plan;
	struct step *step = add_step(plan, kinds[record->kind]);
	unsigned int counter;

	step->answer = record->answer;
	step->index = record->index;
	step->value = record->value;
	step->counter = (uint8_t)counter_of(&plan->config, record);
	if (loads(&plan->config, record, &counter)) {
		step->value = far_away(&plan->config, step, counter);
		maker->write[counter] = plan->count - 1;
		maker->units[counter] = 0;
	}
	plan->accesses++;
}

/* The steps, with what the counters have to start from. */
static void second_pass(struct maker *maker)
{
	const struct place *work = maker->places; /* the next that there is work for */
	const struct place *pmi = maker->places;  /* the next that there is a PMI for */
	const struct place *end = maker->places + maker->place_count;

	for (size_t i = 0; i < maker->trace->count; i++) {
		const struct trace_record *record = &maker->trace->records[i];

		for (; work < end && work->before == i; work++)
			add_work(maker, work);
		if (record->vcpu != maker->vcpu)
			continue;
		if (record->kind != TRACE_PMI) {
			add_access(maker, record);
		} else if (pmi < end && pmi->record == i) {
			add_step(maker->plan, STEP_PMI)->value = pmi->counters;
			pmi++;
		}
	}
	maker->plan->pmis = maker->place_count;
}

static bool is_enabling(const struct step *step)
{
	return step->kind == STEP_WRMSR && step->index == VPMU_MSR_PERF_GLOBAL_CTRL && step->value;
}

/* Which PMIs interrupt the guest, and where their handlers end: all counters are on again. */
static void find_handlers(struct plan *plan)
{
	struct step *work = NULL; /* of the handler that is going on */

	for (size_t i = 0; i < plan->count; i++) {
		struct step *step = &plan->steps[i];

		if (step->kind == STEP_WORK)
			work = NULL;
		if (step->kind == STEP_PMI && i && step[-1].kind == STEP_WORK)
			work = step - 1;
		if (!work || !is_enabling(step))
			continue;
		work->leads = true;
		step->ends_handler = true;
		plan->timed++;
		work = NULL;
	}
}

static bool begin(struct maker *maker)
{
	size_t count = maker->trace->count;

	maker->totals.pmu = &maker->pmu;
	maker->active = g_new(uint64_t, count + 1);
	maker->places = g_new(struct place, count + 1);
	/* A record is a step, and a PMI is one more. */
	maker->plan->steps = g_new(struct step, 2 * count + 1);
	return vpmu_init(&maker->pmu, &maker->trace->config, &totals_ops, &maker->totals) ==
	       VPMU_OK;
}

const char *plan_make(struct plan *plan, const struct trace *trace, unsigned int vcpu,
		      enum subject_events events)
{
	struct maker *maker = g_new(struct maker, 1);
	const char *error = NULL;

	*maker = (struct maker){ .trace = trace, .plan = plan, .vcpu = vcpu };
	*plan = (struct plan){ .config = trace->config, .events = events };
	if (!trace->config.version)
		error = "the trace's PMU is off";
	else if (trace->config.vendor != VPMU_INTEL || trace->config.version < 2)
		error = "the trace's PMU is not one of Intel's with global control";
	else if (!begin(maker))
		error = "the trace's PMU is none that the library knows";
	if (!error) {
		first_pass(maker);
		second_pass(maker);
		find_handlers(plan);
	}
	free(maker->active);
	free(maker->places);
	free(maker);
	return error;
}

void plan_free(struct plan *plan)
{
	free(plan->steps);
	*plan = (struct plan){ 0 };
}
