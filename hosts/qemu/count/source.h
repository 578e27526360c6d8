/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The source under TCG: each counter's total is made of totals that translated
 * blocks add to, and its alarm is a threshold on one of them.
 */
#ifndef VPMU_QEMU_SOURCE_H
#define VPMU_QEMU_SOURCE_H

#include "count/formula.h"
#include <vpmu/source.h>

struct vcpu;

struct slot {
	bool used;
	struct formula formula;
	bool host_mode, guest_mode; /* the modes in which it counts */
	uint64_t excluded;          /* what the formula has counted in the other mode ... */
	uint64_t stopped_at;        /* ... or its count when that has begun */
	uint64_t last_total;        /* what was reported last: a total never goes backwards */
	uint64_t alarm;
};

struct source {
	struct slot slots[VPMU_SLOTS];
};

/* A source is a struct vcpu. */
extern const struct vpmu_source_ops source_ops;

/*
 * Look for alarms that have been reached. The totals have to be what has retired. True:
 * there was one, and service() is due.
 */
bool source_check_alarms(struct vcpu *vcpu);

/* svm.guest_mode has changed. The totals have to be what has retired. */
void source_change_mode(struct vcpu *vcpu);

/* One of a class that no block adds up: it happens now, for code of this level. */
void source_count(struct vcpu *vcpu, enum event_class class, enum level level);

#endif
