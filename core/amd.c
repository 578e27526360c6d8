/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * AMD's registers: APM vol. 2, "Performance Monitoring Counters", and the PPR. The PMU of
 * K7 and after (4 counters), the core extension (6, at other numbers, of which the old
 * ones are aliases), and PerfMonV2 with its global control. Reserved bits are
 * ignored, not refused. Counts nothing itself; see counter.c.
 */
#include "common.h"

#define WIDTH 48

#define K7_COUNTERS   4
#define CORE_COUNTERS 6

/* How much of a PMU it is; rows of a register table have these. */
enum { LEVEL_OFF, LEVEL_K7, LEVEL_CORE, LEVEL_V2 };

#define EVTSEL_HOST_GUEST (VPMU_EVTSEL_HOST | VPMU_EVTSEL_GUEST)
/* All but bits 19 and 21, and the select's upper bits. */
#define EVTSEL_KEPT ((UINT64_C(0xffffffff) & ~(BIT(19) | BIT(21))) | VPMU_EVTSEL_SELECT_2)

/* CPUID.80000001H:ECX, CPUID.80000022H:EAX */
#define CPUID_PERF_CORE          (1u << 23)
#define CPUID_PERFMON_V2         (1u << 0)
#define CPUID_LBR_AND_PMC_FREEZE (1u << 2)

static unsigned int level(const struct vpmu_config *config)
{
	switch (config->version) {
	case 0:
		return LEVEL_OFF;
	case 1:
		return config->general > K7_COUNTERS ? LEVEL_CORE : LEVEL_K7;
	default:
		return LEVEL_V2;
	}
}

static bool is_v2(const struct vpmu *pmu)
{
	return pmu->level == LEVEL_V2;
}

/* The events that there is an encoding for. */
static uint32_t known_mask(void)
{
	uint32_t events = 0;
	uint16_t select;
	uint8_t umask;

	for (unsigned int id = 0; id < VPMU_EVENT_IDS; id++)
		if (vpmu_event_encoding(VPMU_AMD, (enum vpmu_event_id)id, &select, &umask))
			events |= 1u << id;
	return events;
}

struct vpmu_config vpmu_config_amd(unsigned int version, unsigned int counters, uint32_t events)
{
	return (struct vpmu_config){
		.vendor = VPMU_AMD,
		/* Numbers that do not fit are ones that do not exist, either. */
		.version = version > UINT8_MAX ? UINT8_MAX : (uint8_t)version,
		.general = counters > UINT8_MAX ? UINT8_MAX : (uint8_t)counters,
		.general_width = WIDTH,
		.events = events & known_mask(),
	};
}

static enum vpmu_error check(const struct vpmu_config *config)
{
	bool fits = config->version == 1
			    ? config->general == K7_COUNTERS || config->general == CORE_COUNTERS
			    : config->general >= 1 && config->general <= CORE_COUNTERS;

	if (config->version < 1 || config->version > 2)
		return VPMU_ERROR_VERSION;
	if (!fits)
		return VPMU_ERROR_GENERAL;
	if (config->fixed || config->fixed_width)
		return VPMU_ERROR_FIXED;
	if (config->general_width != WIDTH)
		return VPMU_ERROR_WIDTH;
	if (config->events & ~known_mask())
		return VPMU_ERROR_EVENTS;
	if (config->event_registers || config->full_width_writes)
		return VPMU_ERROR_REGISTERS;
	return VPMU_OK;
}

static const char *error_text(enum vpmu_error error)
{
	switch (error) {
	case VPMU_ERROR_VERSION:
		return "the PMU version is not 0 (off), 1 or 2";
	case VPMU_ERROR_GENERAL:
		return "the number of counters is not 4 or 6 (version 2: 1 to 6)";
	case VPMU_ERROR_FIXED:
		return "there are no fixed counters";
	case VPMU_ERROR_WIDTH:
		return "the counter width is not 48 bits";
	case VPMU_ERROR_EVENTS:
		return "an event is unknown";
	case VPMU_ERROR_REGISTERS:
		return "there are no event registers and no full width writes";
	default:
		return "unknown error";
	}
}

/* No CPUID bit announces the oldest counters: guests expect them on each processor. */
static bool ignores(const struct vpmu *pmu, uint32_t msr)
{
	return pmu->level == LEVEL_OFF && msr >= VPMU_AMD_MSR_K7_EVNTSEL0 &&
	       msr < VPMU_AMD_MSR_K7_PERFCTR0 + K7_COUNTERS;
}

static void reset(struct vpmu *pmu)
{
	if (is_v2(pmu))
		pmu->global_ctrl = BIT(pmu->config.general) - 1;
}

static uint64_t enabled(const struct vpmu *pmu)
{
	/* A restriction to host or guest mode (also by both bits) is void until there are modes. */
	uint64_t counters = pmu->selected & ~(pmu->svme ? 0 : pmu->restricted);

	if (!is_v2(pmu))
		return counters;
	return pmu->global_status & VPMU_STATUS_CTR_FRZ ? 0 : counters & pmu->global_ctrl;
}

static struct vpmu_event event(const struct vpmu *pmu, unsigned int counter)
{
	uint64_t evtsel = pmu->event_select[counter];
	uint64_t modes = evtsel & EVTSEL_HOST_GUEST;
	struct vpmu_event event = vpmu_selected_event(evtsel);

	event.select = (uint16_t)(event.select | (evtsel & VPMU_EVTSEL_SELECT_2) >> 24);
	event.id = vpmu_event_of(VPMU_AMD, VPMU_EVENT_IDS, event.select, event.umask);
	event.host_mode = modes != VPMU_EVTSEL_GUEST;
	event.guest_mode = modes != VPMU_EVTSEL_HOST;
	return event;
}

static void overflow(struct vpmu *pmu, unsigned int counter)
{
	if (is_v2(pmu))
		pmu->global_status |= vpmu_bit(counter);
}

static unsigned int deliver(struct vpmu *pmu)
{
	vpmu_freeze(pmu);
	return VPMU_PMI | (pmu->debug_control & VPMU_DEBUG_FREEZE_LBRS ? VPMU_FREEZE_LBR : 0u);
}

static enum vpmu_answer write_evtsel(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	value &= EVTSEL_KEPT | (pmu->config.nested ? EVTSEL_HOST_GUEST : 0);
	vpmu_select(pmu, i, value);
	vpmu_put(&pmu->restricted, i, value & EVTSEL_HOST_GUEST);
	return VPMU_DONE;
}

static enum vpmu_answer write_global_ctl(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	vpmu_set_global_ctrl(pmu, value & vpmu_counters(pmu));
	return VPMU_DONE;
}

/* The status bits that there are. */
static uint64_t status_bits(const struct vpmu *pmu)
{
	return vpmu_counters(pmu) | VPMU_STATUS_LBR_FRZ | VPMU_STATUS_CTR_FRZ;
}

/* Writes are ignored. */
static enum vpmu_answer write_nothing(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)pmu, (void)i, (void)value;
	return VPMU_DONE;
}

static enum vpmu_answer write_status_clr(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	vpmu_clear_status(pmu, value & status_bits(pmu));
	return VPMU_DONE;
}

static enum vpmu_answer write_status_set(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	(void)i;
	vpmu_set_status(pmu, pmu->global_status | (value & status_bits(pmu)));
	return VPMU_DONE;
}

/* Bits 5 to 2, once of pins, ignore writes unless the host has given them another meaning. */
static enum vpmu_answer write_debugctl(struct vpmu *pmu, unsigned int i, uint64_t value)
{
	uint64_t pins = UINT64_C(0x3c) & ~pmu->config.debug_bits;

	return vpmu_row_write_debug_control(pmu, i, value & ~pins);
}

#define ALL VPMU_ALL_BITS

static const struct vpmu_msr_row rows[] = {
	{ VPMU_AMD_MSR_PERF_CNTR_GLOBAL_CTL, 1, .level = LEVEL_V2, .state = VPMU_STATE, .bits = ALL,
	  .field = offsetof(struct vpmu, global_ctrl), .write = write_global_ctl },
	{ VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS, 1, .level = LEVEL_V2, .state = VPMU_STATE,
	  .bits = ALL, .read = vpmu_row_read_status, .write = write_nothing,
	  .host_write = vpmu_row_host_write_status },
	{ VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS_CLR, 1, .level = LEVEL_V2, .bits = ALL,
	  .read = vpmu_row_read_zero, .write = write_status_clr, .host_write = write_nothing },
	{ VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS_SET, 1, .level = LEVEL_V2, .bits = ALL,
	  .read = vpmu_row_read_zero, .write = write_status_set, .host_write = write_nothing },
	{ VPMU_AMD_MSR_PERF_CTR0, 12, .shift = 1, .count = VPMU_ROW_GENERAL, .level = LEVEL_CORE,
	  .state = VPMU_STATE, .bits = ALL, .read = vpmu_row_read_counter,
	  .write = vpmu_row_write_counter },
	{ VPMU_AMD_MSR_PERF_CTL0, 12, .shift = 1, .count = VPMU_ROW_GENERAL, .level = LEVEL_CORE,
	  .state = VPMU_STATE, .bits = ALL, .field = offsetof(struct vpmu, event_select),
	  .write = write_evtsel },
	{ VPMU_AMD_MSR_K7_PERFCTR0, 4, .count = VPMU_ROW_GENERAL, .level = LEVEL_K7,
	  .state = LEVEL_K7, .bits = ALL, .read = vpmu_row_read_counter,
	  .write = vpmu_row_write_counter },
	{ VPMU_AMD_MSR_K7_EVNTSEL0, 4, .count = VPMU_ROW_GENERAL, .level = LEVEL_K7,
	  .state = LEVEL_K7, .bits = ALL, .field = offsetof(struct vpmu, event_select),
	  .write = write_evtsel },
	{ VPMU_MSR_DEBUGCTL, 1, .level = LEVEL_V2, .hosts = true, .state = VPMU_STATE,
	  .bits = VPMU_DEBUG_PMU, .read = vpmu_row_read_debug_control, .write = write_debugctl },
};

/* Bits 31 and 30 of ECX, Intel's, belong to no counter here. */
static bool rdpmc_counter(const struct vpmu *pmu, uint32_t ecx, unsigned int *counter)
{
	*counter = ecx;
	return ecx < pmu->config.general;
}

static void cpuid(const struct vpmu *pmu, uint32_t leaf, uint32_t regs[4])
{
	switch (leaf) {
	case 0x80000000:
		if (is_v2(pmu) && regs[0] < 0x80000022)
			regs[0] = 0x80000022;
		break;
	case 0x80000001:
		if (pmu->level >= LEVEL_CORE)
			regs[2] |= CPUID_PERF_CORE;
		break;
	case 0x80000022:
		if (is_v2(pmu)) {
			regs[0] = CPUID_PERFMON_V2 | CPUID_LBR_AND_PMC_FREEZE;
			regs[1] = pmu->config.general;
		}
		break;
	default:
		break;
	}
}

const struct vpmu_vendor vpmu_amd = {
	.rows = rows,
	.row_count = sizeof(rows) / sizeof(rows[0]),
	.select_bits = VPMU_EVTSEL_SELECT | VPMU_EVTSEL_SELECT_2,
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
