/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tells the branch predictor's model of the guest's branches.
 */
#ifndef VPMU_QEMU_BRANCHES_H
#define VPMU_QEMU_BRANCHES_H

#include "count/score.h"
#include "translate/translation.h"

struct vcpu;

/* A near branch that the predictor learns of, at the end of its block. */
struct branch {
	enum insn_flow flow;
	enum level level;
	uint64_t address;      /* physical */
	uint64_t next_address; /* of what follows it, or PREDICTOR_ANY_PAGE */
};

/* The model starts to run. */
void branches_start(struct vcpu *vcpu);
/* What a decoded block needs. */
void branches_translate(struct translation *t);
/* Translations are about to be thrown away. */
void branches_keep(struct vcpu *vcpu);
/* The vCPU has left the program for a handler, and will come back at `from`. */
void branches_interrupted(struct vcpu *vcpu, bool exception, uint64_t from);

#endif
