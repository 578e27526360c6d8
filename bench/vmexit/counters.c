/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See counters.h. The events are one group: all of them count, or none.
 */
#define _GNU_SOURCE
#include "counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a read of the group gives: PERF_FORMAT_GROUP and both times. */
struct group {
	uint64_t count, enabled, running;
	uint64_t values[COUNTERS_EVENTS];
};

static int leader(const struct counters *counters)
{
	return counters->fd[COUNTERS_INSTRUCTIONS];
}

static int open_event(uint32_t type, uint64_t config, int group)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = config,
		.disabled = group < 0,
		.pinned = group < 0,
		.exclude_user = 1,
		.exclude_hv = 1,
		.exclude_guest = 1,
		.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, group, PERF_FLAG_FD_CLOEXEC);
}

static void add(struct counters *counters, enum counters_event event, uint32_t type,
		uint64_t config)
{
	counters->fd[event] = open_event(type, config, leader(counters));
	counters->error[event] = counters->fd[event] < 0 ? errno : 0;
}

void counters_open(struct counters *counters, const struct bench_vmexit *wanted)
{
	for (int i = 0; i < COUNTERS_EVENTS; i++) {
		counters->fd[i] = -1;
		counters->error[i] = 0;
	}
	add(counters, COUNTERS_INSTRUCTIONS, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
	if (leader(counters) < 0 || !wanted)
		return;
	add(counters, COUNTERS_BRANCHES, PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS);
	if (wanted->calls)
		add(counters, COUNTERS_CALLS, PERF_TYPE_RAW, wanted->calls);
	if (wanted->returns)
		add(counters, COUNTERS_RETURNS, PERF_TYPE_RAW, wanted->returns);
}

void counters_start(struct counters *counters)
{
	if (leader(counters) >= 0)
		ioctl(leader(counters), PERF_EVENT_IOC_ENABLE, 0);
}

void counters_stop(struct counters *counters)
{
	if (leader(counters) >= 0)
		ioctl(leader(counters), PERF_EVENT_IOC_DISABLE, 0);
}

bool counters_read(const struct counters *counters, uint64_t values[COUNTERS_EVENTS])
{
	struct group group;
	unsigned int next = 0;
	ssize_t size = read(leader(counters), &group, sizeof(group));

	for (int i = 0; i < COUNTERS_EVENTS; i++)
		values[i] = counters->fd[i] >= 0 && size > 0 ? group.values[next++] : 0;
	return size > 0 && group.enabled == group.running;
}

void counters_close(struct counters *counters)
{
	for (int i = 0; i < COUNTERS_EVENTS; i++)
		if (counters->fd[i] >= 0)
			close(counters->fd[i]);
}
