/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A fixup corrects the result of an instruction that QEMU runs itself. It is applied
 * before the next instruction: by a callback on that one, or, if the instruction ends
 * its block, by a hook of the next block.
 */
#ifndef VPMU_QEMU_FIXUP_H
#define VPMU_QEMU_FIXUP_H

#include <stdint.h>

struct site;
struct vcpu;

enum fixup_kind {
	FIXUP_NONE,
	FIXUP_CPUID,   /* adjust what CPUID returned for index, subleaf */
	FIXUP_APIC_ID, /* note what RDMSR or CPUID returned in register `index` */
	FIXUP_SHARED,  /* adjust what RDMSR of a shared register, index, returned */
	FIXUP_RESULT,  /* RDMSR returns value */
	FIXUP_CX,      /* restore ECX, which was changed to make QEMU raise #GP */
	FIXUP_CR4,     /* restore CR4, for the same reason */
};

struct fixup {
	enum fixup_kind kind;
	uint32_t index; /* CPUID leaf, MSR, or enum reg */
	uint32_t subleaf;
	uint64_t value;
};

/* The instruction raises an exception. The fixup is applied then. */
void fixup_on_exception(struct vcpu *vcpu, struct fixup fixup);
/* The instruction raises none. The fixup is applied behind it. */
void fixup_behind(struct vcpu *vcpu, const struct site *site, struct fixup fixup);
/* Apply the fixup, if there is one. */
void fixup_apply(struct vcpu *vcpu);

/* The site ends its block, and the hook of the next block has something to do. */
void fixup_hook_behind(struct vcpu *vcpu, const struct site *site);
/* Derive score.hook_pending from what waits for a hook. To be called when that changes. */
void fixup_update_hook(struct vcpu *vcpu);

#endif
