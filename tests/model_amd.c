/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See model.h. AMD's registers: APM vol. 2, "Performance Monitoring Counters", and the PPR.
 */
#include "model.h"

/* Which kind of register an address is, and which one of them. */
enum kind {
	OTHER,
	ABSENT,
	IGNORED,
	CTL,
	CTR,
	STATUS,
	GLOBAL_CTL,
	STATUS_CLR,
	STATUS_SET,
	DEBUGCTL,
};

/* K7's numbers. No CPUID bit announces them: they are there without a PMU, too. */
static enum kind k7_kind(const struct model *model, uint32_t msr, unsigned int *index)
{
	for (unsigned int i = 0; i < 4; i++) {
		*index = i;
		if (msr != 0xc0010000 + i && msr != 0xc0010004 + i)
			continue;
		if (model->config.version == 0)
			return IGNORED;
		if (i >= model->config.general)
			return ABSENT;
		return msr == 0xc0010000 + i ? CTL : CTR;
	}
	return OTHER;
}

/* The core extension's. */
static enum kind core_kind(const struct model *model, uint32_t msr, unsigned int *index)
{
	bool core = model->config.version == 2 ||
		    (model->config.version == 1 && model->config.general == 6);

	for (unsigned int i = 0; i < 6; i++) {
		*index = i;
		if (msr == 0xc0010200 + 2 * i)
			return core && i < model->config.general ? CTL : ABSENT;
		if (msr == 0xc0010201 + 2 * i)
			return core && i < model->config.general ? CTR : ABSENT;
	}
	return OTHER;
}

static enum kind kind_of(const struct model *model, uint32_t msr, unsigned int *index)
{
	bool v2 = model->config.version == 2;
	enum kind kind = k7_kind(model, msr, index);

	if (kind == OTHER)
		kind = core_kind(model, msr, index);
	if (kind != OTHER)
		return kind;
	switch (msr) {
	case 0x1d9:
		return v2 ? DEBUGCTL : OTHER;
	case 0xc0000300:
		return v2 ? STATUS : ABSENT;
	case 0xc0000301:
		return v2 ? GLOBAL_CTL : ABSENT;
	case 0xc0000302:
		return v2 ? STATUS_CLR : ABSENT;
	case 0xc0000303:
		return v2 ? STATUS_SET : ABSENT;
	}
	return OTHER;
}

static uint64_t read_debugctl(const struct model *model, uint64_t hosts)
{
	uint64_t guests = 0x1800 | model->config.debug_bits;

	return (hosts & ~guests) | (model->debugctl & guests);
}

enum vpmu_answer model_amd_rdmsr(const struct model *model, uint32_t msr, uint64_t *value)
{
	unsigned int i = 0;

	switch (kind_of(model, msr, &i)) {
	case OTHER:
		return VPMU_NOT_MINE;
	case ABSENT:
		return VPMU_FAULT;
	case IGNORED:
	case STATUS_CLR:
	case STATUS_SET:
		*value = 0;
		break;
	case CTL:
		*value = model->evtsel[i];
		break;
	case CTR:
		*value = model->pmc[i];
		break;
	case STATUS:
		*value = model->status;
		break;
	case GLOBAL_CTL:
		*value = model->global_ctrl;
		break;
	case DEBUGCTL:
		*value = read_debugctl(model, *value);
		break;
	}
	return VPMU_DONE;
}

/* Is this bit of the register kept? */
static bool is_kept(const struct model *model, enum kind kind, unsigned int n)
{
	bool counter = n < model->config.general;

	switch (kind) {
	case CTL:
		if (n == 40 || n == 41)
			return model->config.nested;
		return (n < 32 && n != 19 && n != 21) || (n >= 32 && n < 36);
	case CTR:
		return n < 48;
	case GLOBAL_CTL:
		return counter;
	case STATUS_CLR:
	case STATUS_SET:
		return counter || n == 58 || n == 59;
	default:
		return false;
	}
}

static uint64_t kept(const struct model *model, enum kind kind, uint64_t value)
{
	uint64_t bits = 0;

	for (unsigned int n = 0; n < 64; n++)
		if (model_test(value, n) && is_kept(model, kind, n))
			bits |= UINT64_C(1) << n;
	return bits;
}

/* Bits 5 to 2 were of pins that are no more: they read 0, unless the host has them. */
static enum vpmu_answer write_debugctl(struct model *model, uint64_t value)
{
	uint64_t set = 0;

	for (unsigned int n = 0; n < 64; n++) {
		bool there = n == 11 || n == 12 || model_test(model->config.debug_bits, n);

		if (!model_test(value, n))
			continue;
		if (!there && (n < 2 || n > 5))
			return VPMU_FAULT;
		if (there)
			set |= UINT64_C(1) << n;
	}
	model->debugctl = set;
	return VPMU_DONE;
}

enum vpmu_answer model_amd_wrmsr(struct model *model, uint32_t msr, uint64_t value)
{
	unsigned int i = 0;
	enum kind kind = kind_of(model, msr, &i);

	switch (kind) {
	case OTHER:
		return VPMU_NOT_MINE;
	case ABSENT:
		return VPMU_FAULT;
	case IGNORED:
	case STATUS:
		break;
	case CTL:
		model->evtsel[i] = kept(model, kind, value);
		break;
	case CTR:
		model->pmc[i] = kept(model, kind, value);
		break;
	case GLOBAL_CTL:
		model->global_ctrl = kept(model, kind, value);
		break;
	case STATUS_CLR:
		model->status &= ~kept(model, kind, value);
		break;
	case STATUS_SET:
		model->status |= kept(model, kind, value);
		break;
	case DEBUGCTL:
		return write_debugctl(model, value);
	}
	return VPMU_DONE;
}

/* What the guest can only read or change by other registers, the host sets. */
enum vpmu_answer model_amd_host_wrmsr(struct model *model, uint32_t msr, uint64_t value)
{
	unsigned int i = 0;

	switch (kind_of(model, msr, &i)) {
	case STATUS:
		if (kept(model, STATUS_SET, value) != value)
			return VPMU_FAULT;
		model->status = value;
		return VPMU_DONE;
	case STATUS_CLR:
	case STATUS_SET:
		return VPMU_DONE;
	default:
		return model_amd_wrmsr(model, msr, value);
	}
}
