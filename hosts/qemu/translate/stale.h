/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Translations that do not do yet what a vCPU has asked for.
 */
#ifndef VPMU_QEMU_STALE_H
#define VPMU_QEMU_STALE_H

#include <stdbool.h>

struct site;
struct vcpu;

/* Of a vCPU, since its last WRMSR. */
enum stale {
	STALE_NONE,      /* or its own request for new ones is served before its next block */
	STALE_REQUESTED, /* another vCPU's request is to serve this one, too ... */
	STALE_AWAITED,   /* ... and until then it does not go on */
};

/* Translate everything anew. */
void stale_request(struct vcpu *vcpu);

/* Around what a WRMSR asks for. The guest goes on behind it with new translations. */
void stale_before_wrmsr(struct vcpu *vcpu);
void stale_after_wrmsr(struct vcpu *vcpu, const struct site *wrmsr);

/* At the start of a block, in a callback that may set the PC. May not return. */
void stale_wait(struct vcpu *vcpu);

#endif
