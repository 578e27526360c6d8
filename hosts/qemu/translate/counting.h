/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What counting puts into a block: additions to the totals at its start, checks (checks.h),
 * and what rerun.c needs for its corrections.
 */
#ifndef VPMU_QEMU_COUNTING_H
#define VPMU_QEMU_COUNTING_H

#include "translate/translation.h"

/* Under -icount QEMU ends blocks early, to be on time for a timer. */
void counting_under_icount(void);

/* The entries that blocks of this level add to now. */
uint64_t counting_entries(enum level level);
/* Do these entries need decoded instructions? */
bool counting_needs_facts(uint64_t entries);

/* What translated code of the block adds to an entry. The block may be NULL. */
unsigned int counting_addition(const struct translation *t, const struct block *block,
			       unsigned int entry);

/*
 * To be called behind whatever counts events of the block before, as the models do. False:
 * there was nothing to put into the block.
 */
bool counting_add(struct translation *t, uint64_t entries);

#endif
