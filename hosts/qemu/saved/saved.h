/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A guest's PMUs in QEMU's saved states (savevm, migrate). QEMU tells a plugin of neither,
 * but a vCPU is idle whenever it is stopped: it then puts its PMU into the guest's memory.
 */
#ifndef VPMU_QEMU_SAVED_H
#define VPMU_QEMU_SAVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vcpu;

struct saved {
	bool parked;    /* idle, or unplugged */
	uint64_t stamp; /* of what it put into memory last; 0: nothing */
	bool load_due; /* a state has been loaded: before it goes on, it takes its PMU from there */
	bool service_due; /* it has taken one that does not count yet */
	bool hook_added;  /* for that */
};

/* QEMU's callbacks: a vCPU stops running for a while, and is about to run again. */
void saved_idle(struct vcpu *vcpu);
void saved_resume(struct vcpu *vcpu);

/* An exception or interrupt is about to be looked at: take what has been loaded. */
void saved_take(struct vcpu *vcpu);
/* In a hook: a PMU that has been loaded begins to count. */
void saved_start(struct vcpu *vcpu);
/* An interrupt has come first: the hook is in its handler. */
void saved_interrupted(struct vcpu *vcpu);

/* RESET of a vCPU, of the machine, and a vCPU that is unplugged. */
void saved_reset(struct vcpu *vcpu);
void saved_begin(void);
void saved_unplugged(struct vcpu *vcpu);

#endif
