/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tells the caches' model of the guest's accesses: to data, and of code.
 */
#ifndef VPMU_QEMU_ACCESSES_H
#define VPMU_QEMU_ACCESSES_H

#include "models/cache.h"
#include "translate/translation.h"

struct vcpu;

/* What the caches are like; to be changed before any vCPU runs. */
struct cache_config *accesses_geometry(void);

/* The model starts to run. */
void accesses_start(struct vcpu *vcpu);
/* What a decoded block needs. */
void accesses_translate(struct translation *t);

/* Whether the accesses that this value of OFFCORE_RSP asks for can be told from others. */
bool accesses_can_tell(uint64_t offcore);

#endif
