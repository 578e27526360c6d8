/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which of the machine's hardware events counts an event of the guest's PMU.
 */
#include <vpmu/perf_event.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* Is this an Intel processor, so that the guest's encodings mean the same here? */
static bool is_intel(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_INTEL_ebx &&
	       ecx == signature_INTEL_ecx && edx == signature_INTEL_edx;
}
#else
static bool is_intel(void)
{
	return false;
}
#endif

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

/* Linux's config of a raw event is laid out as IA32_PERFEVTSELx. */
static uint64_t raw_config(const struct vpmu_event *event)
{
	return (uint64_t)(event->select & 0xff) | (uint64_t)event->umask << 8 |
	       (uint64_t)event->edge << 18 | (uint64_t)event->invert << 23 |
	       (uint64_t)event->cmask << 24;
}

bool vpmu_perf_event_hardware(const struct vpmu_event *event, struct perf_event_attr *attr)
{
	bool plain = !event->cmask && !event->invert && !event->edge;

	if (plain && event->id < VPMU_EVENT_IDS && generic[event->id].known) {
		attr->type = PERF_TYPE_HARDWARE;
		attr->config = generic[event->id].config;
		return true;
	}
	/* A fixed counter's event has no encoding. */
	if (!(event->select | event->umask) || event->select > 0xff || !is_intel())
		return false;
	attr->type = PERF_TYPE_RAW;
	attr->config = raw_config(event);
	return true;
}
