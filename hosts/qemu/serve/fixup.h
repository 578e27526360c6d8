/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A fixup corrects the result of an instruction that QEMU runs itself. It is applied
 * before the next instruction: by a callback on that one, by a hook (hook.h) if the
 * instruction ends its block, or as its exception is raised.
 */
#ifndef VPMU_QEMU_FIXUP_H
#define VPMU_QEMU_FIXUP_H

#include <stdint.h>

struct vcpu;

enum fixup_kind {
	FIXUP_NONE,
	FIXUP_CPUID,   /* adjust what CPUID returned for index, subleaf */
	FIXUP_APIC_ID, /* note what RDMSR or CPUID returned in register `index` */
	FIXUP_SHARED,  /* adjust what RDMSR of a shared register, index, returned */
	FIXUP_RESULT,  /* RDMSR returns value */
	FIXUP_CX,      /* restore ECX, which was changed to make QEMU raise #GP */
	FIXUP_CR4,     /* restore CR4, for the same reason */
	FIXUP_EFER,    /* a WRMSR may have changed EFER */
};

struct fixup {
	enum fixup_kind kind;
	uint32_t index; /* CPUID leaf, MSR, or enum reg */
	uint32_t subleaf;
	uint64_t value;
};

/* Apply the vCPU's fixup, if there is one. */
void fixup_apply(struct vcpu *vcpu);

#endif
