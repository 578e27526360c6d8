/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the plugin knows of a vCPU beside its PMU and cannot find out again: the local
 * APIC's registers that it follows, and what it has begun and not finished for the guest.
 */
#ifndef VPMU_QEMU_CARRIED_H
#define VPMU_QEMU_CARRIED_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

#define CARRIED_WORDS 48

/* Between two blocks. */
void carried_save(const struct vcpu *vcpu, uint64_t words[CARRIED_WORDS]);
/* False: no vCPU can have saved this, and nothing has changed. */
bool carried_load(struct vcpu *vcpu, const uint64_t words[CARRIED_WORDS]);

#endif
