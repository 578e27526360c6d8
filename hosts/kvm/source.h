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
	u8 counter;
	bool armed; /* the period that runs is one that an alarm wants */
};

struct vpmu_source {
	struct kvm_vcpu *vcpu;
	struct vpmu *pmu;
	struct task_struct *thread; /* that has run the vCPU last; its events belong to it */
	bool foreign; /* the guest's vendor is not the machine's: encodings mean something else */
	bool lacking; /* there was no counter of the machine's for some event */
	unsigned long asked_at; /* when it was asked for again, in jiffies */
	struct vpmu_source_counts counts;
	struct vpmu_source_slot slots[VPMU_SLOTS];
};

extern const struct vpmu_source_ops vpmu_source_ops;

void vpmu_source_init(struct vpmu_source *source, struct kvm_vcpu *vcpu, struct vpmu *pmu);

/* The machine's event of this id, as a raw one; 0: there is none. */
u64 vpmu_source_event(enum vpmu_event_id id);

/*
 * The vCPU's thread has come to a CPU. Says whether events have lost their counters, or found
 * none, and are worth being asked for again.
 */
bool vpmu_source_wants_again(struct vpmu_source *source);

#endif
