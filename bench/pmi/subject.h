/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A subject: a vCPU's PMU under test, the library's or a baseline, over one kind
 * of events. Driven by replay.c as a host drives its PMU: an access, then the
 * service that comes before the guest goes on.
 */
#ifndef VPMU_BENCH_PMI_SUBJECT_H
#define VPMU_BENCH_PMI_SUBJECT_H

#include <signal.h>
#include <vpmu/vpmu.h>

/* What happens in the stand-in for the guest's events, and how it is counted. */
enum subject_events {
	EVENTS_MEMORY,   /* additions to numbers in memory: no kernel; the library only */
	EVENTS_SOFTWARE, /* minor page faults, as a Linux software event */
	EVENTS_HARDWARE, /* user instructions, as a Linux hardware event */
	EVENTS_KINDS,
};

struct subject_ops {
	const char *name;
	const char *what; /* one line for people */
	/* NULL with errno set if it cannot be had. Only one subject exists at a time. */
	void *(*make)(const struct vpmu_config *config, enum subject_events events);
	void (*end)(void *subject);
	void (*reset)(void *subject);
	enum vpmu_answer (*rdmsr)(void *subject, uint32_t msr, uint64_t *value);
	enum vpmu_answer (*wrmsr)(void *subject, uint32_t msr, uint64_t value);
	enum vpmu_answer (*rdpmc)(void *subject, uint32_t index, uint64_t *value);
	/* Before the guest goes on; true: a PMI is due. */
	bool (*service)(void *subject);
	/* IA32_PERF_GLOBAL_STATUS as it is held; touches nothing. */
	uint64_t (*status)(void *subject);
	/* One occurrence of the events of EVENTS_MEMORY; NULL: has none. */
	void (*happen)(void *subject);
};

extern const struct subject_ops subject_ours;
extern const struct subject_ops subject_kvm_2018;
extern const struct subject_ops subject_kvm_rfc;
extern const struct subject_ops subject_kvm_6_12;

/* By the name; NULL: there is none. */
const struct subject_ops *subject_find(const char *name);
/* All of them, in the order in which they are shown; ends with NULL. */
extern const struct subject_ops *const subjects[];

/*
 * Something has overflowed: the vCPU exits. Set by a subject, from a signal
 * handler or not; cleared by the engine before the service.
 */
extern volatile sig_atomic_t subject_kicked;

/*
 * The counters that the plan has overflow together next, or have just now; set by the
 * engine before the guest runs. A kernel's callbacks are told each counter by its event;
 * of one SIGTRAP for several events, user space is told one. So a baseline may look here
 * for the others, and takes out those that it has seen to.
 */
extern volatile uint64_t subject_expected;

#endif
