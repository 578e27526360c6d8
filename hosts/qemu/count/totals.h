/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The totals that translated blocks add to as they start, corrected to what has
 * run: a site that is being served is in the middle of its block, and a block
 * that an exception cuts short has been counted to its end.
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

/* A total as it is now. */
uint64_t totals_entry(const struct vcpu *vcpu, unsigned int entry);
/* What another entry has of this one's total. */
uint64_t totals_folded(const struct vcpu *vcpu, unsigned int entry);
/* The entry's threshold is reached when its total has grown to this. */
void totals_set_threshold(struct vcpu *vcpu, unsigned int entry, uint64_t total);

/* The block ended before instruction number `done`: take off what did not run. */
void totals_correct(struct vcpu *vcpu, const struct block *block, unsigned int done);
/* A block that does not add to the totals by itself. */
void totals_add(struct vcpu *vcpu, const struct block *block);

#endif
