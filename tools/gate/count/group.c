/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See group.h. The records of the ring and the format files of tracepoints are as
 * perf_event_open(2) and the kernel's Documentation/trace/events.rst have them.
 */
#define _GNU_SOURCE
#include "group.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACING   "/sys/kernel/tracing/events/"
#define RING_SIZE (UINT64_C(8) << 20) /* a power of two; some 50,000 switches */

/* The order in which the group is opened is the one in which its values are read. */
enum member {
	MEMBER_SWITCH, /* the leader */
	MEMBER_RENAME,
	MEMBER_INSTRUCTIONS_USER,
	MEMBER_INSTRUCTIONS_KERNEL,
	MEMBER_BRANCHES_USER,
	MEMBER_BRANCHES_KERNEL,
	MEMBER_SYSCALLS,
	MEMBER_PAGE_FAULTS,
	MEMBERS
};

static const struct member_row {
	const char *tracepoint; /* NULL: none */
	uint32_t type;
	uint64_t config;
	bool no_user, no_kernel, samples;
	const char *name;
} members[MEMBERS] = {
	[MEMBER_SWITCH] = { "sched/sched_switch", .samples = true, .name = "context switches" },
	[MEMBER_RENAME] = { "task/task_rename", .samples = true, .name = "names of tasks" },
	[MEMBER_INSTRUCTIONS_USER] = { NULL, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS,
				       .no_kernel = true, .name = "instructions:u" },
	[MEMBER_INSTRUCTIONS_KERNEL] = { NULL, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS,
					 .no_user = true, .name = "instructions:k" },
	[MEMBER_BRANCHES_USER] = { NULL, PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
				   .no_kernel = true, .name = "branches:u" },
	[MEMBER_BRANCHES_KERNEL] = { NULL, PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
				     .no_user = true, .name = "branches:k" },
	[MEMBER_SYSCALLS] = { "raw_syscalls/sys_enter", .name = "system calls" },
	[MEMBER_PAGE_FAULTS] = { NULL, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS,
				 .name = "page faults" },
};

/* The values that a slice has, but for the number of switches. */
static const enum member member_of[COUNT_SWITCHES] = {
	[COUNT_INSTRUCTIONS_USER] = MEMBER_INSTRUCTIONS_USER,
	[COUNT_INSTRUCTIONS_KERNEL] = MEMBER_INSTRUCTIONS_KERNEL,
	[COUNT_BRANCHES_USER] = MEMBER_BRANCHES_USER,
	[COUNT_BRANCHES_KERNEL] = MEMBER_BRANCHES_KERNEL,
	[COUNT_SYSCALLS] = MEMBER_SYSCALLS,
	[COUNT_PAGE_FAULTS] = MEMBER_PAGE_FAULTS,
};

/* A sample of these events: TID, READ of a group with its times, RAW. */
struct sample_head {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t members, enabled, running;
	uint64_t values[MEMBERS];
	uint32_t raw_size;
} __attribute__((packed));

static struct perf_event_mmap_page *ring;
static int fds[MEMBERS];
static uint64_t ids[MEMBERS];
static size_t prev_comm, old_comm, renamed_pid; /* offsets of fields; 0: there is none */
static uint64_t last[MEMBERS];
static bool taken_turns;

static char *read_tracing(const char *tracepoint, const char *file)
{
	static char data[4096];
	char path[256];
	size_t size;
	FILE *from;

	snprintf(path, sizeof(path), TRACING "%s/%s", tracepoint, file);
	from = fopen(path, "re");
	size = from ? fread(data, 1, sizeof(data) - 1, from) : 0;
	if (from)
		fclose(from);
	data[size] = 0;
	return data;
}

static uint64_t tracepoint_id(const char *tracepoint)
{
	return strtoull(read_tracing(tracepoint, "id"), NULL, 10);
}

static size_t field_offset(const char *tracepoint, const char *declared)
{
	const char *field = strstr(read_tracing(tracepoint, "format"), declared);
	const char *offset = field ? strstr(field, "offset:") : NULL;

	return offset ? strtoul(offset + strlen("offset:"), NULL, 10) : 0;
}

static int open_member(enum member which, int leader)
{
	const struct member_row *row = &members[which];
	struct perf_event_attr attr = {
		.type = row->tracepoint ? PERF_TYPE_TRACEPOINT : row->type,
		.size = sizeof(attr),
		.config = row->tracepoint ? tracepoint_id(row->tracepoint) : row->config,
		.sample_period = row->samples,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_READ | PERF_SAMPLE_RAW,
		.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
		.disabled = leader < 0,
		.exclude_user = row->no_user,
		.exclude_kernel = row->no_kernel,
		.watermark = 1,
		.wakeup_watermark = RING_SIZE / 2,
	};

	ids[which] = attr.config;
	if (row->tracepoint && !attr.config)
		return -1;
	return (int)syscall(SYS_perf_event_open, &attr, -1, 0, leader, PERF_FLAG_FD_CLOEXEC);
}

int group_open(const char **why)
{
	prev_comm = field_offset(members[MEMBER_SWITCH].tracepoint, " prev_comm[");
	old_comm = field_offset(members[MEMBER_RENAME].tracepoint, " oldcomm[");
	renamed_pid = field_offset(members[MEMBER_RENAME].tracepoint, " pid;");
	for (int i = 0; i < MEMBERS; i++) {
		*why = members[i].name;
		fds[i] = open_member((enum member)i, i ? fds[0] : -1);
		if (fds[i] < 0)
			return -1;
	}
	*why = "the ring of the counts";
	ring = mmap(NULL, (size_t)(RING_SIZE + (uint64_t)sysconf(_SC_PAGESIZE)),
		    PROT_READ | PROT_WRITE, MAP_SHARED, fds[MEMBER_SWITCH], 0);
	if (ring == MAP_FAILED || !prev_comm || !old_comm ||
	    ioctl(fds[MEMBER_RENAME], PERF_EVENT_IOC_SET_OUTPUT, fds[MEMBER_SWITCH]) ||
	    ioctl(fds[MEMBER_SWITCH], PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP))
		return -1;
	return fds[MEMBER_SWITCH];
}

void group_stop(void)
{
	ioctl(fds[MEMBER_SWITCH], PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP);
}

/* A record may wrap around the ring's end. */
static void copy_out(uint64_t from, void *to, size_t size)
{
	const char *data = (const char *)ring + ring->data_offset;
	uint64_t at = from % ring->data_size;
	size_t first = size < ring->data_size - at ? size : (size_t)(ring->data_size - at);

	memcpy(to, data + at, first);
	memcpy((char *)to + first, data, size - first);
}

static int32_t word_at(const char *raw, size_t offset)
{
	int32_t word;

	memcpy(&word, raw + offset, sizeof(word));
	return word;
}

/* Is it the end of a slice? Not if a task names another one. */
static bool take_sample(const char *record, struct group_slice *slice)
{
	const struct sample_head *head = (const struct sample_head *)record;
	const char *raw = record + sizeof(*head);
	uint16_t type;
	bool renamed;

	memcpy(&type, raw, sizeof(type));
	renamed = type == ids[MEMBER_RENAME];
	/* Common to all tracepoints: type, flags, and at 4 the task's ID. */
	if (renamed && renamed_pid && word_at(raw, renamed_pid) != word_at(raw, 4))
		return false;
	taken_turns |= head->enabled != head->running;
	memset(slice, 0, sizeof(*slice));
	memcpy(slice->name, raw + (renamed ? old_comm : prev_comm), GROUP_NAME);
	/* 0 is a task of another namespace, -1 one that has none any more: it has ended. */
	slice->is_ours = head->tid != 0;
	for (int i = 0; i < COUNT_SWITCHES; i++)
		slice->counts[i] = head->values[member_of[i]] - last[member_of[i]];
	slice->counts[COUNT_SWITCHES] = !renamed;
	memcpy(last, head->values, sizeof(last));
	return true;
}

bool group_next(struct group_slice *slice, bool *lost)
{
	static char record[UINT16_MAX];
	bool found = false;

	while (!found && ring->data_tail != __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE)) {
		struct perf_event_header header;

		copy_out(ring->data_tail, &header, sizeof(header));
		copy_out(ring->data_tail, record, header.size);
		if (header.type == PERF_RECORD_SAMPLE)
			found = take_sample(record, slice);
		__atomic_store_n(&ring->data_tail, ring->data_tail + header.size, __ATOMIC_RELEASE);
		*lost |= header.type == PERF_RECORD_LOST;
	}
	*lost |= taken_turns;
	return found;
}
