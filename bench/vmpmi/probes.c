/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See probes.h. Exit reasons are SVM's (APM vol. 2, "SVM Intercept Exit Codes").
 */
#define _GNU_SOURCE
#include "probes.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct probe_kind probe_kinds[PROBES] = {
	[PROBE_CREATED] = { "created", "events created", "perf_event_create_kernel_counter", NULL },
	[PROBE_RELEASED] = { "released", "released", "perf_event_release_kernel", NULL },
	[PROBE_PAUSED] = { "paused", "paused", "perf_event_pause", NULL },
	[PROBE_PERIODS] = { "periods", "periods set", "perf_event_period", NULL },
	[PROBE_PROGRAMMED] = { "programmed", "the machine's counters written",
			       "x86_perf_event_set_period", NULL },
	[PROBE_EXITS] = { "exits", "exits", NULL, NULL },
	[PROBE_MSR] = { "msr", "RDMSR, WRMSR", NULL, "exit_reason==0x7c" },
	[PROBE_RDPMC] = { "rdpmc", "RDPMC", NULL, "exit_reason==0x6f" },
	[PROBE_NMI] = { "nmi", "host's NMI", NULL, "exit_reason==0x61" },
	[PROBE_IRET] = { "iret", "IRET", NULL, "exit_reason==0x74" },
	[PROBE_INTERRUPT] = { "interrupt", "host's interrupts", NULL, "exit_reason==0x60" },
	[PROBE_IO] = { "io", "port accesses", NULL, "exit_reason==0x7b" },
};

/* A number in a file; 0 if there is none, and errno. */
static unsigned int number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned int number = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%u", &number) != 1)
		errno = EINVAL;
	fclose(file);
	return number;
}

static unsigned int tracepoint(void)
{
	unsigned int id = number_in("/sys/kernel/tracing/events/kvm/kvm_exit/id");

	return id ? id : number_in("/sys/kernel/debug/tracing/events/kvm/kvm_exit/id");
}

static int open_probe(const struct probe_kind *kind)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	int fd;

	if (kind->function) {
		attr.type = number_in("/sys/bus/event_source/devices/kprobe/type");
		attr.kprobe_func = (uintptr_t)kind->function;
	} else {
		attr.type = PERF_TYPE_TRACEPOINT;
		attr.config = tracepoint();
	}
	if (kind->function ? !attr.type : !attr.config)
		return -1;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 || !kind->reason || !ioctl(fd, PERF_EVENT_IOC_SET_FILTER, kind->reason))
		return fd;
	close(fd);
	return -1;
}

int probes_open_interrupts(void)
{
	return open_probe(&(struct probe_kind){ .function = "hrtimer_interrupt" });
}

void probes_open(struct probes *probes)
{
	for (int i = 0; i < PROBES; i++) {
		probes->fd[i] = open_probe(&probe_kinds[i]);
		probes->error[i] = probes->fd[i] < 0 ? errno : 0;
	}
}

void probes_read(const struct probes *probes, uint64_t counts[PROBES])
{
	for (int i = 0; i < PROBES; i++)
		if (probes->fd[i] < 0 ||
		    read(probes->fd[i], &counts[i], sizeof(counts[i])) != sizeof(counts[i]))
			counts[i] = 0;
}

void probes_close(struct probes *probes)
{
	for (int i = 0; i < PROBES; i++)
		if (probes->fd[i] >= 0)
			close(probes->fd[i]);
}
