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
 * An RDPMC whose #UD QEMU has raised. It is completed at the first instruction of the
 * #UD's handler. An NMI may come just before that, and its handler may have an RDPMC,
 * too.
 */
struct pending_rdpmc {
	uint64_t ip;
	uint8_t length;
	bool fault; /* it ends with #GP(0) */
	uint64_t value;
};

#define RDPMC_PENDING_MAX 4

/*
 * What QEMU runs in place of an RDPMC, for the sake of the exception that it raises:
 * the exception is made to look like one of the RDPMC's.
 */
struct substitute {
	uint64_t ip;
	uint64_t next_ip;   /* where the exception would return to; 0: there is no substitute */
	uint64_t return_ip; /* where it returns to instead */
	uint64_t rdpmc_ip;
};

struct rdpmc {
	struct pending_rdpmc pending[RDPMC_PENDING_MAX]; /* the newest is the last */
	unsigned int pending_count;
	bool ud_raised; /* the #UD of the newest has been raised and not delivered yet */
	struct substitute substitute;
};

/* RESET. */
void rdpmc_reset(struct vcpu *vcpu);

/* Before an RDPMC of the guest, in a callback that may set the PC. May not return. */
void rdpmc_serve(struct vcpu *vcpu, const struct site *site);

/* A handler may begin here. In a callback that may set the PC. May not return. */
void rdpmc_complete_pending(struct vcpu *vcpu);

/* An exception has been raised. In a callback that may set the PC. May not return. */
void rdpmc_raised(struct vcpu *vcpu);
/* An exception or interrupt has been delivered. True: it is the #UD of an RDPMC. */
bool rdpmc_delivered(struct vcpu *vcpu, bool exception);
/* An interrupt has been delivered, from this address. A substitute's exception has not come. */
void rdpmc_interrupted(struct vcpu *vcpu, uint64_t from);
/* A #VMEXIT has come of the #UD at ip. True: it is an RDPMC's, which is not pending any more. */
bool rdpmc_intercepted(struct vcpu *vcpu, uint64_t ip, struct pending_rdpmc *pending);
/*
 * A #VMEXIT has come at this instruction, or in the delivery of a #UD that the hypervisor
 * will inject again. Returns where the guest goes on.
 */
uint64_t rdpmc_left(struct vcpu *vcpu, uint64_t ip, bool in_delivery);
/* The guest has gone on: the substitute has raised no exception. */
void rdpmc_forget_substitute(struct vcpu *vcpu);

#endif
