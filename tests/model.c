/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SDM vol. 3, "Performance Monitoring", read again and told one event and one
 * bit at a time. Shares no code with the library.
 */
#include "model.h"
#include <string.h>

const struct model_event model_events[MODEL_EVENTS] = {
	{ 0x3c, 0x00, 0, 1 },   { 0xc0, 0x00, 1, 0 },  { 0x3c, 0x01, 2, -1 },
	{ 0x2e, 0x4f, 3, -1 },  { 0x2e, 0x41, 4, -1 }, { 0xc4, 0x00, 5, -1 },
	{ 0xc5, 0x00, 6, -1 },  { 0xa4, 0x01, 7, 3 },  { 0xd0, 0x81, -1, -1 },
	{ 0xd0, 0x82, -1, -1 }, { 0x00, 0x00, 8, 2 },
};

static bool test(uint64_t value, unsigned int n)
{
	return value >> n & 1;
}

static uint64_t bits(unsigned int n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value * 2 + 1;
	return value;
}

void model_reset(struct model *model)
{
	struct vpmu_config config = model->config;

	memset(model, 0, sizeof(*model));
	model->config = config;
	model->global_ctrl = bits(config.general);
}

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
	DEBUGCTL
};

static enum kind kind_of(const struct model *model, uint32_t msr, unsigned int *index)
{
	const struct vpmu_config *config = &model->config;

	*index = 0;
	for (unsigned int i = 0; i < 8; i++) {
		bool here = i < config->general;

		*index = i;
		if (msr == 0x0c1 + i)
			return here ? PMC : ABSENT;
		if (msr == 0x186 + i)
			return here ? EVTSEL : ABSENT;
		if (msr == 0x4c1 + i)
			return here && config->full_width_writes ? WIDE_PMC : ABSENT;
		if (i < 4 && msr == 0x309 + i)
			return i < config->fixed ? FIXED : ABSENT;
	}
	if (msr == 0x1a0)
		return MISC_ENABLE;
	if (msr == 0x345)
		return CAPABILITIES;
	if (config->version == 1 && msr >= 0x38d && msr <= 0x392)
		return ABSENT;
	switch (msr) {
	case 0x1d9:
		return config->version == 1 ? OTHER : DEBUGCTL;
	case 0x38d:
		return FIXED_CTRL;
	case 0x38e:
		return STATUS;
	case 0x38f:
		return GLOBAL_CTRL;
	case 0x390:
		return STATUS_RESET;
	case 0x391:
		return config->version >= 4 ? STATUS_SET : ABSENT;
	case 0x392:
		return config->version >= 4 ? INUSE : ABSENT;
	}
	return OTHER;
}

static uint64_t inuse(const struct model *model)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++) {
		if ((model->evtsel[i] & 0xff) != 0)
			value |= UINT64_C(1) << i;
		if (test(model->evtsel[i], 20))
			value |= UINT64_C(1) << 63;
	}
	for (unsigned int i = 0; i < 4; i++) {
		if (test(model->fixed_ctrl, 4 * i) || test(model->fixed_ctrl, 4 * i + 1))
			value |= UINT64_C(1) << (32 + i);
		if (test(model->fixed_ctrl, 4 * i + 3))
			value |= UINT64_C(1) << 63;
	}
	return value;
}

enum vpmu_answer model_rdmsr(const struct model *model, uint32_t msr, uint64_t *value)
{
	unsigned int i;

	switch (kind_of(model, msr, &i)) {
	case OTHER:
		return VPMU_NOT_MINE;
	case ABSENT:
		return VPMU_FAULT;
	case PMC:
	case WIDE_PMC:
		*value = model->pmc[i];
		return VPMU_DONE;
	case EVTSEL:
		*value = model->evtsel[i];
		return VPMU_DONE;
	case FIXED:
		*value = model->fixed[i];
		return VPMU_DONE;
	case FIXED_CTRL:
		*value = model->fixed_ctrl;
		return VPMU_DONE;
	case STATUS:
		*value = model->status;
		return VPMU_DONE;
	case GLOBAL_CTRL:
		*value = model->global_ctrl;
		return VPMU_DONE;
	case STATUS_RESET:
	case STATUS_SET:
		*value = 0;
		return VPMU_DONE;
	case INUSE:
		*value = inuse(model);
		return VPMU_DONE;
	case CAPABILITIES:
		*value = model->config.full_width_writes ? 0x2000 : 0;
		return VPMU_DONE;
	case MISC_ENABLE:
		*value = (*value & ~UINT64_C(0x1880)) | 0x1880;
		return VPMU_DONE;
	case DEBUGCTL:
		*value = model->debugctl;
		return VPMU_DONE;
	}
	return VPMU_NOT_MINE;
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
		return test(config->debug_bits, n) || n == 11 || n == 12;
	default:
		return false;
	}
}

static bool is_legal(const struct model *model, enum kind kind, uint64_t value)
{
	for (unsigned int n = 0; n < 64; n++)
		if (test(value, n) && !may_set(model, kind, n))
			return false;
	return true;
}

static uint64_t sign_extended(uint64_t value, unsigned int width)
{
	uint64_t extended = 0;

	for (unsigned int n = 0; n < width; n++)
		if (test(value, n < 32 ? n : 31))
			extended |= UINT64_C(1) << n;
	return extended;
}

static enum vpmu_answer write_wide(uint64_t *counter, unsigned int width, uint64_t value)
{
	if (value > bits(width))
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

enum vpmu_answer model_wrmsr(struct model *model, uint32_t msr, uint64_t value)
{
	unsigned int i;
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
	case MISC_ENABLE:
		return test(value, 11) && test(value, 12) ? VPMU_DONE : VPMU_FAULT;
	case FIXED:
		return write_wide(&model->fixed[i], model->config.fixed_width, value);
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

enum vpmu_answer model_rdpmc(const struct model *model, uint32_t ecx, uint64_t *value)
{
	for (unsigned int i = 0; i < model->config.general; i++)
		if (ecx == i) {
			*value = model->pmc[i];
			return VPMU_DONE;
		}
	for (unsigned int i = 0; i < model->config.fixed; i++)
		if (ecx == 0x40000000 + i) {
			*value = model->fixed[i];
			return VPMU_DONE;
		}
	return VPMU_FAULT;
}

/* The counter goes on by one. Says whether it has overflowed. */
static bool count(uint64_t *counter, unsigned int width)
{
	if (*counter < bits(width)) {
		(*counter)++;
		return false;
	}
	*counter = 0;
	return true;
}

static unsigned int overflow(struct model *model, unsigned int bit, bool pmi)
{
	if (model->config.version >= 2)
		model->status |= UINT64_C(1) << bit;
	if (pmi)
		model->pmis_wanted++;
	return 1;
}

/* With a counter mask or edge detection the tests' source counts nothing. */
static bool general_counts(const struct model *model, unsigned int i,
			   const struct model_event *event, bool user)
{
	uint64_t evtsel = model->evtsel[i];

	if (event->architectural == 8)
		return false;
	if (event->architectural >= 0 &&
	    !test(model->config.events, (unsigned)event->architectural))
		return false;
	return test(model->global_ctrl, i) && test(evtsel, 22) && test(evtsel, user ? 16 : 17) &&
	       (evtsel & 0xff) == event->select && (evtsel >> 8 & 0xff) == event->umask &&
	       evtsel >> 24 == 0 && !test(evtsel, 18);
}

static bool fixed_counts(const struct model *model, unsigned int i, const struct model_event *event,
			 bool user)
{
	return event->fixed == (int)i && test(model->global_ctrl, 32 + i) &&
	       test(model->fixed_ctrl, 4 * i + (user ? 1 : 0));
}

uint64_t model_counting(const struct model *model, const struct model_event *event, bool user)
{
	uint64_t counters = 0;

	if (test(model->status, 59))
		return 0;
	for (unsigned int i = 0; i < model->config.general; i++)
		if (general_counts(model, i, event, user))
			counters |= UINT64_C(1) << i;
	for (unsigned int i = 0; i < model->config.fixed; i++)
		if (fixed_counts(model, i, event, user))
			counters |= UINT64_C(1) << (32 + i);
	return counters;
}

bool model_interrupts(const struct model *model, unsigned int counter)
{
	return counter < 32 ? test(model->evtsel[counter], 20)
			    : test(model->fixed_ctrl, 4 * (counter - 32) + 3);
}

unsigned int model_count(struct model *model, uint64_t counters)
{
	const struct vpmu_config *config = &model->config;
	unsigned int overflows = 0;

	for (unsigned int i = 0; i < config->general; i++)
		if (test(counters, i) && count(&model->pmc[i], config->general_width))
			overflows += overflow(model, i, model_interrupts(model, i));
	for (unsigned int i = 0; i < config->fixed; i++)
		if (test(counters, 32 + i) && count(&model->fixed[i], config->fixed_width))
			overflows += overflow(model, 32 + i, model_interrupts(model, 32 + i));
	return overflows;
}

void model_pmi(struct model *model)
{
	bool streamlined = model->config.version >= 4;

	if (test(model->debugctl, 12)) {
		if (streamlined)
			model->status |= UINT64_C(1) << 59;
		else
			model->global_ctrl = 0;
	}
	if (test(model->debugctl, 11)) {
		if (streamlined)
			model->status |= UINT64_C(1) << 58;
		else
			model->debugctl &= ~UINT64_C(1);
	}
}
