/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RDPMC, which QEMU answers with #UD.
 */
#ifndef VPMU_QEMU_RDPMC_H
#define VPMU_QEMU_RDPMC_H

#include <stdbool.h>
#include <stdint.h>

struct site;
struct vcpu;

/*
 * RDPMC that QEMU answers with #UD: completed at the first instruction of the
 * handler. An NMI may come just before that, with an RDPMC in its own handler.
 */
#define UNDOS_MAX 4

struct undo {
	uint8_t length;
	bool fault;  /* with #GP(0) */
	uint64_t ip; /* of the instruction */
	uint64_t value;
};

/* An exception that is brought about at another address, for an instruction. */
struct detour {
	uint64_t at;   /* where it is raised ... */
	uint64_t from; /* ... so that it would return here (0: there is none) ... */
	uint64_t to;   /* ... and returns there */
	uint64_t ip;   /* the instruction that it stands for */
};

struct rdpmc {
	struct undo undos[UNDOS_MAX]; /* the newest is the last */
	unsigned int undo_count;
	bool undo_raised; /* the next exception that is delivered is the newest's */
	struct detour detour;
};

void rdpmc_reset(struct vcpu *vcpu);

/* The guest's RDPMC, in a callback that may set the PC. May not return. */
void rdpmc_serve(struct vcpu *vcpu, const struct site *site);

/* Where a handler may begin, in a callback that may set the PC. May not return. */
void rdpmc_undo(struct vcpu *vcpu);

/* An exception has been raised: if it is a detour's, it returns elsewhere. May not return. */
void rdpmc_raised(struct vcpu *vcpu);
/* True: the #UD of an RDPMC has been delivered, whose handler begins here. */
bool rdpmc_delivered(struct vcpu *vcpu, bool exception, uint64_t to);
/* An interrupt has come instead of a detour's exception: it returns to the instruction itself. */
void rdpmc_interrupted(struct vcpu *vcpu, uint64_t from);
/* No exception of a detour can come any more. */
void rdpmc_settle(struct vcpu *vcpu);

#endif
