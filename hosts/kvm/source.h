/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * Where a vCPU's counts come from: the kernel's perf events, which count while its guest
 * runs and stand still while the host does.
 */
#ifndef VPMU_KVM_SOURCE_H
#define VPMU_KVM_SOURCE_H

#include <linux/types.h>
#include <vpmu/vpmu.h>

struct kvm_vcpu;
struct perf_event;
struct task_struct;
struct vpmu_source;

/* What has been done with perf events: for debugfs. */
struct vpmu_source_counts {
	u64 created;
	u64 released;
	u64 alarms; /* periods set */
	u64 totals; /* totals read */
};

struct vpmu_source_slot {
	struct vpmu_source *source;
	struct perf_event *event; /* NULL: nothing is bound */
	u64 told;                 /* the total told last */
	u64 left_out;             /* of the event's count, what is not in the total */
	u64 alarm;                /* the total at which it goes off; VPMU_NO_ALARM: none */
	u8 counter;
	bool paused; /* the vCPU is in the mode in which it does not count */
	bool host_mode;
	bool guest_mode; /* the modes in which it does; see struct vpmu_event */
};

struct vpmu_source {
	struct kvm_vcpu *vcpu;
	struct vpmu *pmu;
	struct task_struct *thread; /* that has run the vCPU last; its events belong to it */
	bool in_guest;       /* the guest runs a guest of its own */
	unsigned long modal; /* slots whose events count in one mode alone */
	bool foreign; /* the guest's vendor is not the machine's: encodings mean something else */
	bool lacking; /* there was no counter of the machine's for some event */
	unsigned long asked_at; /* when it was asked for again, in jiffies */
	struct vpmu_source_counts counts;
	struct vpmu_source_slot slots[VPMU_SLOTS];
};

/* The vCPU is in a guest of the guest's, or is not. Its thread's; not with a total underway. */
void vpmu_source_set_mode(struct vpmu_source *source, bool in_guest);

extern const struct vpmu_source_ops vpmu_source_ops;

void vpmu_source_init(struct vpmu_source *source, struct kvm_vcpu *vcpu, struct vpmu *pmu);

/*
 * The vCPU's thread has come to a CPU. Says whether events have lost their counters, or found
 * none, and are worth being asked for again.
 */
bool vpmu_source_wants_again(struct vpmu_source *source);

#endif
