/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What counting puts into a block: additions to the totals at its start, and what
 * the corrections of rerun.c need.
 */
#ifndef VPMU_QEMU_COUNTING_H
#define VPMU_QEMU_COUNTING_H

#include "translate/translation.h"

/* Under -icount QEMU cuts blocks short, to be on time. */
void counting_under_icount(void);

/* Entries that blocks of this level add to now. */
uint64_t counting_entries(enum level level);
/* Does counting these take the facts of a translation? */
bool counting_needs_facts(uint64_t entries);

/* Behind all else that is put into the block, for all additions come before the alarms. */
void counting_add(struct translation *t, uint64_t entries);

#endif
