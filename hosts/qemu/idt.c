/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the guest's exception handlers are. QEMU tells a plugin neither, nor
 * IDTR, so LIDT is watched (SDM vol. 2, LIDT; vol. 3, "IDT Descriptors").
 */
#include "plugin.h"

#define CR0_PE	 (UINT64_C(1) << 0)
#define EFER_LMA (UINT64_C(1) << 10)

static uint64_t operand_address(const struct lidt *lidt)
{
	const struct memory_operand *m = &lidt->operand;
	uint64_t address = (uint64_t)m->displacement;

	if (m->base == MEMORY_IP)
		address += access_site_ip(&lidt->site) + lidt->site.length;
	else if (m->base >= 0)
		address += reg_read((enum reg)(GUEST_AX + m->base));
	if (m->index >= 0)
		address += reg_read((enum reg)(GUEST_AX + m->index)) * m->scale;
	if (m->address_bits < 64)
		address &= (UINT64_C(1) << m->address_bits) - 1;
	if (!(reg_read(GUEST_CR0) & CR0_PE)) /* elsewhere segments are taken as flat */
		address += reg_read(m->stack ? GUEST_SS : GUEST_DS) << 4;
	return address;
}

/* On an LIDT at level 0, before it runs. */
void idt_loaded(unsigned int vcpu_index, void *userdata)
{
	const struct lidt *lidt = userdata;
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	uint8_t bytes[10] = { 0 };
	unsigned int base_bytes = reg_read(GUEST_EFER) & EFER_LMA ? 8 : 4;

	vcpu->idt_limit = 0;
	if (!guest_read(operand_address(lidt), bytes, 2 + base_bytes))
		return;
	vcpu->idt_limit = bytes[0] | (uint32_t)bytes[1] << 8;
	vcpu->idt_base = 0;
	for (unsigned int i = 0; i < base_bytes; i++)
		vcpu->idt_base |= (uint64_t)bytes[2 + i] << (8 * i);
}

/* False in real mode, and if the table is not known or its gate not present. */
bool idt_handler(const struct vcpu *vcpu, unsigned int vector, uint64_t *handler)
{
	bool wide = reg_read(GUEST_EFER) & EFER_LMA;
	unsigned int size = wide ? 16 : 8;
	uint8_t gate[16];

	if (!(reg_read(GUEST_CR0) & CR0_PE) || (vector + 1) * size - 1 > vcpu->idt_limit ||
	    !guest_read(vcpu->idt_base + vector * size, gate, size) || !(gate[5] & 0x80))
		return false;
	*handler = gate[0] | (uint64_t)gate[1] << 8 | (uint64_t)gate[6] << 16 |
		   (uint64_t)gate[7] << 24;
	for (unsigned int i = 8; wide && i < 12; i++)
		*handler |= (uint64_t)gate[i] << (8 * (i - 8) + 32);
	return true;
}
