/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is installed in translations: the entries that blocks add to, and those
 * whose threshold they look at. It changes only while everything is translated anew.
 */
#ifndef VPMU_QEMU_INSTALLED_H
#define VPMU_QEMU_INSTALLED_H

#include "count/score.h"

struct vcpu;

/* Which blocks look at the threshold of an entry: all, or those that may close a loop. */
enum look { LOOK_BLOCK, LOOK_LOOP, LOOK_COUNT };

/* Slots begin and cease to use these entries. */
void installed_use(uint64_t entries);
void installed_unuse(uint64_t entries);

/* The entries that blocks have to add to, and that they do add to. */
uint64_t installed_wanted(void);
uint64_t installed_entries(void);

/* Entries looked at in each block, or in each loop. */
uint64_t installed_looked_at(enum look look);
/* Have blocks look at the entry's threshold as often as its alarm asks for. */
void installed_look_at(struct vcpu *vcpu, unsigned int entry);
/* Alarms that were too far away to be looked for come near as time passes. */
void installed_look_ahead(struct vcpu *vcpu);

/*
 * Every conditional branch is a branch. Where both are counted, one that is conditional
 * is only added to its own entry, which is then a part of the entry of all branches:
 * "folded", unless a threshold is to stand for the whole.
 */
uint64_t installed_folded(void);

/* The part of a folded entry that is added elsewhere. */
static inline unsigned int entry_folded_into(unsigned int entry)
{
	return entry_of(CLASS_CONDITIONAL, (enum level)(entry % LEVEL_COUNT));
}

/* No vCPU runs, and no translation is left: from now on install what is wanted. */
void installed_update(void);
/* What was left only a short while ago is not wanted any more, either. */
void installed_forget_recent(void);

#endif
