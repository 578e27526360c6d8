/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hook is a callback at the start of a block. A vCPU that has something to do before it
 * goes on behind an instruction, or in a handler, is led to a hook there.
 */
#ifndef VPMU_QEMU_HOOK_H
#define VPMU_QEMU_HOOK_H

#include <stdbool.h>
#include <stdint.h>

struct site;
struct vcpu;

/* What the vCPU is led to. */
enum hook_place {
	HOOK_BEHIND, /* the block behind an instruction */
	HOOK_LINKED, /* ... which QEMU may have follow without a look at the flags */
	HOOK_START,  /* a handler that has not begun, for this once */
	HOOK_RDPMC,  /* ... and again after whatever interrupts it there */
};

struct hook {
	uint64_t flag; /* the flag of EFLAGS that is set for it; 0: there is none */
	enum hook_place place;
};

/* The site ends its block: a hook is to come behind it. */
void hook_behind(struct vcpu *vcpu, const struct site *site);
/* An exception or interrupt has been delivered: a hook is to come before the handler. */
void hook_handler(struct vcpu *vcpu, enum hook_place place);

/*
 * In the hook's callback, which may set the PC: the flag is taken away. True: what has to be
 * done comes first, and then the block is to be started again.
 */
bool hook_reached(struct vcpu *vcpu);
/* Before an exception is delivered that has come instead of the hook. */
void hook_raised(struct vcpu *vcpu);
/* Take the flag of another hook away. */
void hook_clear(const struct vcpu *vcpu, struct hook hook);
/* An interrupt has come instead of the hook, and its handler is to begin. */
void hook_interrupted(struct vcpu *vcpu);

/* A #VMEXIT has come instead of the hook: put the flags right that it has saved. */
uint64_t hook_left(struct vcpu *vcpu, uint64_t flags);

/* Derive score.hook_pending. To be called when what waits for a hook changes. */
void hook_update(struct vcpu *vcpu);

#endif
