/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How the count of an event is made of the entries' totals.
 */
#ifndef VPMU_QEMU_FORMULA_H
#define VPMU_QEMU_FORMULA_H

#include "arguments.h"
#include "count/score.h"
#include <vpmu/source.h>

struct vcpu;

struct formula {
	enum event_class class; /* CLASS_NONE: it stays zero */
	bool cycles;            /* times cpi */
	bool inverted;          /* cycles without the class's event */
	enum level level;
};

void formula_set_cpi(struct cpi cpi);

/* False if the event cannot be counted exactly. */
bool formula_of(const struct vpmu_event *event, struct formula *f);

/* The entries that a formula reads. */
uint64_t formula_entries(const struct formula *f);
/* The one whose growth bounds the formula's from above; there is none for CLASS_NONE. */
unsigned int formula_leading_entry(const struct formula *f);

uint64_t formula_total(const struct vcpu *vcpu, const struct formula *f);
/* The growth of the leading entry after which the total has grown by this much, at the earliest. */
uint64_t formula_distance(const struct formula *f, uint64_t growth);

#endif
