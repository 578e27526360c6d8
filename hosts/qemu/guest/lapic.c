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
#define LVT_MODE_SHIFT  8
#define LVT_MODE_FIXED  (0u << LVT_MODE_SHIFT)
#define LVT_MODE_SMI    (2u << LVT_MODE_SHIFT)
#define LVT_MODE_NMI    (4u << LVT_MODE_SHIFT)

/* A message's destination is 8 bits of its address; all ones are every processor. */
#define MESSAGE_ID_SHIFT 12
#define MESSAGE_ID_MAX   254

#define MSR_APIC_BASE    0x1b
#define APIC_BASE_PAGE   UINT64_C(0xffffffffff000)
#define APIC_BASE_EXTD   (UINT64_C(1) << 10)
#define MSR_X2APIC_ID    0x802
#define MSR_X2APIC_SVR   0x80f
#define MSR_X2APIC_LVTPC 0x834

void lapic_reset(struct vcpu *vcpu)
{
	vcpu->lapic.now = (struct lapic_registers){ .lvtpc = LVT_MASKED };
}

void lapic_init(struct vcpu *vcpu)
{
	vcpu->lapic.now.lvtpc = LVT_MASKED;
	vcpu->lapic.now.enabled = false;
	lapic_accept_write(vcpu);
}

bool lapic_is_id(const struct vcpu *vcpu, uint32_t msr)
{
	return vcpu->lapic.now.x2apic && msr == MSR_X2APIC_ID;
}

void lapic_take_id(struct vcpu *vcpu, uint32_t id)
{
	vcpu->lapic.x2apic_id = id;
}

static void enter_x2apic(struct vcpu *vcpu)
{
	struct lapic_registers *lapic = &vcpu->lapic.now;
	uint32_t id, svr;

	if (!physical_read32(APIC_BASE + APIC_LVTPC, &lapic->lvtpc))
		lapic->lvtpc = LVT_MASKED;
	if (physical_read32(APIC_BASE + APIC_ID, &id))
		lapic->id = (uint8_t)(id >> 24);
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
		lapic->base = value & APIC_BASE_PAGE;
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

/* QEMU's registers stay where they are. */
static void report_base(const struct lapic_registers *lapic)
{
	if (lapic->base && lapic->base != APIC_BASE)
		report("apic-base 0x%" G_GINT64_MODIFIER "x\n", lapic->base);
}

static bool read_lvtpc(struct vcpu *vcpu, uint32_t *lvtpc)
{
	struct lapic_registers *lapic = &vcpu->lapic.now;
	uint32_t svr, id;

	if (lapic->x2apic) {
		*lvtpc = lapic->lvtpc;
		return lapic->enabled;
	}
	report_base(lapic);
	if (!physical_read32(APIC_BASE + APIC_SVR, &svr) || !(svr & APIC_SVR_ENABLE) ||
	    !physical_read32(APIC_BASE + APIC_ID, &id) ||
	    !physical_read32(APIC_BASE + APIC_LVTPC, lvtpc))
		return false;
	lapic->id = (uint8_t)(id >> 24);
	return true;
}

static void mask_lvtpc(struct vcpu *vcpu, uint32_t lvtpc)
{
	if (vcpu->lapic.now.x2apic)
		vcpu->lapic.now.lvtpc = lvtpc | LVT_MASKED;
	else
		physical_write32(APIC_BASE + APIC_LVTPC, lvtpc | LVT_MASKED);
}

/* The register page shows 8 bits of the ID. */
static uint32_t id_of(const struct lapic *lapic)
{
	bool fits = lapic->now.x2apic && (uint8_t)lapic->x2apic_id == lapic->now.id;

	return fits ? lapic->x2apic_id : lapic->now.id;
}

/* Can it be sent to this ID with LVTPC's delivery mode? */
static bool is_deliverable(uint32_t lvtpc, uint32_t id)
{
	uint32_t mode = lvtpc & LVT_MODE;

	if (mode != LVT_MODE_FIXED && mode != LVT_MODE_SMI && mode != LVT_MODE_NMI) {
		report("pmi-lost delivery-mode=%u\n", mode >> LVT_MODE_SHIFT);
		return false;
	}
	if (id > MESSAGE_ID_MAX) {
		report("pmi-lost apic-id=%u\n", id);
		return false;
	}
	return true;
}

/* A local APIC's interrupt of its own is sent as a message that has the same effect. */
bool lapic_pmi(struct vcpu *vcpu, bool mask)
{
	uint32_t lvtpc, id;

	if (!read_lvtpc(vcpu, &lvtpc) || (lvtpc & LVT_MASKED))
		return false;
	id = id_of(&vcpu->lapic);
	if (!is_deliverable(lvtpc, id))
		return false;
	if (mask)
		mask_lvtpc(vcpu, lvtpc);
	physical_write32(APIC_BASE | (uint64_t)id << MESSAGE_ID_SHIFT,
			 lvtpc & (LVT_MODE | LVT_VECTOR));
	statistics.pmis++;
	return true;
}
