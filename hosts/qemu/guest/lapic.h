/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From a PMI to an interrupt: LVTPC of QEMU's local APIC (SDM vol. 3,
 * "Advanced Programmable Interrupt Controller", local vector table).
 */
#ifndef VPMU_QEMU_LAPIC_H
#define VPMU_QEMU_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

struct site;
struct vcpu;

struct lapic_registers {
	bool x2apic;
	bool enabled; /* x2APIC mode: SVR bit 8 */
	uint32_t id;
	uint32_t lvtpc; /* in x2APIC mode, where LVTPC cannot be reached */
};

struct lapic {
	struct lapic_registers now;
	struct lapic_registers before; /* a WRMSR that QEMU may yet refuse ... */
	uint64_t written_at;           /* ... the one at this address; 0: there is none */
};

void lapic_reset(struct vcpu *vcpu);
/* Deliver a PMI; mask: then set LVTPC's mask bit. */
void lapic_pmi(struct vcpu *vcpu, bool mask);

/* False: not a register that is answered here. */
bool lapic_rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
/* QEMU has the registers, and may refuse the value. */
void lapic_wrmsr(struct vcpu *vcpu, const struct site *site, uint32_t msr, uint64_t value);
/* The last WRMSR has not been refused, ... */
void lapic_settle(struct vcpu *vcpu);
/* ... unless this exception, from this linear address, is its #GP. */
void lapic_delivered(struct vcpu *vcpu, bool exception, uint64_t from);

#endif
