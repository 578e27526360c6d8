/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is still to be done about an instruction that QEMU runs itself: before the
 * next one, by a callback on what follows, or by a hook where it ends its block.
 */
#ifndef VPMU_QEMU_FIXUP_H
#define VPMU_QEMU_FIXUP_H

#include <stdint.h>

struct site;
struct vcpu;

enum fixup_kind {
	FIXUP_NONE,
	FIXUP_CPUID,  /* adjust what CPUID returned for index, subleaf */
	FIXUP_SHARED, /* adjust what RDMSR of a shared register, index, returned */
	FIXUP_RESULT, /* RDMSR returns value */
	FIXUP_CX,     /* value goes back into ECX, changed to make QEMU raise #GP */
	FIXUP_CR4,    /* the same for CR4 */
};

struct fixup {
	enum fixup_kind kind;
	uint32_t index; /* CPUID leaf, or MSR */
	uint32_t subleaf;
	uint64_t value;
};

/* When the instruction's exception has been raised. */
void fixup_on_exception(struct vcpu *vcpu, struct fixup fixup);
/* Behind the instruction, which goes on as QEMU has it. */
void fixup_behind(struct vcpu *vcpu, const struct site *site, struct fixup fixup);
/* Now, if there is one. */
void fixup_apply(struct vcpu *vcpu);

/* The hook of what follows the site, which ends its block, is to run. */
void fixup_hook_behind(struct vcpu *vcpu, const struct site *site);
/* Something has come that waits for a hook, or has gone. */
void fixup_update_hook(struct vcpu *vcpu);

#endif
