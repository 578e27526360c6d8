/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See model.h. Intel's registers: SDM vol. 3, "Performance Monitoring", and vol. 4.
 */
#include "model.h"

/* Which kind of register an address is, and which one of them. */
enum kind {
	OTHER,
	ABSENT,
	PMC,
	WIDE_PMC,
	EVTSEL,
	FIXED,
	FIXED_CTRL,
	STATUS,
	GLOBAL_CTRL,
	STATUS_RESET,
	STATUS_SET,
	INUSE,
	CAPABILITIES,
	MISC_ENABLE,
	DEBUGCTL,
	EVENT_REGISTER,
};

/* One of a row of registers, or none of them. */
static enum kind row_kind(const struct model *model, uint32_t msr, unsigned int *index)
{
	const struct vpmu_config *config = &model->config;
	bool on = config->version >= 1;

	for (unsigned int i = 0; i < 8; i++) {
		bool here = on && i < config->general;

		*index = i;
		if (msr == 0x0c1 + i)
			return here ? PMC : ABSENT;
		if (msr == 0x186 + i)
			return here ? EVTSEL : ABSENT;
		if (msr == 0x4c1 + i)
			return here && config->full_width_writes ? WIDE_PMC : ABSENT;
		if (i < 4 && msr == 0x309 + i)
			return on && i < config->fixed ? FIXED : ABSENT;
	}
	return OTHER;
}

static enum kind event_register_kind(const struct model *model, uint32_t msr, unsigned int *index)
{
	static const struct {
		uint32_t msr, flag;
	} registers[] = { { 0x1a6, 1 }, { 0x1a7, 1 }, { 0x3f6, 2 }, { 0x3f7, 4 } };

	for (unsigned int i = 0; i < 4; i++)
		if (msr == registers[i].msr && model->config.version >= 1 &&
		    (model->config.event_registers & registers[i].flag)) {
			*index = i;
			return EVENT_REGISTER;
		}
	return OTHER;
}

static enum kind kind_of(const struct model *model, uint32_t msr, unsigned int *index)
{
	unsigned int version = model->config.version;
	enum kind kind = row_kind(model, msr, index);

	if (kind != OTHER)
		return kind;
	switch (msr) {
	case 0x1a0:
		return MISC_ENABLE;
	case 0x1d9:
		return version >= 2 ? DEBUGCTL : OTHER;
	case 0x345:
		return version >= 1 ? CAPABILITIES : ABSENT;
	case 0x38d:
		return version >= 2 ? FIXED_CTRL : ABSENT;
	case 0x38e:
		return version >= 2 ? STATUS : ABSENT;
	case 0x38f:
		return version >= 2 ? GLOBAL_CTRL : ABSENT;
	case 0x390:
		return version >= 2 ? STATUS_RESET : ABSENT;
	case 0x391:
		return version >= 4 ? STATUS_SET : ABSENT;
	case 0x392:
		return version >= 4 ? INUSE : ABSENT;
	}
	return event_register_kind(model, msr, index);
}

static uint64_t inuse(const struct model *model)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++) {
		if ((model->evtsel[i] & 0xff) != 0)
			value |= UINT64_C(1) << i;
		if (model_test(model->evtsel[i], 20))
			value |= UINT64_C(1) << 63;
	}
	for (unsigned int i = 0; i < 4; i++) {
		if (model_test(model->fixed_ctrl, 4 * i) ||
		    model_test(model->fixed_ctrl, 4 * i + 1))
			value |= UINT64_C(1) << (32 + i);
		if (model_test(model->fixed_ctrl, 4 * i + 3))
			value |= UINT64_C(1) << 63;
	}
	return value;
}

/* Of a shared register: the host's value with some bits of the PMU's. */
static uint64_t shared(uint64_t hosts, uint64_t own, uint64_t bits)
{
	return (hosts & ~bits) | (own & bits);
}

static uint64_t read_kind(const struct model *model, enum kind kind, unsigned int i, uint64_t hosts)
{
	switch (kind) {
	case PMC:
	case WIDE_PMC:
		return model->pmc[i];
	case EVTSEL:
		return model->evtsel[i];
	case FIXED:
		return model->fixed[i];
	case FIXED_CTRL:
		return model->fixed_ctrl;
	case STATUS:
		return model->status;
	case GLOBAL_CTRL:
		return model->global_ctrl;
	case STATUS_RESET:
	case STATUS_SET:
		return 0;
	case INUSE:
		return inuse(model);
	case CAPABILITIES:
		/* Bits 5:0 and 12 are of branch records and of SMM. */
		return shared(hosts, model->config.full_width_writes ? 0x2000 : 0,
			      ~UINT64_C(0x103f));
	case MISC_ENABLE:
		return shared(hosts, model->config.version ? 0x1880 : 0x1800, 0x1880);
	case DEBUGCTL:
		return shared(hosts, model->debugctl, 0x1800 | model->config.debug_bits);
	case EVENT_REGISTER:
		return model->event_registers[i];
	case OTHER:
	case ABSENT:
		break;
	}
	return 0;
}

enum vpmu_answer model_intel_rdmsr(const struct model *model, uint32_t msr, uint64_t *value)
{
	unsigned int i = 0;
	enum kind kind = kind_of(model, msr, &i);

	if (kind == OTHER)
		return VPMU_NOT_MINE;
	if (kind == ABSENT)
		return VPMU_FAULT;
	*value = read_kind(model, kind, i, *value);
	return VPMU_DONE;
}

/* May this bit of the register be written as 1? Counters are not asked. */
static bool may_set(const struct model *model, enum kind kind, unsigned int n)
{
	const struct vpmu_config *config = &model->config;
	bool counter = n < config->general || (n >= 32 && n < 32u + config->fixed);

	switch (kind) {
	case EVTSEL:
		return n < 32 && n != 21;
	case FIXED_CTRL:
		return n / 4 < config->fixed && n % 4 != 2;
	case GLOBAL_CTRL:
		return counter;
	case STATUS_RESET:
		return counter || n == 62 || n == 63 ||
		       (config->version >= 4 && (n == 58 || n == 59));
	case STATUS_SET:
		return counter || n == 58 || n == 59 || n == 62;
	case DEBUGCTL:
		return model_test(config->debug_bits, n) || n == 11 || n == 12;
	default:
		return false;
	}
}

static bool is_legal(const struct model *model, enum kind kind, uint64_t value)
{
	for (unsigned int n = 0; n < 64; n++)
		if (model_test(value, n) && !may_set(model, kind, n))
			return false;
	return true;
}

static uint64_t sign_extended(uint64_t value, unsigned int width)
{
	uint64_t extended = 0;

	for (unsigned int n = 0; n < width; n++)
		if (model_test(value, n < 32 ? n : 31))
			extended |= UINT64_C(1) << n;
	return extended;
}

static enum vpmu_answer write_wide(uint64_t *counter, unsigned int width, uint64_t value)
{
	if (value > model_ones(width))
		return VPMU_FAULT;
	*counter = value;
	return VPMU_DONE;
}

static enum vpmu_answer write_control(struct model *model, enum kind kind, unsigned int i,
				      uint64_t value)
{
	if (!is_legal(model, kind, value))
		return VPMU_FAULT;
	if (kind == EVTSEL)
		model->evtsel[i] = value;
	if (kind == FIXED_CTRL)
		model->fixed_ctrl = value;
	if (kind == GLOBAL_CTRL)
		model->global_ctrl = value;
	if (kind == STATUS_RESET)
		model->status &= ~value;
	if (kind == STATUS_SET)
		model->status |= value;
	if (kind == DEBUGCTL)
		model->debugctl = value;
	return VPMU_DONE;
}

enum vpmu_answer model_intel_wrmsr(struct model *model, uint32_t msr, uint64_t value)
{
	unsigned int i = 0;
	enum kind kind = kind_of(model, msr, &i);

	switch (kind) {
	case OTHER:
		return VPMU_NOT_MINE;
	case ABSENT:
	case STATUS:
	case INUSE:
	case CAPABILITIES:
		return VPMU_FAULT;
	case PMC:
		model->pmc[i] = sign_extended(value, model->config.general_width);
		return VPMU_DONE;
	case WIDE_PMC:
		return write_wide(&model->pmc[i], model->config.general_width, value);
	case FIXED:
		return write_wide(&model->fixed[i], model->config.fixed_width, value);
	case MISC_ENABLE:
		return model_test(value, 11) && model_test(value, 12) ? VPMU_DONE : VPMU_FAULT;
	case EVENT_REGISTER:
		model->event_registers[i] = value;
		return VPMU_DONE;
	case EVTSEL:
	case FIXED_CTRL:
	case GLOBAL_CTRL:
	case STATUS_RESET:
	case STATUS_SET:
	case DEBUGCTL:
		return write_control(model, kind, i, value);
	}
	return VPMU_NOT_MINE;
}

/* What the guest can only read or change by other registers, the host sets. */
enum vpmu_answer model_intel_host_wrmsr(struct model *model, uint32_t msr, uint64_t value)
{
	unsigned int i = 0;
	enum kind kind = kind_of(model, msr, &i);

	switch (kind) {
	case PMC:
		model->pmc[i] = value & model_ones(model->config.general_width);
		return VPMU_DONE;
	case STATUS:
		if (!is_legal(model, STATUS_RESET, value))
			return VPMU_FAULT;
		model->status = value;
		return VPMU_DONE;
	case STATUS_RESET:
	case STATUS_SET:
		return is_legal(model, STATUS_RESET, value) ? VPMU_DONE : VPMU_FAULT;
	case CAPABILITIES:
		/* The value that it has, whatever the host's bits are. */
		return value == read_kind(model, CAPABILITIES, 0, value) ? VPMU_DONE : VPMU_FAULT;
	default:
		return model_intel_wrmsr(model, msr, value);
	}
}
