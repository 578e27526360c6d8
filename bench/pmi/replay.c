/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A plan driven through a subject: the guest runs, is interrupted, and its accesses
 * follow, each with the service that a host does before it lets the guest go on.
 */
#define _GNU_SOURCE
#include "replay.h"

#include "bench/lib/registers.h"
#include "work.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct run {
	const struct plan *plan;
	const struct subject_ops *ops;
	const struct replay_options *options;
	struct replay_result *result;
	void *subject;
	uint64_t counters;       /* that there are */
	size_t came;             /* PMIs, warm-up included */
	bool warm;               /* the warm-up is over */
	bool due;                /* a PMI that the plan has not come to yet */
	bool in_handler;         /* of a PMI that is timed */
	uint64_t from;           /* when that began */
	uint64_t expected;       /* counters that the last PMI is for */
	uint64_t unread;         /* of them, those that have not been read since */
	uint64_t late;           /* of them, those that have overflowed in its handler */
	uint64_t over[COUNTERS]; /* how far a counter was past its overflow when it was read */
};

/* Memory that is written before the run, so that no page of it faults in the middle. */
static void make_room(struct measure_samples *samples, size_t more)
{
	if (samples->room - samples->count >= more)
		return;
	samples->room = samples->count + more;
	samples->values = g_renew(double, samples->values, samples->room);
	memset(samples->values + samples->count, 0, more * sizeof(*samples->values));
}

static void add_sample(struct measure_samples *samples, uint64_t ticks)
{
	if (samples->count < samples->room)
		samples->values[samples->count++] = (double)ticks;
}

static void tell_phase(const struct run *run, enum replay_phase phase)
{
	if (run->options->tell_phase && (run->warm || phase <= PHASE_SETUP))
		syscall(PHASE_CALL, phase);
}

/* The guest exits and is about to be entered again. */
static void service_overflow(struct run *run, uint64_t before_unit)
{
	enum replay_time time = run->options->time;

	subject_kicked = 0;
	run->from = time == TIME_WHOLE ? before_unit : measure_begin();
	run->due |= run->ops->service(run->subject);
	if (time == TIME_SERVICE && run->due && run->warm)
		add_sample(&run->result->pmi, measure_end() - run->from);
}

/* Units until a PMI is due; those that are left. */
static unsigned int do_units(struct run *run, unsigned int units, bool serviced)
{
	for (; units && !run->due; units--) {
		uint64_t from = measure_begin();
		uint64_t to;

		if (run->ops->happen && run->plan->events == EVENTS_MEMORY)
			run->ops->happen(run->subject);
		else
			work_unit();
		to = measure_end();
		if (!subject_kicked)
			add_sample(&run->result->unit, to - from);
		else if (serviced)
			service_overflow(run, from);
	}
	return units;
}

/*
 * The guest goes on. Counters that overflow together do not always do so at the same
 * moment; any other PMI that the plan has not come to is one too many.
 */
static void leave_pmi(struct run *run)
{
	bool split = (run->ops->status(run->subject) & run->expected) || run->late;

	if (run->due && run->warm) {
		run->result->split += split;
		run->result->spurious += !split;
	}
	run->due = false;
	run->late = 0;
}

/* What the guest runs for now. */
static uint64_t next_overflows(const struct run *run, const struct step *step)
{
	const struct step *end = run->plan->steps + run->plan->count;

	while (step < end && step->kind != STEP_PMI)
		step++;
	return step < end ? step->value : 0;
}

static void do_work(struct run *run, const struct step *step)
{
	const struct work_kind *kind = &work_kinds[run->plan->events];
	bool leads = step[1].kind == STEP_PMI;
	unsigned int left;

	leave_pmi(run);
	run->in_handler = false;
	subject_expected = next_overflows(run, step);
	tell_phase(run, PHASE_APART);
	work_prepare(kind->units + kind->slack);
	tell_phase(run, step->leads ? PHASE_PMI : PHASE_ACCESSES);
	left = do_units(run, (unsigned int)step->value, leads);
	if (leads && !run->due)
		do_units(run, kind->slack, true);
	run->result->early += kind->exact && left && run->warm;
	run->in_handler = step->leads && run->due;
}

/* The plan has come to a PMI. */
static void do_pmi(struct run *run, const struct step *step)
{
	struct replay_result *result = run->result;

	if (run->warm) {
		result->pmis += run->due;
		result->lost += !run->due;
		result->other += run->due && !(run->ops->status(run->subject) & step->value);
	}
	run->came++;
	run->due = false;
	run->late = 0;
	run->expected = run->unread = step->value;
}

static void end_handler(struct run *run)
{
	uint64_t now = measure_end();

	if (run->warm && run->options->time != TIME_SERVICE)
		add_sample(&run->result->pmi, now - run->from);
	run->in_handler = false;
	tell_phase(run, PHASE_ACCESSES);
}

static void compare_status(struct run *run, const struct step *step, uint64_t value)
{
	if (step->index == VPMU_MSR_PERF_GLOBAL_STATUS && run->warm)
		run->result->status_disagreed += ((value ^ step->value) & run->counters) != 0;
}

/* As a guest that keeps to its period: what is past an overflow counts for the next. */
static uint64_t loaded_value(struct run *run, const struct step *step)
{
	uint64_t over;

	if (step->counter == STEP_NO_COUNTER)
		return step->value;
	over = run->over[step->counter];
	run->over[step->counter] = 0;
	return step->value + over;
}

static void note_read(struct run *run, const struct step *step, uint64_t value)
{
	const struct work_kind *kind = &work_kinds[run->plan->events];
	uint64_t bit;

	if (step->counter == STEP_NO_COUNTER)
		return;
	bit = counter_bit(step->counter);
	run->result->read += value;
	if (!(run->unread & bit))
		return;
	run->unread &= ~bit;
	/* Further than that it has not overflowed just now. */
	run->over[step->counter] = value < kind->weight * kind->units ? value : 0;
}

static void service_access(struct run *run)
{
	subject_kicked = 0;
	if (!run->ops->service(run->subject))
		return;
	run->due = true;
	/* The handler may go on to clear them. */
	run->late |= run->ops->status(run->subject) & run->expected;
}

static void do_access(struct run *run, const struct step *step)
{
	enum vpmu_answer answer = VPMU_DONE;
	uint64_t value = 0;

	switch (step->kind) {
	case STEP_RESET:
		run->ops->reset(run->subject);
		answer = step->answer;
		break;
	case STEP_RDMSR:
		answer = run->ops->rdmsr(run->subject, step->index, &value);
		compare_status(run, step, value);
		note_read(run, step, value);
		break;
	case STEP_WRMSR:
		answer = run->ops->wrmsr(run->subject, step->index, loaded_value(run, step));
		break;
	case STEP_RDPMC:
		answer = run->ops->rdpmc(run->subject, step->index, &value);
		note_read(run, step, value);
		break;
	case STEP_WORK:
	case STEP_PMI:
		return;
	}
	service_access(run);
	if (step->ends_handler && run->in_handler)
		end_handler(run);
	run->result->disagreed += answer != step->answer;
}

static void begin_measuring(struct run *run)
{
	run->warm = true;
	tell_phase(run, PHASE_ACCESSES);
}

static void do_steps(struct run *run)
{
	const struct plan *plan = run->plan;
	size_t most = run->options->most ? run->options->most + run->options->warm_up : SIZE_MAX;

	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = &plan->steps[i];

		if (step->kind == STEP_WORK) {
			if (run->came >= most)
				break;
			if (!run->warm && run->came >= run->options->warm_up)
				begin_measuring(run);
			do_work(run, step);
		} else if (step->kind == STEP_PMI) {
			do_pmi(run, step);
		} else {
			do_access(run, step);
		}
	}
	leave_pmi(run);
}

static const char *begin(struct run *run)
{
	const struct plan *plan = run->plan;
	const char *error = work_begin(plan->events, run->options->alone);
	size_t samples = plan->timed;

	if (error)
		return error;
	if (run->options->most && run->options->most < samples)
		samples = run->options->most;
	make_room(&run->result->pmi, samples);
	make_room(&run->result->unit, samples * work_kinds[plan->events].units);
	tell_phase(run, PHASE_SETUP);
	run->subject = run->ops->make(&plan->config, plan->events);
	if (run->subject)
		return NULL;
	error = errno == EOPNOTSUPP ? "a baseline needs perf events" : strerror(errno);
	work_end();
	return error;
}

const char *replay_run(const struct plan *plan, const struct subject_ops *ops,
		       const struct replay_options *options, struct replay_result *result)
{
	struct run run = { .plan = plan, .ops = ops, .options = options, .result = result };
	const char *error = begin(&run);

	if (error)
		return error;
	run.counters = all_counters(&plan->config);
	subject_kicked = 0;
	subject_expected = 0;
	do_steps(&run);
	run.warm = true;
	tell_phase(&run, PHASE_SETUP);
	ops->end(run.subject);
	tell_phase(&run, PHASE_NONE);
	work_end();
	return NULL;
}

void replay_result_free(struct replay_result *result)
{
	measure_free(&result->pmi);
	measure_free(&result->unit);
	*result = (struct replay_result){ 0 };
}
