/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * The event filter: which events the host lets its guest count. Entries and bitmap mean
 * what they mean to KVM (Linux, Documentation/virt/kvm/api.rst, KVM_SET_PMU_EVENT_FILTER),
 * so that a host can hand over what it has for that.
 */
#ifndef VPMU_FILTER_H
#define VPMU_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vpmu_filter_action {
	VPMU_FILTER_ALLOW, /* only what is listed is counted */
	VPMU_FILTER_DENY,  /* what is listed is not counted */
};

/*
 * A plain entry is an event select and unit mask, laid out as in a general counter's event
 * select register: bits 7:0 and (AMD) 35:32, and 15:8. An entry with other bits matches no
 * event.
 *
 * A masked entry matches events whose select is its bits 7:0 and (AMD) 35:32, and whose
 * unit mask, ANDed with its bits 63:56, is its bits 15:8. With bit 55 (exclude) it takes
 * what it matches off the list again. Other bits are an error. An event is listed if an
 * entry matches it and none excludes it.
 *
 * A fixed counter is listed if its bit in fixed is set; entries do not concern it.
 */
struct vpmu_filter {
	enum vpmu_filter_action action;
	bool masked;             /* the entries are masked ones */
	uint32_t fixed;          /* bit n: fixed counter n */
	uint32_t count;          /* of entries */
	const uint64_t *entries; /* NULL if there are none */
	uint64_t reserved[4];    /* 0 */
};

/*
 * A masked entry; exclude: with bit 55.
 *
 * Context: any thread, signal handlers.
 */
static inline uint64_t vpmu_filter_entry(uint16_t select, uint8_t mask, uint8_t match, bool exclude)
{
	return (uint64_t)mask << 56 | (uint64_t)exclude << 55 | (uint64_t)(select & 0xf00) << 24 |
	       (uint64_t)match << 8 | (select & 0xffu);
}

/*
 * From the next vpmu_service() on the guest counts what the filter lets it; NULL: all.
 * A counter whose event is no longer let stands still, keeps its value, and goes on once
 * it is. Nothing is copied: the filter and its entries stay as they are until another one
 * has been set and a vpmu_service() that began after that has returned. A filter is asked
 * when a counter is bound, never when the guest runs.
 *
 * VPMU_OK, or VPMU_ERROR_FILTER or VPMU_ERROR_RESERVED: the filter in force stays.
 *
 * Context: any thread. The host sees to it that the vCPU comes to vpmu_service(), as after
 * vpmu_look().
 */
enum vpmu_error vpmu_set_filter(struct vpmu *pmu, const struct vpmu_filter *filter);

#ifdef __cplusplus
}
#endif

#endif
