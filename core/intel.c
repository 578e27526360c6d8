/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Intel's registers: architectural performance monitoring versions 2 to 5, as
 * in SDM vol. 3, "Performance Monitoring", and the MSR tables of vol. 4.
 * Counts nothing itself; see vpmu.c.
 */
#include "internal.h"
#include <stddef.h>
#include <vpmu/msr.h>

#define BIT(n) (UINT64_C(1) << (n))

#define EVTSEL_SELECT   UINT64_C(0xff)
#define EVTSEL_USR      BIT(16)
#define EVTSEL_OS       BIT(17)
#define EVTSEL_EDGE     BIT(18)
#define EVTSEL_INT      BIT(20)
#define EVTSEL_ANY      BIT(21) /* CPUID says that it is deprecated: reserved */
#define EVTSEL_EN       BIT(22)
#define EVTSEL_INV      BIT(23)
#define EVTSEL_RESERVED (EVTSEL_ANY | ~(uint64_t)UINT32_MAX)

/* One counter's field of FIXED_CTR_CTRL; its bit 2, AnyThread, is reserved. */
#define FIXED_BITS 4
#define FIXED_EN   UINT64_C(3)
#define FIXED_OS   BIT(0)
#define FIXED_USR  BIT(1)
#define FIXED_PMI  BIT(3)

#define STATUS_LBR_FRZ  BIT(58)
#define STATUS_CTR_FRZ  BIT(59)
#define STATUS_OVF_BUF  BIT(62)
#define STATUS_COND_CHG BIT(63)

#define INUSE_PMI BIT(63)

#define DEBUGCTL_LBR                BIT(0)
#define DEBUGCTL_BTF                BIT(1)
#define DEBUGCTL_FREEZE_LBRS_ON_PMI BIT(11)
#define DEBUGCTL_FREEZE_PERFMON     BIT(12)
#define DEBUGCTL_WRITABLE                                                                          \
	(DEBUGCTL_LBR | DEBUGCTL_BTF | DEBUGCTL_FREEZE_LBRS_ON_PMI | DEBUGCTL_FREEZE_PERFMON)

#define CAPABILITIES_FW_WRITE BIT(13)

#define MISC_ENABLE_EMON             BIT(7)
#define MISC_ENABLE_BTS_UNAVAILABLE  BIT(11)
#define MISC_ENABLE_PEBS_UNAVAILABLE BIT(12)

/* CPUID.01H:ECX and EDX, CPUID.0AH:EDX */
#define CPUID_DTES64               (1u << 2)
#define CPUID_PDCM                 (1u << 15)
#define CPUID_DS                   (1u << 21)
#define CPUID_ANYTHREAD_DEPRECATED (1u << 15)

/* "Pre-defined Architectural Performance Events", as a general counter selects them. */
static const struct {
	uint8_t select, umask;
} architectural[VPMU_EVENT_ARCHITECTURAL] = {
	[VPMU_EVENT_CYCLES] = { 0x3c, 0x00 },        [VPMU_EVENT_INSTRUCTIONS] = { 0xc0, 0x00 },
	[VPMU_EVENT_REF_CYCLES] = { 0x3c, 0x01 },    [VPMU_EVENT_LLC_REFERENCES] = { 0x2e, 0x4f },
	[VPMU_EVENT_LLC_MISSES] = { 0x2e, 0x41 },    [VPMU_EVENT_BRANCHES] = { 0xc4, 0x00 },
	[VPMU_EVENT_BRANCH_MISSES] = { 0xc5, 0x00 }, [VPMU_EVENT_TOPDOWN_SLOTS] = { 0xa4, 0x01 },
};

static const uint8_t fixed_events[VPMU_MAX_FIXED] = {
	VPMU_EVENT_INSTRUCTIONS,
	VPMU_EVENT_CYCLES,
	VPMU_EVENT_REF_CYCLES,
	VPMU_EVENT_TOPDOWN_SLOTS,
};

/* How many architectural events a version knows: topdown slots came with the fifth. */
static unsigned int known_events(unsigned int version)
{
	return version >= 5 ? VPMU_EVENT_ARCHITECTURAL : VPMU_EVENT_TOPDOWN_SLOTS;
}

static unsigned int most_fixed(unsigned int version)
{
	return version >= 5 ? VPMU_MAX_FIXED : VPMU_MAX_FIXED - 1;
}

/* How many fixed counters, from the first on, have an event that is counted. */
static unsigned int counted_fixed(uint32_t events)
{
	unsigned int i = 0;

	while (i < VPMU_MAX_FIXED && (events & (1u << fixed_events[i])))
		i++;
	return i;
}

struct vpmu_config vpmu_config_intel(unsigned int version, uint32_t events)
{
	struct vpmu_config config = {
		/* A version that does not fit is one that does not exist, either. */
		.version = version > UINT8_MAX ? UINT8_MAX : (uint8_t)version,
		.general = version >= 5 ? 8 : 4,
		.general_width = 48,
		.fixed = 3,
		.fixed_width = 48,
		.full_width_writes = true,
		.events = events,
	};

	if (version < 5)
		config.events &= ~(1u << VPMU_EVENT_TOPDOWN_SLOTS);
	if (config.fixed > counted_fixed(events))
		config.fixed = (uint8_t)counted_fixed(events);
	return config;
}

static bool is_width(unsigned int bits)
{
	return bits >= 32 && bits <= 48;
}

static enum vpmu_error check(const struct vpmu_config *config)
{
	if (config->version < 2 || config->version > 5)
		return VPMU_ERROR_VERSION;
	if (config->general < 1 || config->general > VPMU_MAX_GENERAL)
		return VPMU_ERROR_GENERAL;
	if (config->fixed > most_fixed(config->version))
		return VPMU_ERROR_FIXED;
	if (!is_width(config->general_width) || (config->fixed && !is_width(config->fixed_width)))
		return VPMU_ERROR_WIDTH;
	if (config->events >> known_events(config->version))
		return VPMU_ERROR_EVENTS;
	if (config->fixed > counted_fixed(config->events))
		return VPMU_ERROR_EVENTS;
	return VPMU_OK;
}

static void reset(struct vpmu *pmu)
{
	for (unsigned int i = 0; i < VPMU_MAX_GENERAL; i++)
		pmu->event_select[i] = 0;
	pmu->fixed_ctrl = 0;
	pmu->global_status = 0;
	pmu->debugctl = 0;
	pmu->global_ctrl = BIT(pmu->config.general) - 1;
}

/* FIXED_CTR_CTRL's field of a counter, given as an index from VPMU_FIXED. */
static uint64_t fixed_field(const struct vpmu *pmu, unsigned int counter)
{
	return pmu->fixed_ctrl >> (FIXED_BITS * (counter - VPMU_FIXED));
}

/* The fixed counters with one of these bits set in their fields of a FIXED_CTR_CTRL value. */
static uint64_t fixed_with(const struct vpmu *pmu, uint64_t fixed_ctrl, uint64_t bits)
{
	uint64_t counters = 0;

	for (unsigned int i = 0; i < pmu->config.fixed; i++)
		if (fixed_ctrl & (bits << (FIXED_BITS * i)))
			counters |= vpmu_bit(VPMU_FIXED + i);
	return counters;
}

/* The general counters that EVTSEL enables and the fixed ones that FIXED_CTR_CTRL does. */
static uint64_t locally_enabled(const struct vpmu *pmu)
{
	uint64_t enabled = 0;

	for (unsigned int i = 0; i < pmu->config.general; i++)
		if ((pmu->event_select[i] & EVTSEL_EN) &&
		    (pmu->event_select[i] & (EVTSEL_USR | EVTSEL_OS)))
			enabled |= vpmu_bit(i);
	return enabled | fixed_with(pmu, pmu->fixed_ctrl, FIXED_EN);
}

static uint64_t enabled(const struct vpmu *pmu)
{
	if (!pmu->global_ctrl || (pmu->global_status & STATUS_CTR_FRZ))
		return 0;
	return pmu->global_ctrl & locally_enabled(pmu);
}

static enum vpmu_event_id event_id(const struct vpmu *pmu, unsigned int select, unsigned int umask)
{
	for (unsigned int i = 0; i < known_events(pmu->config.version); i++)
		if (architectural[i].select == select && architectural[i].umask == umask)
			return (enum vpmu_event_id)i;
	return VPMU_EVENT_RAW;
}

static struct vpmu_event general_event(const struct vpmu *pmu, uint64_t evtsel)
{
	struct vpmu_event event = {
		.select = evtsel & EVTSEL_SELECT,
		.umask = (uint8_t)(evtsel >> 8),
		.cmask = (uint8_t)(evtsel >> 24),
		.edge = evtsel & EVTSEL_EDGE,
		.user = evtsel & EVTSEL_USR,
		.kernel = evtsel & EVTSEL_OS,
	};

	event.id = event_id(pmu, event.select, event.umask);
	/* There is nothing to invert without a comparison. */
	event.invert = event.cmask && (evtsel & EVTSEL_INV);
	return event;
}

static struct vpmu_event event(const struct vpmu *pmu, unsigned int counter)
{
	if (counter < VPMU_FIXED)
		return general_event(pmu, pmu->event_select[counter]);
	return (struct vpmu_event){
		.id = (enum vpmu_event_id)fixed_events[counter - VPMU_FIXED],
		.user = fixed_field(pmu, counter) & FIXED_USR,
		.kernel = fixed_field(pmu, counter) & FIXED_OS,
	};
}

static bool interrupts(const struct vpmu *pmu, unsigned int counter)
{
	if (counter < VPMU_FIXED)
		return pmu->event_select[counter] & EVTSEL_INT;
	return fixed_field(pmu, counter) & FIXED_PMI;
}

/*
 * "Freezing LBR and Performance Counters on PMI": before version 4 the enable
 * bits are cleared, from then on the status says that it is frozen.
 */
static void freeze(struct vpmu *pmu)
{
	bool perfmon = pmu->debugctl & DEBUGCTL_FREEZE_PERFMON;
	bool lbrs = pmu->debugctl & DEBUGCTL_FREEZE_LBRS_ON_PMI;

	if (pmu->config.version >= 4) {
		pmu->global_status |= perfmon ? STATUS_CTR_FRZ : 0;
		pmu->global_status |= lbrs ? STATUS_LBR_FRZ : 0;
	} else {
		pmu->global_ctrl = perfmon ? 0 : pmu->global_ctrl;
		pmu->debugctl &= lbrs ? ~DEBUGCTL_LBR : ~UINT64_C(0);
	}
	if (perfmon)
		vpmu_touch(pmu, vpmu_counters(pmu));
}

/* A register's bits outside of those that may be set: the write faults. */
static bool has_others(uint64_t value, uint64_t allowed)
{
	return value & ~allowed;
}

static enum vpmu_answer read_pmc(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	if (i >= pmu->config.general)
		return VPMU_FAULT;
	*value = vpmu_read_counter(pmu, i);
	return VPMU_DONE;
}

/* A legacy write sets the lower 32 bits; their sign extension is the rest. */
static enum vpmu_answer write_pmc(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	uint64_t extension = value & BIT(31) ? ~(uint64_t)UINT32_MAX : 0;

	if (i >= pmu->config.general)
		return VPMU_FAULT;
	value = (value & UINT32_MAX) | extension;
	vpmu_write_counter(pmu, i, value & vpmu_counter_mask(pmu, i));
	return VPMU_DONE;
}

static enum vpmu_answer read_a_pmc(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	return pmu->config.full_width_writes ? read_pmc(pmu, i, value) : VPMU_FAULT;
}

/* A write to a counter at its full width. */
static enum vpmu_answer write_wide(struct vpmu *pmu, unsigned int counter, uint64_t value)
{
	if (has_others(value, vpmu_counter_mask(pmu, counter)))
		return VPMU_FAULT;
	vpmu_write_counter(pmu, counter, value);
	return VPMU_DONE;
}

static enum vpmu_answer write_a_pmc(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	if (!pmu->config.full_width_writes || i >= pmu->config.general)
		return VPMU_FAULT;
	return write_wide(pmu, i, value);
}

static enum vpmu_answer read_fixed(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	if (i >= pmu->config.fixed)
		return VPMU_FAULT;
	*value = vpmu_read_counter(pmu, VPMU_FIXED + i);
	return VPMU_DONE;
}

static enum vpmu_answer write_fixed(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	if (i >= pmu->config.fixed)
		return VPMU_FAULT;
	return write_wide(pmu, VPMU_FIXED + i, value);
}

static enum vpmu_answer read_evtsel(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	if (i >= pmu->config.general)
		return VPMU_FAULT;
	*value = pmu->event_select[i];
	return VPMU_DONE;
}

static enum vpmu_answer write_evtsel(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	if (i >= pmu->config.general || (value & EVTSEL_RESERVED))
		return VPMU_FAULT;
	if (value == pmu->event_select[i])
		return VPMU_DONE;
	/* Whether an overflow until now asks for a PMI is up to the old value. */
	if ((value ^ pmu->event_select[i]) & EVTSEL_INT)
		vpmu_settle(pmu, vpmu_bit(i));
	pmu->event_select[i] = value;
	vpmu_touch(pmu, vpmu_bit(i));
	return VPMU_DONE;
}

static enum vpmu_answer read_fixed_ctrl(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)i;
	*value = pmu->fixed_ctrl;
	return VPMU_DONE;
}

static enum vpmu_answer write_fixed_ctrl(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	uint64_t changed = value ^ pmu->fixed_ctrl;
	uint64_t allowed = 0;

	for (i = 0; i < pmu->config.fixed; i++)
		allowed |= (FIXED_EN | FIXED_PMI) << (FIXED_BITS * i);
	if (has_others(value, allowed))
		return VPMU_FAULT;
	/* As with EVTSEL's INT. */
	vpmu_settle(pmu, fixed_with(pmu, changed, FIXED_PMI));
	pmu->fixed_ctrl = value;
	vpmu_touch(pmu, fixed_with(pmu, changed, FIXED_EN | FIXED_PMI));
	return VPMU_DONE;
}

static enum vpmu_answer read_global_ctrl(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)i;
	*value = pmu->global_ctrl;
	return VPMU_DONE;
}

static enum vpmu_answer write_global_ctrl(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	if (has_others(value, vpmu_counters(pmu)))
		return VPMU_FAULT;
	vpmu_touch(pmu, value ^ pmu->global_ctrl);
	pmu->global_ctrl = value;
	return VPMU_DONE;
}

static enum vpmu_answer read_global_status(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)i;
	vpmu_settle(pmu, vpmu_counters(pmu));
	*value = pmu->global_status;
	return VPMU_DONE;
}

/* The status bits that there are. */
static uint64_t status_bits(const struct vpmu *pmu)
{
	uint64_t frozen = pmu->config.version >= 4 ? STATUS_LBR_FRZ | STATUS_CTR_FRZ : 0;

	return vpmu_counters(pmu) | frozen | STATUS_OVF_BUF | STATUS_COND_CHG;
}

static void change_status(struct vpmu *pmu, uint64_t status)
{
	if ((status ^ pmu->global_status) & STATUS_CTR_FRZ)
		vpmu_touch(pmu, vpmu_counters(pmu));
	pmu->global_status = status;
}

static enum vpmu_answer read_zero(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)pmu, (void)i;
	*value = 0;
	return VPMU_DONE;
}

static enum vpmu_answer write_status_reset(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	if (has_others(value, status_bits(pmu)))
		return VPMU_FAULT;
	/* Overflows until now are among those that are acknowledged. */
	vpmu_settle(pmu, value);
	change_status(pmu, pmu->global_status & ~value);
	return VPMU_DONE;
}

static enum vpmu_answer write_status_set(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	if (has_others(value, status_bits(pmu) & ~STATUS_COND_CHG))
		return VPMU_FAULT;
	change_status(pmu, pmu->global_status | value);
	return VPMU_DONE;
}

static enum vpmu_answer read_inuse(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	uint64_t inuse = 0;

	inuse |= fixed_with(pmu, pmu->fixed_ctrl, FIXED_EN);
	inuse |= fixed_with(pmu, pmu->fixed_ctrl, FIXED_PMI) ? INUSE_PMI : 0;
	for (i = 0; i < pmu->config.general; i++) {
		inuse |= pmu->event_select[i] & EVTSEL_SELECT ? vpmu_bit(i) : 0;
		inuse |= pmu->event_select[i] & EVTSEL_INT ? INUSE_PMI : 0;
	}
	*value = inuse;
	return VPMU_DONE;
}

static enum vpmu_answer read_capabilities(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)i;
	*value = pmu->config.full_width_writes ? CAPABILITIES_FW_WRITE : 0;
	return VPMU_DONE;
}

static enum vpmu_answer read_debugctl(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)i;
	*value = pmu->debugctl;
	return VPMU_DONE;
}

static enum vpmu_answer write_debugctl(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	if (has_others(value, DEBUGCTL_WRITABLE))
		return VPMU_FAULT;
	pmu->debugctl = value;
	return VPMU_DONE;
}

/* The PMU's MSRs. A row without a function faults on that access. */
static const struct msr_row {
	uint32_t first;
	uint8_t count;   /* this many, in a row */
	uint8_t version; /* that they came with */
	enum vpmu_answer (*read)(struct vpmu *pmu, unsigned int i, uint64_t *value);
	enum vpmu_answer (*write)(struct vpmu *pmu, unsigned int i, uint64_t value);
} msrs[] = {
	{ VPMU_MSR_PERF_GLOBAL_CTRL, 1, 2, read_global_ctrl, write_global_ctrl },
	{ VPMU_MSR_PERF_GLOBAL_STATUS, 1, 2, read_global_status, NULL },
	{ VPMU_MSR_PERF_GLOBAL_STATUS_RESET, 1, 2, read_zero, write_status_reset },
	{ VPMU_MSR_PMC0, VPMU_MAX_GENERAL, 2, read_pmc, write_pmc },
	{ VPMU_MSR_A_PMC0, VPMU_MAX_GENERAL, 2, read_a_pmc, write_a_pmc },
	{ VPMU_MSR_PERFEVTSEL0, VPMU_MAX_GENERAL, 2, read_evtsel, write_evtsel },
	{ VPMU_MSR_FIXED_CTR0, VPMU_MAX_FIXED, 2, read_fixed, write_fixed },
	{ VPMU_MSR_FIXED_CTR_CTRL, 1, 2, read_fixed_ctrl, write_fixed_ctrl },
	{ VPMU_MSR_DEBUGCTL, 1, 2, read_debugctl, write_debugctl },
	{ VPMU_MSR_PERF_GLOBAL_STATUS_SET, 1, 4, read_zero, write_status_set },
	{ VPMU_MSR_PERF_GLOBAL_INUSE, 1, 4, read_inuse, NULL },
	{ VPMU_MSR_PERF_CAPABILITIES, 1, 2, read_capabilities, NULL },
};

static const struct msr_row *find_msr(const struct vpmu *pmu, uint32_t msr)
{
	/* Without a PMU there is still a debug control, and it is the host's. */
	if (msr == VPMU_MSR_DEBUGCTL && pmu->config.version == 0)
		return NULL;
	for (unsigned int i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		if (msr - msrs[i].first < msrs[i].count)
			return &msrs[i];
	return NULL;
}

static enum vpmu_answer rdmsr(struct vpmu *pmu, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = find_msr(pmu, msr);

	if (!row)
		return VPMU_NOT_MINE;
	if (pmu->config.version < row->version || !row->read)
		return VPMU_FAULT;
	return row->read(pmu, msr - row->first, value);
}

static enum vpmu_answer wrmsr(struct vpmu *pmu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = find_msr(pmu, msr);

	if (!row)
		return VPMU_NOT_MINE;
	if (pmu->config.version < row->version || !row->write)
		return VPMU_FAULT;
	return row->write(pmu, msr - row->first, value);
}

static bool rdpmc_counter(const struct vpmu *pmu, uint32_t ecx, unsigned int *counter)
{
	unsigned int index = ecx & 0xffff;

	switch (ecx >> 16) {
	case 0x0000:
		*counter = index;
		return index < pmu->config.general;
	case 0x4000:
		*counter = VPMU_FIXED + index;
		return index < pmu->config.fixed;
	default:
		return false;
	}
}

static void cpuid_pmu(const struct vpmu_config *config, uint32_t regs[4])
{
	unsigned int known = known_events(config->version);
	uint32_t anythread = config->version >= 3 ? CPUID_ANYTHREAD_DEPRECATED : 0;

	regs[0] = regs[1] = regs[2] = regs[3] = 0;
	if (config->version == 0)
		return;
	regs[0] = config->version | (uint32_t)config->general << 8 |
		  (uint32_t)config->general_width << 16 | known << 24;
	/* A set bit says that the event is not there. */
	regs[1] = ~config->events & ((1u << known) - 1);
	if (config->version >= 5)
		regs[2] = (1u << config->fixed) - 1;
	regs[3] = config->fixed | (config->fixed ? (uint32_t)config->fixed_width << 5 : 0) |
		  anythread;
}

static void cpuid(const struct vpmu *pmu, uint32_t leaf, uint32_t regs[4])
{
	switch (leaf) {
	case 0x01:
		regs[2] &= ~(CPUID_DTES64 | CPUID_PDCM);
		regs[2] |= pmu->config.version ? CPUID_PDCM : 0;
		regs[3] &= ~CPUID_DS;
		break;
	case 0x0a:
		cpuid_pmu(&pmu->config, regs);
		break;
	default:
		break;
	}
}

static uint64_t misc_enable(const struct vpmu *pmu, uint64_t value)
{
	value &= ~MISC_ENABLE_EMON;
	value |= pmu->config.version ? MISC_ENABLE_EMON : 0;
	return value | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
}

const struct vpmu_vendor vpmu_intel = {
	.check = check,
	.reset = reset,
	.rdmsr = rdmsr,
	.wrmsr = wrmsr,
	.rdpmc_counter = rdpmc_counter,
	.cpuid = cpuid,
	.misc_enable = misc_enable,
	.enabled = enabled,
	.event = event,
	.interrupts = interrupts,
	.freeze = freeze,
};
