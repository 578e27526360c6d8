/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is installed in translations: the entries that blocks add to, and those that
 * they compare with the threshold. It changes only while everything is translated anew.
 */
#ifndef VPMU_QEMU_INSTALLED_H
#define VPMU_QEMU_INSTALLED_H

#include "count/score.h"

struct vcpu;

/* Which blocks compare an entry with the threshold: all, or those that may close a loop. */
enum check { CHECK_EACH_BLOCK, CHECK_EACH_LOOP, CHECK_COUNT, CHECK_NONE = CHECK_COUNT };

/* A slot begins to use these entries, or ceases to. */
void installed_use(uint64_t entries);
void installed_unuse(uint64_t entries);

/* The entries that slots use, and those that blocks add to now. */
uint64_t installed_wanted(void);
uint64_t installed_entries(void);

/* The entries that these blocks check. */
uint64_t installed_checked(enum check check);
/* An alarm of the entry has been set: have it checked as often as its distance demands. */
void installed_want_check(struct vcpu *vcpu, unsigned int entry);
/* From time to time: alarms that were too far away to be checked may have come near. */
void installed_update_checks(struct vcpu *vcpu);

/*
 * Every conditional branch is a branch. Where both are counted, a conditional branch is
 * added to the entry of conditional branches only, which saves an addition a block. The
 * entry of all branches is then "folded": its total is the sum of both. An entry that
 * is checked cannot be folded.
 */
uint64_t installed_folded(void);

/* The entry that has the rest of a folded entry's total. */
static inline unsigned int entry_folded_part(unsigned int entry)
{
	return entry_of(CLASS_CONDITIONAL, (enum level)(entry % LEVEL_COUNT));
}

/* No vCPU runs, and no translation is left. New ones will have what is wanted now. */
void installed_update(void);
/* The next installed_update() drops what no slot uses, however recently one did. */
void installed_forget_recent(void);

#endif
