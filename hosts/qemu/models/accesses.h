/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tells the model of the caches of the guest's accesses: data, and code that is fetched.
 */
#ifndef VPMU_QEMU_ACCESSES_H
#define VPMU_QEMU_ACCESSES_H

#include "models/cache.h"
#include "translate/translation.h"

struct vcpu;

/* The geometry of the caches. To be changed before any vCPU runs. */
struct cache_config *accesses_geometry(void);

/* The model begins to run. */
void accesses_start(struct vcpu *vcpu);
/* Put into a decoded block what the model needs. */
void accesses_translate(struct translation *t);

#endif
