/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See lapic.h.
 *
 * In xAPIC mode LVTPC is read from the register page. In x2APIC mode a plugin cannot
 * reach it, so the guest's accesses are followed.
 */
#include "lapic.h"
#include "registers.h"
#include "report.h"
#include "serve/site.h"
#include "vcpu.h"

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
	vcpu->lapic.now = (struct lapic_registers){ .lvtpc = LVT_MASKED };
}

static void enter_x2apic(struct vcpu *vcpu)
{
	struct lapic_registers *lapic = &vcpu->lapic.now;
	uint32_t id, svr;

	if (!physical_read32(APIC_BASE + APIC_LVTPC, &lapic->lvtpc))
		lapic->lvtpc = LVT_MASKED;
	if (physical_read32(APIC_BASE + APIC_ID, &id))
		lapic->id = id >> 24;
	lapic->enabled = physical_read32(APIC_BASE + APIC_SVR, &svr) && (svr & APIC_SVR_ENABLE);
	lapic->x2apic = true;
}

/* False: it changes nothing here. */
static bool follow(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct lapic_registers *lapic = &vcpu->lapic.now;

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

void lapic_wrmsr(struct vcpu *vcpu, const struct site *site, uint32_t msr, uint64_t value)
{
	vcpu->lapic.before_write = vcpu->lapic.now;
	if (follow(vcpu, msr, value))
		vcpu->lapic.write_address = site_address(site);
}

void lapic_accept_write(struct vcpu *vcpu)
{
	vcpu->lapic.write_address = 0;
}

void lapic_delivered(struct vcpu *vcpu, bool exception, uint64_t from)
{
	struct lapic *lapic = &vcpu->lapic;

	if (exception && lapic->write_address && lapic->write_address == from)
		lapic->now = lapic->before_write;
	lapic_accept_write(vcpu);
}

/* A PMI sets LVTPC's mask bit. In x2APIC mode only our copy has it. */
bool lapic_rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	if (msr != MSR_X2APIC_LVTPC || !vcpu->lapic.now.x2apic)
		return false;
	*value = vcpu->lapic.now.lvtpc;
	return true;
}

static bool read_lvtpc(struct vcpu *vcpu, uint32_t *lvtpc)
{
	uint32_t svr, id;

	if (vcpu->lapic.now.x2apic) {
		*lvtpc = vcpu->lapic.now.lvtpc;
		return vcpu->lapic.now.enabled;
	}
	if (!physical_read32(APIC_BASE + APIC_SVR, &svr) || !(svr & APIC_SVR_ENABLE) ||
	    !physical_read32(APIC_BASE + APIC_ID, &id) ||
	    !physical_read32(APIC_BASE + APIC_LVTPC, lvtpc))
		return false;
	vcpu->lapic.now.id = id >> 24;
	return true;
}

static void mask_lvtpc(struct vcpu *vcpu, uint32_t lvtpc)
{
	if (vcpu->lapic.now.x2apic)
		vcpu->lapic.now.lvtpc = lvtpc | LVT_MASKED;
	else
		physical_write32(APIC_BASE + APIC_LVTPC, lvtpc | LVT_MASKED);
}

/* A local APIC's interrupt of its own is sent as a message that has the same effect. */
bool lapic_pmi(struct vcpu *vcpu, bool mask)
{
	uint32_t lvtpc;

	if (!read_lvtpc(vcpu, &lvtpc) || (lvtpc & LVT_MASKED))
		return false;
	if ((lvtpc & LVT_MODE) != LVT_MODE_FIXED && (lvtpc & LVT_MODE) != LVT_MODE_NMI)
		return false;
	if (mask)
		mask_lvtpc(vcpu, lvtpc);
	physical_write32(APIC_BASE | (uint64_t)vcpu->lapic.now.id << 12,
			 lvtpc & (LVT_MODE | LVT_VECTOR));
	statistics.pmis++;
	return true;
}
