/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See fixup.h.
 */
#include "fixup.h"
#include "guest/registers.h"
#include "record.h"
#include "vcpu.h"

static void apply_cpuid(struct vcpu *vcpu)
{
	static const enum reg regs[4] = { GUEST_AX, GUEST_BX, GUEST_CX, GUEST_DX };
	uint32_t values[4], before[4];

	for (unsigned int i = 0; i < 4; i++)
		values[i] = before[i] = (uint32_t)reg_read(regs[i]);
	vpmu_cpuid(&vcpu->pmu, vcpu->fixup.index, vcpu->fixup.subleaf, values);
	for (unsigned int i = 0; i < 4; i++)
		if (values[i] != before[i])
			reg_write(regs[i], values[i]);
}

static void apply_shared(struct vcpu *vcpu)
{
	uint32_t msr = vcpu->fixup.index;
	uint64_t value = reg_read_pair();
	enum vpmu_answer answer = vpmu_rdmsr(&vcpu->pmu, msr, &value);

	record(vcpu, TRACE_RDMSR, answer, msr, value);
	if (answer == VPMU_DONE)
		reg_write_pair(value);
}

void fixup_apply(struct vcpu *vcpu)
{
	const struct fixup *fixup = &vcpu->fixup;

	switch (fixup->kind) {
	case FIXUP_NONE:
		return;
	case FIXUP_CPUID:
		apply_cpuid(vcpu);
		break;
	case FIXUP_APIC_ID:
		lapic_take_id(vcpu, (uint32_t)reg_read((enum reg)fixup->index));
		break;
	case FIXUP_SHARED:
		apply_shared(vcpu);
		break;
	case FIXUP_RESULT:
		reg_write_pair(fixup->value);
		break;
	case FIXUP_CX:
		reg_write(GUEST_CX, fixup->value);
		break;
	case FIXUP_CR4:
		reg_write(GUEST_CR4, fixup->value);
		break;
	case FIXUP_EFER:
		svm_follow_efer(vcpu);
		break;
	}
	vcpu->fixup.kind = FIXUP_NONE;
}
