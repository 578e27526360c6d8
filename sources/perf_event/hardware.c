/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which of the machine's hardware events counts an event of the guest's PMU. SDM vol. 3,
 * "Performance Event Select Registers"; APM vol. 2, "Performance Event-Select Registers".
 */
#include "internal.h"
#include "machine.h"
#include <vpmu/perf_event.h>

/* Linux's generic events; topdown slots have none. */
static const struct {
	bool known;
	uint64_t config;
} generic[VPMU_EVENT_IDS] = {
	[VPMU_EVENT_CYCLES] = { true, PERF_COUNT_HW_CPU_CYCLES },
	[VPMU_EVENT_INSTRUCTIONS] = { true, PERF_COUNT_HW_INSTRUCTIONS },
	[VPMU_EVENT_REF_CYCLES] = { true, PERF_COUNT_HW_BUS_CYCLES },
	[VPMU_EVENT_LLC_REFERENCES] = { true, PERF_COUNT_HW_CACHE_REFERENCES },
	[VPMU_EVENT_LLC_MISSES] = { true, PERF_COUNT_HW_CACHE_MISSES },
	[VPMU_EVENT_BRANCHES] = { true, PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
	[VPMU_EVENT_BRANCH_MISSES] = { true, PERF_COUNT_HW_BRANCH_MISSES },
	[VPMU_EVENT_TSC_CYCLES] = { true, PERF_COUNT_HW_REF_CPU_CYCLES },
};

static bool is_generic(const struct vpmu_event *event)
{
	return !event->cmask && !event->invert && !event->edge && !event->extra &&
	       event->id < VPMU_EVENT_IDS && generic[event->id].known;
}

/*
 * Not Intel's event select 00H, with which Linux names fixed counters, and not load latency,
 * which counts with precise sampling only: that does not reach into guests.
 */
static bool has_raw_event(enum vpmu_vendor_id vendor, const struct vpmu_event *event)
{
	switch (vendor) {
	case VPMU_INTEL:
		return event->select != 0 && event->select <= 0xff &&
		       !(event->select == 0xcd && event->umask == 0x01);
	case VPMU_AMD:
		return event->select <= 0xfff;
	}
	return false;
}

/* Linux's config of a raw event is laid out as the event select register is. */
static uint64_t raw_config(const struct vpmu_event *event)
{
	return (uint64_t)(event->select & 0xff) | (uint64_t)event->umask << 8 |
	       (uint64_t)event->edge << 18 | (uint64_t)event->invert << 23 |
	       (uint64_t)event->cmask << 24 | (uint64_t)(event->select >> 8) << 32;
}

bool vpmu_pe_raw_event(enum vpmu_vendor_id vendor, const struct vpmu_event *event,
		       struct perf_event_attr *attr)
{
	if (!has_raw_event(vendor, event))
		return false;
	attr->type = PERF_TYPE_RAW;
	attr->config = raw_config(event);
	attr->config1 = event->extra;
	return true;
}

bool vpmu_perf_event_hardware(const struct vpmu_perf_event_options *options,
			      const struct vpmu_event *event, struct perf_event_attr *attr)
{
	/* To a processor a guest and that guest's own guest are both a guest. */
	if (!event->host_mode || !event->guest_mode)
		return false;
	if (is_generic(event)) {
		attr->type = PERF_TYPE_HARDWARE;
		attr->config = generic[event->id].config;
		return true;
	}
	return options->signature && vpmu_pe_machine_is(options->vendor, options->signature) &&
	       vpmu_pe_raw_event(options->vendor, event, attr);
}
