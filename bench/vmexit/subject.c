/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See subject.h.
 */
#include "subject.h"

#include <glib.h>
#include <string.h>

const uint32_t subject_turns[BATCHES] = { [BATCH_SMALL] = 2, [BATCH_LARGE] = 6 };

#define TIMED        100 /* exits of a SUBJECT_TIME */
#define BATCHES_EACH 20  /* batches of each size of a SUBJECT_COUNT */

/* Exits before each measurement: what another guest has left in the processor goes. */
#define SETTLE 8

static const char *start(struct subject *subject)
{
	const char *error = vm_start(&subject->vm, &subject->plan);

	counters_open(&subject->counters, subject->wanted);
	for (int i = 0; i < COUNTERS_EVENTS; i++) {
		subject->figures->counted[i] = subject->counters.fd[i] >= 0;
		subject->figures->counter_error[i] = subject->counters.error[i];
	}
	/* All of its memory is mapped then. */
	return error ? error : vm_run(&subject->vm, GUEST_TURNS_MAX / 8);
}

static const char *take_time(struct subject *subject)
{
	const char *error = vm_run(&subject->vm, SETTLE);

	if (!error)
		error = vm_run(&subject->vm, TIMED);
	for (uint32_t i = 0; i < TIMED && !error; i++)
		measure_add(&subject->figures->ticks, vm_ticks(&subject->vm, i));
	return error;
}

/* Where reading itself disturbs nothing: what it costs is the same in all batches. */
static const char *count_batch(struct subject *subject, enum subject_batch batch)
{
	uint64_t from[COUNTERS_EVENTS], to[COUNTERS_EVENTS];
	bool whole = counters_read(&subject->counters, from);
	const char *error = vm_run(&subject->vm, subject_turns[batch]);

	whole &= counters_read(&subject->counters, to);
	for (int i = 0; i < COUNTERS_EVENTS && whole && !error; i++)
		measure_add(&subject->figures->counts[batch][i], (double)(to[i] - from[i]));
	return error;
}

static const char *count(struct subject *subject)
{
	const char *error;

	if (subject->counters.fd[COUNTERS_INSTRUCTIONS] < 0)
		return NULL;
	counters_start(&subject->counters);
	error = vm_run(&subject->vm, SETTLE);
	for (uint32_t i = 0; i < BATCHES_EACH && !error; i++)
		for (enum subject_batch batch = BATCH_SMALL; batch < BATCHES && !error; batch++)
			error = count_batch(subject, batch);
	counters_stop(&subject->counters);
	return error;
}

/* Its own counter has counted the instructions of a batch, if KVM's PMU is right. */
static const char *count_own(struct subject *subject)
{
	const char *error = NULL;

	for (int batch = 0; batch < BATCHES && subject->counter && !error; batch++) {
		uint64_t from = 0, to = 0;

		error = vm_read_msr(&subject->vm, subject->counter, &from);
		if (!error)
			error = vm_run(&subject->vm, subject_turns[batch]);
		if (!error)
			error = vm_read_msr(&subject->vm, subject->counter, &to);
		subject->figures->own[batch] = to - from;
	}
	return error;
}

static const char *end(struct subject *subject)
{
	const char *error = subject->error ? subject->error : count_own(subject);

	counters_close(&subject->counters);
	vm_end(&subject->vm);
	return error;
}

static const char *work(struct subject *subject)
{
	switch (subject->work) {
	case SUBJECT_START:
		return start(subject);
	case SUBJECT_TIME:
		return take_time(subject);
	case SUBJECT_COUNT:
		return count(subject);
	case SUBJECT_END:
		break;
	}
	return end(subject);
}

static void await(sem_t *semaphore)
{
	while (sem_wait(semaphore))
		;
}

static void *run(void *argument)
{
	struct subject *subject = argument;
	enum subject_work done;

	do {
		await(&subject->go);
		done = subject->work;
		subject->error = work(subject);
		sem_post(&subject->done);
	} while (done != SUBJECT_END);
	return NULL;
}

static const char *begin(struct subject *subject)
{
	int error;

	sem_init(&subject->go, 0, 0);
	sem_init(&subject->done, 0, 0);
	error = pthread_create(&subject->thread, NULL, run, subject);
	subject->has_thread = !error;
	return error ? g_strdup_printf("a thread for a vCPU: %s", strerror(error)) : NULL;
}

const char *subject_do(struct subject *subject, enum subject_work work)
{
	const char *error = work == SUBJECT_START ? begin(subject) : NULL;

	if (error || !subject->has_thread)
		return error;
	subject->work = work;
	sem_post(&subject->go);
	await(&subject->done);
	if (work == SUBJECT_END)
		pthread_join(subject->thread, NULL);
	return subject->error;
}
