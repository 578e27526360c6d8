/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tells the branch predictor's model of the guest's branches.
 */
#ifndef VPMU_QEMU_BRANCHES_H
#define VPMU_QEMU_BRANCHES_H

#include "count/score.h"
#include "translate/translation.h"

struct vcpu;

/* A near branch at the end of its block. */
struct branch {
	enum insn_flow flow;
	enum level level;
	uint64_t address;      /* physical */
	uint64_t next_address; /* of the next instruction; or PREDICTOR_ANY_PAGE */
};

/* The model begins to run. */
void branches_start(struct vcpu *vcpu);
/* Put into a decoded block what the model needs. */
void branches_translate(struct translation *t);
/* QEMU has thrown the translations away; blocks are freed after this. */
void branches_keep(struct vcpu *vcpu);
/* An exception or interrupt has been delivered, whose handler returns to this address. */
void branches_interrupted(struct vcpu *vcpu, bool exception, uint64_t from);
/* The same by a #VMEXIT: the address is one of the guest's, and the host's mappings are in force.
 */
void branches_left(struct vcpu *vcpu, bool exception, uint64_t from);

#endif
