/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From a PMI to an interrupt: LVTPC of QEMU's local APIC (SDM vol. 3,
 * "Advanced Programmable Interrupt Controller", local vector table).
 *
 * In xAPIC mode the register is read where the guest has it. In x2APIC mode
 * it cannot be reached from here, so the guest's accesses are followed.
 */
#include "plugin.h"

#define APIC_BASE       UINT64_C(0xfee00000)
#define APIC_ID         0x020
#define APIC_SVR        0x0f0
#define APIC_LVTPC      0x340
#define APIC_SVR_ENABLE (1u << 8)
#define LVT_MASKED      (1u << 16)
#define LVT_VECTOR      0xffu
#define LVT_MODE        (7u << 8)
#define LVT_MODE_FIXED  (0u << 8)
#define LVT_MODE_NMI    (4u << 8)

#define MSR_APIC_BASE    0x1b
#define APIC_BASE_EXTD   (UINT64_C(1) << 10)
#define MSR_X2APIC_SVR   0x80f
#define MSR_X2APIC_LVTPC 0x834

void lapic_reset(struct vcpu *vcpu)
{
	vcpu->lapic = (struct lapic){ .lvtpc = LVT_MASKED };
}

static void enter_x2apic(struct vcpu *vcpu)
{
	struct lapic *lapic = &vcpu->lapic;
	uint32_t id, svr;

	if (!physical_read32(APIC_BASE + APIC_LVTPC, &lapic->lvtpc))
		lapic->lvtpc = LVT_MASKED;
	if (physical_read32(APIC_BASE + APIC_ID, &id))
		lapic->id = id >> 24;
	lapic->enabled = physical_read32(APIC_BASE + APIC_SVR, &svr) && (svr & APIC_SVR_ENABLE);
	lapic->x2apic = true;
}

/* True: one that is followed. If it turns out to be a #GP, the caller takes it back. */
bool lapic_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct lapic *lapic = &vcpu->lapic;

	if (msr == MSR_APIC_BASE) {
		bool extd = value & APIC_BASE_EXTD;

		if (extd && !lapic->x2apic)
			enter_x2apic(vcpu);
		else if (!extd && lapic->x2apic)
			lapic_reset(vcpu);
	}
	if (!lapic->x2apic)
		return msr == MSR_APIC_BASE;
	if (msr == MSR_X2APIC_LVTPC)
		lapic->lvtpc = (uint32_t)value | (lapic->enabled ? 0 : LVT_MASKED);
	if (msr == MSR_X2APIC_SVR) {
		lapic->enabled = value & APIC_SVR_ENABLE;
		if (!lapic->enabled)
			lapic->lvtpc |= LVT_MASKED;
	}
	return msr == MSR_APIC_BASE || msr == MSR_X2APIC_LVTPC || msr == MSR_X2APIC_SVR;
}

/* LVTPC's mask bit, which a PMI sets, is in our copy only. */
bool lapic_rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	if (msr != MSR_X2APIC_LVTPC || !vcpu->lapic.x2apic)
		return false;
	*value = vcpu->lapic.lvtpc;
	return true;
}

static bool read_lvtpc(struct vcpu *vcpu, uint32_t *lvtpc)
{
	uint32_t svr, id;

	if (vcpu->lapic.x2apic) {
		*lvtpc = vcpu->lapic.lvtpc;
		return vcpu->lapic.enabled;
	}
	if (!physical_read32(APIC_BASE + APIC_SVR, &svr) || !(svr & APIC_SVR_ENABLE) ||
	    !physical_read32(APIC_BASE + APIC_ID, &id) ||
	    !physical_read32(APIC_BASE + APIC_LVTPC, lvtpc))
		return false;
	vcpu->lapic.id = id >> 24;
	return true;
}

static void mask_lvtpc(struct vcpu *vcpu, uint32_t lvtpc)
{
	if (vcpu->lapic.x2apic)
		vcpu->lapic.lvtpc = lvtpc | LVT_MASKED;
	else
		physical_write32(APIC_BASE + APIC_LVTPC, lvtpc | LVT_MASKED);
}

/* The local APIC's own interrupt, sent as the message that does the same. mask: then set LVTPC's.
 */
void lapic_pmi(struct vcpu *vcpu, bool mask)
{
	uint32_t lvtpc;

	if (!read_lvtpc(vcpu, &lvtpc) || (lvtpc & LVT_MASKED))
		return;
	if ((lvtpc & LVT_MODE) != LVT_MODE_FIXED && (lvtpc & LVT_MODE) != LVT_MODE_NMI)
		return;
	if (mask)
		mask_lvtpc(vcpu, lvtpc);
	physical_write32(APIC_BASE | (uint64_t)vcpu->lapic.id << 12,
			 lvtpc & (LVT_MODE | LVT_VECTOR));
	statistics.pmis++;
}
