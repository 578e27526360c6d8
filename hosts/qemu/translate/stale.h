/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A WRMSR may start counters that the present translations do not count. They are
 * stale then, and the vCPU does not go on behind the WRMSR before there are new ones.
 */
#ifndef VPMU_QEMU_STALE_H
#define VPMU_QEMU_STALE_H

#include <stdbool.h>

struct site;
struct vcpu;

enum stale {
	STALE_NONE,      /* translations are not stale when the vCPU enters its next block */
	STALE_REQUESTED, /* they may be: another vCPU has asked for new ones first */
	STALE_AWAITED,   /* the vCPU waits for them */
};

/* The vCPU's translations are stale: ask for new ones. */
void stale_request(struct vcpu *vcpu);

/* A WRMSR of the PMU is being served. */
void stale_before_wrmsr(struct vcpu *vcpu);
void stale_after_wrmsr(struct vcpu *vcpu, const struct site *wrmsr);

/* In a hook: the PMU has begun to count anew. */
void stale_begin(struct vcpu *vcpu);

/* In a hook: wait for new translations, if they are awaited. May not return. */
void stale_wait(struct vcpu *vcpu);

#endif
