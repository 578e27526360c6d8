/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * The tables of events: which encoding is which event that the library has an id for,
 * and which encodings need a second register. SDM vol. 3, "Pre-defined Architectural
 * Performance Events" and "Fixed-function Performance Counters"; PPR, "Performance
 * Monitor Counters".
 */
#include "internal.h"

struct encoding {
	bool known;
	uint16_t select;
	uint8_t umask;
};

static const struct encoding intel[VPMU_EVENT_IDS] = {
	[VPMU_EVENT_CYCLES] = { true, 0x3c, 0x00 },
	[VPMU_EVENT_INSTRUCTIONS] = { true, 0xc0, 0x00 },
	[VPMU_EVENT_REF_CYCLES] = { true, 0x3c, 0x01 },
	[VPMU_EVENT_LLC_REFERENCES] = { true, 0x2e, 0x4f },
	[VPMU_EVENT_LLC_MISSES] = { true, 0x2e, 0x41 },
	[VPMU_EVENT_BRANCHES] = { true, 0xc4, 0x00 },
	[VPMU_EVENT_BRANCH_MISSES] = { true, 0xc5, 0x00 },
	[VPMU_EVENT_TOPDOWN_SLOTS] = { true, 0xa4, 0x01 },
};

/* The same from K7 to Zen 5. The caches' are not. */
static const struct encoding amd[VPMU_EVENT_IDS] = {
	[VPMU_EVENT_CYCLES] = { true, 0x76, 0x00 },
	[VPMU_EVENT_INSTRUCTIONS] = { true, 0xc0, 0x00 },
	[VPMU_EVENT_BRANCHES] = { true, 0xc2, 0x00 },
	[VPMU_EVENT_BRANCH_MISSES] = { true, 0xc3, 0x00 },
};

static const enum vpmu_event_id fixed_events[VPMU_MAX_FIXED] = {
	VPMU_EVENT_INSTRUCTIONS,
	VPMU_EVENT_CYCLES,
	VPMU_EVENT_TSC_CYCLES,
	VPMU_EVENT_TOPDOWN_SLOTS,
};

/*
 * Encodings that an event register says more of, on the processors that have them so: SDM
 * vol. 3, "Off-core Response Performance Monitoring", "Load Latency Performance Monitoring
 * Facility", and vol. 4, MSR_PEBS_FRONTEND.
 */
static const struct {
	uint8_t select, umask;
	uint8_t index;
	enum vpmu_event_register which;
} extended[] = {
	{ 0xb7, 0x01, VPMU_AT_OFFCORE_RSP, VPMU_EVENT_REGISTER_OFFCORE_RSP },
	{ 0xbb, 0x01, VPMU_AT_OFFCORE_RSP + 1, VPMU_EVENT_REGISTER_OFFCORE_RSP },
	{ 0x2a, 0x01, VPMU_AT_OFFCORE_RSP, VPMU_EVENT_REGISTER_OFFCORE_RSP },
	{ 0x2b, 0x01, VPMU_AT_OFFCORE_RSP + 1, VPMU_EVENT_REGISTER_OFFCORE_RSP },
	{ 0xcd, 0x01, VPMU_AT_LD_LAT, VPMU_EVENT_REGISTER_LD_LAT },
	{ 0xc6, 0x01, VPMU_AT_FRONTEND, VPMU_EVENT_REGISTER_FRONTEND },
	{ 0xc6, 0x03, VPMU_AT_FRONTEND, VPMU_EVENT_REGISTER_FRONTEND },
};

static const struct encoding *encodings_of(enum vpmu_vendor_id vendor)
{
	return vendor == VPMU_AMD ? amd : intel;
}

enum vpmu_event_id vpmu_fixed_event(unsigned int fixed)
{
	return fixed < VPMU_MAX_FIXED ? fixed_events[fixed] : VPMU_EVENT_RAW;
}

bool vpmu_event_encoding(enum vpmu_vendor_id vendor, enum vpmu_event_id id, uint16_t *select,
			 uint8_t *umask)
{
	const struct encoding *encoding = encodings_of(vendor);

	if ((unsigned int)id >= VPMU_EVENT_IDS || !encoding[id].known)
		return false;
	*select = encoding[id].select;
	*umask = encoding[id].umask;
	return true;
}

enum vpmu_event_id vpmu_event_of(enum vpmu_vendor_id vendor, unsigned int ids, unsigned int select,
				 unsigned int umask)
{
	const struct encoding *encoding = encodings_of(vendor);

	for (unsigned int i = 0; i < ids; i++)
		if (encoding[i].known && encoding[i].select == select && encoding[i].umask == umask)
			return (enum vpmu_event_id)i;
	return VPMU_EVENT_RAW;
}

uint64_t vpmu_event_extra(const struct vpmu *pmu, unsigned int select, unsigned int umask)
{
	for (unsigned int i = 0; i < sizeof(extended) / sizeof(extended[0]); i++)
		if (extended[i].select == select && extended[i].umask == umask &&
		    (pmu->config.event_registers & extended[i].which))
			return pmu->event_registers[extended[i].index];
	return 0;
}
