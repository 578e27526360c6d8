/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See reset.h. SDM vol. 3, "Processor State Following Power-up, Reset, or INIT", and
 * "Multiple-Processor (MP) Initialization".
 */
#include "reset.h"
#include "registers.h"
#include "vcpu.h"
#include "x86.h"

#define RESET_VECTOR UINT64_C(0xfffffff0)
#define RESET_IP     UINT64_C(0xfff0)
#define RESET_CR0    (CR0_CD | CR0_NW | CR0_ET)

/* A STARTUP IPI names a page. */
bool reset_may_lead_to(uint64_t vaddr)
{
	return (vaddr == RESET_VECTOR || vaddr % PAGE == 0) && !(reg_read(GUEST_CR0) & CR0_PE);
}

/* What RESET and INIT leave, and no other code that comes here. */
bool reset_has_begun(void)
{
	static const enum reg cleared[] = { GUEST_AX, GUEST_BX,  GUEST_CX,  GUEST_SP,
					    GUEST_SS, GUEST_CR4, GUEST_EFER };
	uint64_t ip = reg_read(GUEST_IP);

	for (unsigned int i = 0; i < G_N_ELEMENTS(cleared); i++)
		if (reg_read(cleared[i]))
			return false;
	return (ip == 0 || ip == RESET_IP) && reg_read(GUEST_CR0) == RESET_CR0 &&
	       reg_read(GUEST_FLAGS) == FLAGS_ONE;
}

/*
 * The boot processor begins at the reset vector in either case. QEMU's RESET clears the
 * kernel GS base, which INIT keeps and a system that ran has set.
 */
void reset_look(unsigned int vcpu_index, void *unused)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	(void)unused;
	if (!reset_has_begun())
		return;
	vcpus_identify((uint32_t)reg_read(GUEST_DX));
	if (reg_read(GUEST_IP) == RESET_IP && reg_read(GUEST_KGSBASE) == 0)
		vcpus_reset();
	else
		vcpu_take_init(vcpu);
}
