/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An event's count as a formula of the entries' totals.
 */
#ifndef VPMU_QEMU_FORMULA_H
#define VPMU_QEMU_FORMULA_H

#include "arguments.h"
#include "count/score.h"
#include <vpmu/source.h>

struct vcpu;

struct formula {
	enum event_class class; /* CLASS_NONE: the count stays 0 */
	bool cycles;            /* the total is instructions, the count cycles: times cpi */
	bool inverted;          /* the count is the cycles in which the class does not occur */
	enum level level;
};

void formula_set_cpi(struct cpi cpi);
void formula_set_family(enum family family);

/* False if the event cannot be counted exactly. */
bool formula_of(const struct vpmu_event *event, struct formula *f);

/* The entries that the formula reads. */
uint64_t formula_entries(const struct formula *f);
/*
 * The entry that limits how fast the count grows: an alarm of the count is a threshold
 * on this entry. Not for CLASS_NONE.
 */
unsigned int formula_leading_entry(const struct formula *f);
/* How much the leading entry has to grow at least before the count has grown by this much. */
uint64_t formula_distance(const struct formula *f, uint64_t growth);

/* The count now. */
uint64_t formula_total(const struct vcpu *vcpu, const struct formula *f);

#endif
