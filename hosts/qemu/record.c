/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See record.h. Recorded are each access that the library answers, each PMI that it
 * hands out, and RESET, of all vCPUs in one order.
 */
#define _POSIX_C_SOURCE 200809L
#include "record.h"
#include "vcpu.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static GMutex lock;
static struct trace_writer *writer; /* with the lock held; NULL when the trace is finished */
static bool recording;              /* is there a file? Constant while vCPUs run */
static uint64_t began;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool record_start(const char *path, const struct vpmu_config *config)
{
	writer = trace_create(path, config);
	began = now_ns();
	recording = writer != NULL;
	return recording;
}

/* The time is taken with the lock held, so that it never goes backwards in the file. */
void record(const struct vcpu *vcpu, enum trace_kind kind, enum vpmu_answer answer, uint32_t index,
	    uint64_t value)
{
	struct trace_record record = {
		.kind = kind, .answer = answer, .vcpu = vcpu->index, .index = index, .value = value
	};

	if (!recording || answer == VPMU_NOT_MINE)
		return;
	g_mutex_lock(&lock);
	record.time = now_ns() - began;
	if (writer)
		trace_put(writer, &record);
	g_mutex_unlock(&lock);
}

/* What comes now does not follow from what has been recorded. */
void record_loaded(void)
{
	static bool told;

	if (!recording)
		return;
	record_finish();
	if (!told)
		fputs("vpmu plugin: the trace ends where QEMU has loaded a state\n", stderr);
	told = true;
}

/* vCPUs may still run. What they do now is not recorded. */
void record_finish(void)
{
	int error = 0;

	g_mutex_lock(&lock);
	if (writer)
		error = trace_finish(writer);
	writer = NULL;
	g_mutex_unlock(&lock);
	if (error)
		fprintf(stderr, "vpmu plugin: the trace is not complete: %s\n", strerror(error));
}
