/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Exceptions and interrupts of the guest. QEMU tells of an exception twice: when it
 * is raised, before its delivery and with an address that may lag behind, and as an
 * "interrupt" when it has been delivered, with the exact one. An interrupt without
 * an exception before it is a real one.
 */
#ifndef VPMU_QEMU_EXCEPTIONS_H
#define VPMU_QEMU_EXCEPTIONS_H

#include "count/score.h"

struct vcpu;

struct exceptions {
	bool pending;             /* one has been raised and not delivered yet */
	enum level pending_level; /* the level of the code that has raised it */
};

void exceptions_reset(struct vcpu *vcpu);

/* An exception has been raised and will be delivered. May not return. */
void exceptions_raised(struct vcpu *vcpu);
/*
 * A #VMEXIT has left the guest's code at this address, between two instructions or in the
 * middle of the one there.
 */
void exceptions_left(struct vcpu *vcpu, bool between, enum level level, uint64_t from);
/* Code of this level has been left at this address. The last block has run to its end. */
void exceptions_leave_whole_block(struct vcpu *vcpu, enum level level, uint64_t from);
/* The vCPU is at the start of the handler of an exception or interrupt. */
void exceptions_delivered(struct vcpu *vcpu, uint64_t from);

#endif
