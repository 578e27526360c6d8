/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * Intel's registers: architectural performance monitoring versions 1 to 5, as
 * in SDM vol. 3, "Performance Monitoring", and the MSR tables of vol. 4.
 * Counts nothing itself; see counter.c.
 */
#include "common.h"

/* All but AnyThread, which CPUID says is deprecated. */
#define EVTSEL_WRITABLE (UINT64_C(0xffffffff) & ~BIT(21))

/* One counter's field of FIXED_CTR_CTRL; its bit 2, AnyThread, is reserved. */
#define FIXED_BITS 4
#define FIXED_EN   UINT64_C(3)
#define FIXED_OS   BIT(0)
#define FIXED_USR  BIT(1)
#define FIXED_PMI  BIT(3)

#define STATUS_OVF_BUF  BIT(62)
#define STATUS_COND_CHG BIT(63)

#define INUSE_PMI BIT(63)

/* The format of branch records and FREEZE_WHILE_SMM are the host's; the rest is not there. */
#define CAPABILITIES_LBR_FMT          UINT64_C(0x3f)
#define CAPABILITIES_FREEZE_WHILE_SMM BIT(12)
#define CAPABILITIES_FW_WRITE         BIT(13)
#define CAPABILITIES_PMU              (~(CAPABILITIES_LBR_FMT | CAPABILITIES_FREEZE_WHILE_SMM))

#define MISC_ENABLE_EMON             BIT(7)
#define MISC_ENABLE_BTS_UNAVAILABLE  BIT(11)
#define MISC_ENABLE_PEBS_UNAVAILABLE BIT(12)
#define MISC_ENABLE_UNAVAILABLE      (MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE)
#define MISC_ENABLE_PMU              (MISC_ENABLE_EMON | MISC_ENABLE_UNAVAILABLE)

/* CPUID.01H:ECX, CPUID.0AH:EDX */
#define CPUID_PDCM                 (1u << 15)
#define CPUID_ANYTHREAD_DEPRECATED (1u << 15)

/* The versions that brought the fixed counters and global control, and streamlined freezing. */
#define VERSION_GLOBAL      2
#define VERSION_STREAMLINED 4

static bool has_global(const struct vpmu *pmu)
{
	return pmu->config.version >= VERSION_GLOBAL;
}

static bool is_streamlined(const struct vpmu *pmu)
{
	return pmu->config.version >= VERSION_STREAMLINED;
}

/* How many architectural events a version knows: topdown slots came with the fifth. */
static unsigned int known_events(unsigned int version)
{
	return version >= 5 ? VPMU_EVENT_ARCHITECTURAL : VPMU_EVENT_TOPDOWN_SLOTS;
}

/* All that may be in a configuration's events. */
static uint32_t known_mask(unsigned int version)
{
	return ((1u << known_events(version)) - 1) |
	       (version >= VERSION_GLOBAL ? 1u << VPMU_EVENT_TSC_CYCLES : 0);
}

static unsigned int most_fixed(unsigned int version)
{
	if (version < VERSION_GLOBAL)
		return 0;
	return version >= 5 ? VPMU_MAX_FIXED : VPMU_MAX_FIXED - 1;
}

/* How many fixed counters, from the first on, have an event that is counted. */
static unsigned int counted_fixed(uint32_t events)
{
	unsigned int i = 0;

	while (i < VPMU_MAX_FIXED && (events & (1u << vpmu_fixed_event(i))))
		i++;
	return i;
}

struct vpmu_config vpmu_config_intel(unsigned int version, uint32_t events)
{
	bool first = version < VERSION_GLOBAL;
	struct vpmu_config config = {
		.vendor = VPMU_INTEL,
		/* A version that does not fit is one that does not exist, either. */
		.version = version > UINT8_MAX ? UINT8_MAX : (uint8_t)version,
		.general = version >= 5 ? 8
			   : first      ? 2
					: 4,
		.general_width = first ? 40 : 48,
		.fixed = first ? 0 : 3,
		.fixed_width = first ? 0 : 48,
		.full_width_writes = !first,
		.events = events & known_mask(version),
	};

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
	if (config->version < 1 || config->version > 5)
		return VPMU_ERROR_VERSION;
	if (config->general < 1 || config->general > VPMU_MAX_GENERAL)
		return VPMU_ERROR_GENERAL;
	if (config->fixed > most_fixed(config->version))
		return VPMU_ERROR_FIXED;
	if (!is_width(config->general_width) || (config->fixed && !is_width(config->fixed_width)))
		return VPMU_ERROR_WIDTH;
	if (config->events & ~known_mask(config->version))
		return VPMU_ERROR_EVENTS;
	if (config->fixed > counted_fixed(config->events))
		return VPMU_ERROR_EVENTS;
	if (config->event_registers & ~(uint32_t)VPMU_EVENT_REGISTERS || config->nested)
		return VPMU_ERROR_REGISTERS;
	return VPMU_OK;
}

static const char *error_text(enum vpmu_error error)
{
	switch (error) {
	case VPMU_ERROR_VERSION:
		return "the PMU version is not 0 (off) or 1 to 5";
	case VPMU_ERROR_GENERAL:
		return "the number of general counters is not 1 to 8";
	case VPMU_ERROR_FIXED:
		return "the number of fixed counters is not 0 to 3 (version 1: 0, version 5: 0 to "
		       "4)";
	case VPMU_ERROR_WIDTH:
		return "a counter width is not 32 to 48 bits";
	case VPMU_ERROR_EVENTS:
		return "an event is unknown, or a fixed counter's event is not counted";
	case VPMU_ERROR_REGISTERS:
		return "an event register is unknown, or host and guest mode are to be told apart";
	default:
		return "unknown error";
	}
}

static unsigned int level(const struct vpmu_config *config)
{
	return config->version;
}

static bool ignores(const struct vpmu *pmu, uint32_t msr)
{
	(void)pmu, (void)msr;
	return false;
}

static void reset(struct vpmu *pmu)
{
	if (has_global(pmu))
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

static uint64_t enabled(const struct vpmu *pmu)
{
	if (!has_global(pmu))
		return pmu->selected;
	return pmu->global_status & VPMU_STATUS_CTR_FRZ ? 0 : pmu->global_ctrl & pmu->selected;
}

static struct vpmu_event general_event(const struct vpmu *pmu, uint64_t evtsel)
{
	struct vpmu_event event = vpmu_selected_event(evtsel);

	event.id = vpmu_event_of(VPMU_INTEL, known_events(pmu->config.version), event.select,
				 event.umask);
	event.extra = vpmu_event_extra(pmu, event.select, event.umask);
	return event;
}

static struct vpmu_event event(const struct vpmu *pmu, unsigned int counter)
{
	if (counter < VPMU_FIXED)
		return general_event(pmu, pmu->event_select[counter]);
	return (struct vpmu_event){
		.id = vpmu_fixed_event(counter - VPMU_FIXED),
		.user = fixed_field(pmu, counter) & FIXED_USR,
		.kernel = fixed_field(pmu, counter) & FIXED_OS,
		.host_mode = true,
		.guest_mode = true,
	};
}

static void overflow(struct vpmu *pmu, unsigned int counter)
{
	if (has_global(pmu))
		pmu->global_status |= vpmu_bit(counter);
}

/*
 * "Freezing LBR and Performance Counters on PMI": before version 4 the enable
 * bits are cleared, from then on the status says that it is frozen.
 */
static unsigned int deliver(struct vpmu *pmu)
{
	bool lbrs = pmu->debug_control & VPMU_DEBUG_FREEZE_LBRS;

	if (is_streamlined(pmu)) {
		vpmu_freeze(pmu);
	} else {
		pmu->debug_control &= lbrs ? ~VPMU_DEBUG_LBR : ~UINT64_C(0);
		if (pmu->debug_control & VPMU_DEBUG_FREEZE_PERFMON)
			vpmu_set_global_ctrl(pmu, 0);
	}
	return VPMU_PMI | VPMU_MASK_LVTPC | (lbrs ? VPMU_FREEZE_LBR : 0u);
}

/* A register's bits outside of those that may be set: the write faults. */
static bool has_others(uint64_t value, uint64_t allowed)
{
	return value & ~allowed;
}

/* A legacy write sets the lower 32 bits; their sign extension is the rest. */
static enum vpmu_answer write_pmc(struct vpmu *pmu, unsigned int counter, uint64_t value)
{
	uint64_t extension = value & BIT(31) ? ~(uint64_t)UINT32_MAX : 0;

	return vpmu_row_write_counter(pmu, counter, (value & UINT32_MAX) | extension);
}

/* A write to a counter at its full width. */
static enum vpmu_answer write_wide(struct vpmu *pmu, unsigned int counter, uint64_t value)
{
	if (has_others(value, vpmu_counter_mask(pmu, counter)))
		return VPMU_FAULT;
	vpmu_write_counter(pmu, counter, value);
	return VPMU_DONE;
}

static enum vpmu_answer write_evtsel(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	if (has_others(value, EVTSEL_WRITABLE))
		return VPMU_FAULT;
	vpmu_select(pmu, i, value);
	return VPMU_DONE;
}

/* Which counters it concerns is up to their event selects: all compare their events. */
static enum vpmu_answer write_event_register(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	if (value == pmu->event_registers[i])
		return VPMU_DONE;
	pmu->event_registers[i] = value;
	vpmu_reprogram(pmu, BIT(pmu->config.general) - 1);
	return VPMU_DONE;
}

static enum vpmu_answer write_fixed_ctrl(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	uint64_t changed = value ^ pmu->fixed_ctrl;
	uint64_t changed_pmi = fixed_with(pmu, changed, FIXED_PMI);
	uint64_t allowed = 0;

	for (i = 0; i < pmu->config.fixed; i++)
		allowed |= (FIXED_EN | FIXED_PMI) << (FIXED_BITS * i);
	if (has_others(value, allowed))
		return VPMU_FAULT;
	if (!changed)
		return VPMU_DONE;
	/* As with the event select's INT. */
	vpmu_settle(pmu, changed_pmi);
	pmu->fixed_ctrl = value;
	pmu->selected &= ~fixed_with(pmu, ~UINT64_C(0), FIXED_EN);
	pmu->selected |= fixed_with(pmu, value, FIXED_EN);
	pmu->interrupting ^= changed_pmi;
	vpmu_touch(pmu, changed_pmi);
	vpmu_reprogram(pmu, fixed_with(pmu, changed, FIXED_EN));
	return VPMU_DONE;
}

static enum vpmu_answer write_global_ctrl(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	if (has_others(value, vpmu_counters(pmu)))
		return VPMU_FAULT;
	vpmu_set_global_ctrl(pmu, value);
	return VPMU_DONE;
}

/* The status bits that there are. */
static uint64_t status_bits(const struct vpmu *pmu)
{
	uint64_t frozen = is_streamlined(pmu) ? VPMU_STATUS_LBR_FRZ | VPMU_STATUS_CTR_FRZ : 0;

	return vpmu_counters(pmu) | frozen | STATUS_OVF_BUF | STATUS_COND_CHG;
}

static enum vpmu_answer write_status_reset(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	if (has_others(value, status_bits(pmu)))
		return VPMU_FAULT;
	vpmu_clear_status(pmu, value);
	return VPMU_DONE;
}

static enum vpmu_answer write_status_set(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	if (has_others(value, status_bits(pmu) & ~STATUS_COND_CHG))
		return VPMU_FAULT;
	vpmu_set_status(pmu, pmu->global_status | value);
	return VPMU_DONE;
}

static enum vpmu_answer read_inuse(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	uint64_t inuse = fixed_with(pmu, pmu->fixed_ctrl, FIXED_EN);

	inuse |= fixed_with(pmu, pmu->fixed_ctrl, FIXED_PMI) ? INUSE_PMI : 0;
	for (i = 0; i < pmu->config.general; i++) {
		inuse |= pmu->event_select[i] & VPMU_EVTSEL_SELECT ? vpmu_bit(i) : 0;
		inuse |= pmu->event_select[i] & VPMU_EVTSEL_INT ? INUSE_PMI : 0;
	}
	*value = inuse;
	return VPMU_DONE;
}

static uint64_t capabilities(const struct vpmu *pmu)
{
	return pmu->config.full_width_writes ? CAPABILITIES_FW_WRITE : 0;
}

static enum vpmu_answer read_capabilities(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)i;
	return vpmu_merge(value, capabilities(pmu), CAPABILITIES_PMU);
}

/* The configuration says what they are. */
static enum vpmu_answer host_write_capabilities(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	return (value & CAPABILITIES_PMU) == capabilities(pmu) ? VPMU_DONE : VPMU_FAULT;
}

static enum vpmu_answer read_misc_enable(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	uint64_t available = pmu->config.version ? MISC_ENABLE_EMON : 0;

	(void)i;
	return vpmu_merge(value, available | MISC_ENABLE_UNAVAILABLE, MISC_ENABLE_PMU);
}

/* EMON ignores writes. What is unavailable is read-only: a write of another value faults. */
static enum vpmu_answer write_misc_enable(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)pmu, (void)i;
	return has_others(MISC_ENABLE_UNAVAILABLE, value) ? VPMU_FAULT : VPMU_DONE;
}

#define ALL VPMU_ALL_BITS

static const struct vpmu_msr_row rows[] = {
	{ VPMU_MSR_PERF_GLOBAL_CTRL, 1, .level = 2, .state = VPMU_STATE, .bits = ALL,
	  .field = offsetof(struct vpmu, global_ctrl), .write = write_global_ctrl },
	{ VPMU_MSR_PERF_GLOBAL_STATUS, 1, .level = 2, .state = VPMU_STATE, .bits = ALL,
	  .read = vpmu_row_read_status, .host_write = vpmu_row_host_write_status },
	{ VPMU_MSR_PERF_GLOBAL_STATUS_RESET, 1, .level = 2, .bits = ALL, .read = vpmu_row_read_zero,
	  .write = write_status_reset, .host_write = vpmu_row_host_write_status_change },
	{ VPMU_MSR_FIXED_CTR0, 4, .base = VPMU_FIXED, .count = VPMU_ROW_FIXED, .level = 2,
	  .state = VPMU_STATE, .bits = ALL, .read = vpmu_row_read_counter, .write = write_wide },
	{ VPMU_MSR_FIXED_CTR_CTRL, 1, .level = 2, .state = VPMU_STATE, .bits = ALL,
	  .field = offsetof(struct vpmu, fixed_ctrl), .write = write_fixed_ctrl },
	{ VPMU_MSR_PMC0, 8, .count = VPMU_ROW_GENERAL, .level = 1, .state = VPMU_STATE, .bits = ALL,
	  .read = vpmu_row_read_counter, .write = write_pmc, .host_write = vpmu_row_write_counter },
	{ VPMU_MSR_A_PMC0, 8, .count = VPMU_ROW_GENERAL_WIDE, .level = 1, .bits = ALL,
	  .read = vpmu_row_read_counter, .write = write_wide },
	{ VPMU_MSR_PERFEVTSEL0, 8, .count = VPMU_ROW_GENERAL, .level = 1, .state = VPMU_STATE,
	  .bits = ALL, .field = offsetof(struct vpmu, event_select), .write = write_evtsel },
	{ VPMU_MSR_DEBUGCTL, 1, .level = 2, .hosts = true, .state = VPMU_STATE,
	  .bits = VPMU_DEBUG_PMU, .read = vpmu_row_read_debug_control,
	  .write = vpmu_row_write_debug_control },
	{ VPMU_MSR_PERF_GLOBAL_STATUS_SET, 1, .level = 4, .bits = ALL, .read = vpmu_row_read_zero,
	  .write = write_status_set, .host_write = vpmu_row_host_write_status_change },
	{ VPMU_MSR_PERF_GLOBAL_INUSE, 1, .level = 4, .bits = ALL, .read = read_inuse },
	{ VPMU_MSR_PERF_CAPABILITIES, 1, .level = 1, .bits = CAPABILITIES_PMU,
	  .read = read_capabilities, .host_write = host_write_capabilities },
	{ VPMU_MSR_MISC_ENABLE, 1, .bits = MISC_ENABLE_PMU, .read = read_misc_enable,
	  .write = write_misc_enable },
	{ VPMU_MSR_OFFCORE_RSP0, 2, .base = VPMU_AT_OFFCORE_RSP, .level = 1, .hosts = true,
	  .state = VPMU_STATE, .bits = ALL, .registers = VPMU_EVENT_REGISTER_OFFCORE_RSP,
	  .field = offsetof(struct vpmu, event_registers[VPMU_AT_OFFCORE_RSP]),
	  .write = write_event_register },
	{ VPMU_MSR_PEBS_LD_LAT, 1, .base = VPMU_AT_LD_LAT, .level = 1, .hosts = true,
	  .state = VPMU_STATE, .bits = ALL, .registers = VPMU_EVENT_REGISTER_LD_LAT,
	  .field = offsetof(struct vpmu, event_registers[VPMU_AT_LD_LAT]),
	  .write = write_event_register },
	{ VPMU_MSR_PEBS_FRONTEND, 1, .base = VPMU_AT_FRONTEND, .level = 1, .hosts = true,
	  .state = VPMU_STATE, .bits = ALL, .registers = VPMU_EVENT_REGISTER_FRONTEND,
	  .field = offsetof(struct vpmu, event_registers[VPMU_AT_FRONTEND]),
	  .write = write_event_register },
};

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

static void announce(const struct vpmu_config *config, uint32_t regs[4])
{
	unsigned int known = known_events(config->version);
	uint32_t anythread = config->version >= 3 ? CPUID_ANYTHREAD_DEPRECATED : 0;

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
	case 0x00:
		regs[0] = regs[0] < 0x0a ? 0x0a : regs[0];
		break;
	case 0x01:
		regs[2] |= CPUID_PDCM;
		break;
	case 0x0a:
		announce(&pmu->config, regs);
		break;
	default:
		break;
	}
}

const struct vpmu_vendor vpmu_intel = {
	.rows = rows,
	.row_count = sizeof(rows) / sizeof(rows[0]),
	.select_bits = VPMU_EVTSEL_SELECT,
	.check = check,
	.error_text = error_text,
	.level = level,
	.ignores = ignores,
	.reset = reset,
	.rdpmc_counter = rdpmc_counter,
	.cpuid = cpuid,
	.enabled = enabled,
	.event = event,
	.status_bits = status_bits,
	.overflow = overflow,
	.deliver = deliver,
};
