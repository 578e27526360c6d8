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
	bool enabled;   /* in x2APIC mode: SVR bit 8 */
	uint32_t lvtpc; /* in x2APIC mode, where LVTPC cannot be reached */
	uint64_t base;  /* the register page that the guest has set; 0: RESET's */
	uint8_t id;
};

struct lapic {
	struct lapic_registers now;
	/* A WRMSR has been followed that QEMU may still refuse: its address; 0: there is none. */
	uint64_t write_address;
	struct lapic_registers before_write;
	uint32_t x2apic_id; /* what the guest has read of it; 0: nothing yet */
};

void lapic_reset(struct vcpu *vcpu);
/* INIT keeps the mode and the ID. */
void lapic_init(struct vcpu *vcpu);
/* Deliver a PMI; mask: then set LVTPC's mask bit. False: none could be delivered. */
bool lapic_pmi(struct vcpu *vcpu, bool mask);

/* The guest has read the x2APIC ID, which cannot be reached from here. */
bool lapic_is_id(const struct vcpu *vcpu, uint32_t msr);
void lapic_take_id(struct vcpu *vcpu, uint32_t id);

/* False: not a register that is answered here. */
bool lapic_rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
/* A WRMSR that QEMU answers. QEMU may refuse the value with #GP. */
void lapic_wrmsr(struct vcpu *vcpu, const struct site *site, uint32_t msr, uint64_t value);
/* QEMU has not refused the last WRMSR. */
void lapic_accept_write(struct vcpu *vcpu);
/*
 * An exception or interrupt has been delivered, from this linear address. If it is
 * the #GP of the last WRMSR, that is taken back.
 */
void lapic_delivered(struct vcpu *vcpu, bool exception, uint64_t from);

#endif
