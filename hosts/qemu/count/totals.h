/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The totals that translated blocks add to. A block adds all of its instructions as
 * it starts, so what has not run yet is taken off: while a site in the middle of the
 * block is served, and when the block ends early.
 */
#ifndef VPMU_QEMU_TOTALS_H
#define VPMU_QEMU_TOTALS_H

#include "count/score.h"
#include "translate/block.h"

struct vcpu;

struct totals {
	uint64_t bias[ENTRY_COUNT]; /* what brings an entry's next alarm to THRESHOLD */
	const struct site *site;    /* the site that is being served: NULL if there is none */
	bool site_retired;          /* whether the instruction at the site counts already */
};

/* An entry's total as it is now. */
uint64_t totals_entry(const struct vcpu *vcpu, unsigned int entry);
/* The part of an entry's total that another entry has; see installed_folded(). */
uint64_t totals_folded(const struct vcpu *vcpu, unsigned int entry);
/* Let the entry reach THRESHOLD when its total reaches this. */
void totals_set_threshold(struct vcpu *vcpu, unsigned int entry, uint64_t total);

/* Only the first `done` instructions of the block have run: take off the rest. */
void totals_correct(struct vcpu *vcpu, const struct block *block, unsigned int done);
/* Add a block that does not do so itself. */
void totals_add(struct vcpu *vcpu, const struct block *block);

#endif
