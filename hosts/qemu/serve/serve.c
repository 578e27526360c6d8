/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See serve.h.
 *
 * A callback runs before its instruction. If it sets the PC, the block ends, and the
 * flags that TCG has not stored yet are lost. So QEMU runs the instruction itself
 * wherever it can, and a fixup corrects the result before the next instruction:
 *
 * - RDMSR and CPUID have a fixup behind them.
 * - WRMSR needs none: TCG ignores MSRs that it does not know.
 * - #GP: ECX names an MSR that QEMU answers with #GP. A fixup restores ECX.
 * - RDPMC is in rdpmc.c.
 */
#include "serve.h"
#include "guest/registers.h"
#include "models/models.h"
#include "record.h"
#include "report.h"
#include "service.h"
#include "site.h"
#include "vcpu.h"

/* CPUID's leaves with the x2APIC ID, in EDX. */
#define LEAF_TOPOLOGY    0x0b
#define LEAF_TOPOLOGY_V2 0x1f

/* Always #GP: x2APIC mode has no DFR. Unlike other such registers it does not change ESR. */
#define MSR_FAULTS 0x80e

void serve_reset(struct vcpu *vcpu)
{
	rdpmc_reset(vcpu);
	svm_reset(vcpu);
	exceptions_reset(vcpu);
	lapic_accept_write(vcpu);
	vcpu->stale = STALE_NONE;
	vcpu->fixup.kind = FIXUP_NONE;
	vcpu->hook.flag = 0;
	hook_update(vcpu);
	vcpu_leave_block(vcpu);
	vcpu->totals.site = NULL;
}

static void fault_msr(struct vcpu *vcpu, const struct site *site)
{
	vcpu->fixup = (struct fixup){ .kind = FIXUP_CX, .value = reg_read(GUEST_CX) };
	site_leave_block(vcpu, site, false);
	reg_write(GUEST_CX, MSR_FAULTS);
}

/* The PMU has some of the bits only, and QEMU the others. */
static bool is_shared(const struct vcpu *vcpu, uint32_t msr)
{
	uint64_t bits = vpmu_msr_bits(&vcpu->pmu, msr);

	return bits && bits != ~UINT64_C(0);
}

static void note_apic_id_behind(struct vcpu *vcpu, enum reg reg)
{
	vcpu->fixup = (struct fixup){ .kind = FIXUP_APIC_ID, .index = reg };
}

static void serve_rdmsr(struct vcpu *vcpu, const struct site *site)
{
	uint32_t msr = (uint32_t)reg_read(GUEST_CX);
	uint64_t value = 0;
	enum vpmu_answer answer;

	if (is_shared(vcpu, msr)) {
		vcpu->fixup = (struct fixup){ .kind = FIXUP_SHARED, .index = msr };
		return;
	}
	answer = vpmu_rdmsr(&vcpu->pmu, msr, &value);
	record(vcpu, TRACE_RDMSR, answer, msr, value);
	switch (answer) {
	case VPMU_FAULT:
		fault_msr(vcpu, site);
		return;
	case VPMU_NOT_MINE:
		if (lapic_is_id(vcpu, msr)) {
			note_apic_id_behind(vcpu, GUEST_AX);
			return;
		}
		if (!lapic_rdmsr(vcpu, msr, &value))
			return;
		/* fallthrough */
	case VPMU_DONE:
		vcpu->fixup = (struct fixup){ .kind = FIXUP_RESULT, .value = value };
		break;
	}
}

static void serve_wrmsr(struct vcpu *vcpu, const struct site *site)
{
	uint32_t msr = (uint32_t)reg_read(GUEST_CX);
	uint64_t value = reg_read_pair();
	enum vpmu_answer answer;

	stale_before_wrmsr(vcpu);
	answer = vpmu_wrmsr(&vcpu->pmu, msr, value);
	record(vcpu, TRACE_WRMSR, answer, msr, value);
	switch (answer) {
	case VPMU_FAULT:
		fault_msr(vcpu, site);
		break;
	case VPMU_NOT_MINE:
		lapic_wrmsr(vcpu, site, msr, value);
		models_wrmsr(vcpu, msr, value);
		svm_wrmsr(vcpu, site, msr, value);
		break;
	case VPMU_DONE:
		service(vcpu);
		stale_after_wrmsr(vcpu, site);
		break;
	}
}

static bool is_pmu_leaf(const struct vcpu *vcpu, uint32_t leaf)
{
	uint32_t leaves[32];
	unsigned int count = vpmu_cpuid_leaves(&vcpu->pmu, leaves, G_N_ELEMENTS(leaves));

	for (unsigned int i = 0; i < MIN(count, G_N_ELEMENTS(leaves)); i++)
		if (leaves[i] == leaf)
			return true;
	return false;
}

static void serve_cpuid(struct vcpu *vcpu)
{
	uint32_t leaf = (uint32_t)reg_read(GUEST_AX);

	if (leaf == LEAF_TOPOLOGY || leaf == LEAF_TOPOLOGY_V2)
		note_apic_id_behind(vcpu, GUEST_DX);
	if (!is_pmu_leaf(vcpu, leaf))
		return;
	vcpu->fixup = (struct fixup){ .kind = FIXUP_CPUID,
				      .index = leaf,
				      .subleaf = (uint32_t)reg_read(GUEST_CX) };
}

static _Atomic uint64_t *statistic_of(enum insn_kind kind)
{
	switch (kind) {
	case INSN_RDMSR:
		return &statistics.rdmsr;
	case INSN_WRMSR:
		return &statistics.wrmsr;
	case INSN_RDPMC:
		return &statistics.rdpmc;
	case INSN_CPUID:
		return &statistics.cpuid;
	case INSN_OTHER:
		break;
	}
	return NULL;
}

bool serve_finishes(enum insn_kind kind)
{
	return kind == INSN_RDMSR || kind == INSN_CPUID;
}

/*
 * A block may be linked to the one that follows it at first: to the one with the hook,
 * then, whether there is something to do or not. Blocks that run with RF or TF are not
 * linked.
 */
static bool needs_hook(const struct vcpu *vcpu, const struct site *site)
{
	return site->last && serve_finishes(site->kind) &&
	       (vcpu->fixup.kind != FIXUP_NONE || site->flags == 0);
}

void serve(unsigned int vcpu_index, void *userdata)
{
	const struct site *site = userdata;
	struct vcpu *vcpu = vcpu_get(vcpu_index);

	fixup_apply(vcpu);
	if (svm_intercepts(vcpu, site->kind))
		return;
	++*statistic_of(site->kind);
	rdpmc_forget_substitute(vcpu);
	lapic_accept_write(vcpu);
	vcpu->totals.site = site;
	vcpu->totals.site_retired = site->kind == INSN_WRMSR;
	vcpu->last_access = g_get_monotonic_time();
	switch (site->kind) {
	case INSN_RDMSR:
		serve_rdmsr(vcpu, site);
		break;
	case INSN_WRMSR:
		serve_wrmsr(vcpu, site);
		break;
	case INSN_RDPMC:
		rdpmc_serve(vcpu, site);
		break;
	case INSN_CPUID:
		serve_cpuid(vcpu);
		break;
	case INSN_OTHER:
		break;
	}
	if (needs_hook(vcpu, site))
		hook_behind(vcpu, site);
	vcpu->totals.site = NULL;
}

void serve_hook(unsigned int vcpu_index, void *unused)
{
	struct vcpu *vcpu = vcpu_get(vcpu_index);
	bool enabled = vcpu->svm.enabled;
	bool again;

	(void)unused;
	saved_start(vcpu);
	stale_wait(vcpu);
	again = hook_reached(vcpu);
	rdpmc_complete_pending(vcpu);
	fixup_apply(vcpu);
	/* Counters that start want new translations. */
	if ((again || vcpu->svm.enabled != enabled) && svm_may_set_pc(vcpu))
		qemu_plugin_set_pc(reg_read(GUEST_IP));
}

void serve_finish(unsigned int vcpu_index, void *unused)
{
	(void)unused;
	fixup_apply(vcpu_get(vcpu_index));
}
