/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The machine that counts: its processor, and the PMUs of its cores as Linux shows them in
 * sysfs. Not for hosts.
 */
#ifndef VPMU_PERF_EVENT_MACHINE_H
#define VPMU_PERF_EVENT_MACHINE_H

#include <linux/perf_event.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

/* Where Linux has a folder for each PMU. */
#define MACHINE_SYSFS "/sys/bus/event_source/devices"

/* What a PMU's raw events may have in attr.config1: names of files in its folder "format". */
enum machine_format {
	MACHINE_OFFCORE_RSP = 1,
	MACHINE_FRONTEND = 2,
};

/* The PMU of one kind of core. */
struct machine_pmu {
	uint32_t type;        /* for attr.type */
	unsigned int formats; /* enum machine_format, ORed */
	cpu_set_t cpus;       /* that have it; meaningless if it is the only one */
};

/* Linux knows three kinds of core in one machine at most. */
#define MACHINE_PMUS 4

/* It is read when the first event of a processor is to be opened, if there ever is one. */
struct machine {
	const char *folder;
	bool is_read;
	unsigned int count;
	struct machine_pmu pmus[MACHINE_PMUS];
};

/* The machine that this folder describes: MACHINE_SYSFS. */
static inline struct machine machine_at(const char *folder)
{
	return (struct machine){ .folder = folder };
}

/* Is the machine's processor of this vendor, family and model? signature: CPUID.01H:EAX. */
bool vpmu_pe_machine_is(enum vpmu_vendor_id vendor, uint32_t signature);

/* Is an attr.type one of what processors count? Other events are the kernel's own. */
bool vpmu_pe_machine_counts(struct machine *machine, uint32_t type);

/*
 * Make an event of the processor one of the PMU that the thread's core has; cpu: the CPU
 * that the event is for; -1: those that the thread may run on. 0, or why it cannot be:
 * EXDEV: they are of several kinds; ENOENT: the PMU does not know attr.config1.
 */
int vpmu_pe_machine_place(struct machine *machine, int cpu, struct perf_event_attr *attr);

#endif
