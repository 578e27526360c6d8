/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * What the vendors' registers have in common. For their files only.
 */
#ifndef VPMU_COMMON_H
#define VPMU_COMMON_H

#include "internal.h"

/* The debug control register's bits that are the PMU's. */
#define VPMU_DEBUG_PMU (VPMU_DEBUG_FREEZE_LBRS | VPMU_DEBUG_FREEZE_PERFMON)

/* What an event select says, as a raw event. */
static inline struct vpmu_event vpmu_selected_event(uint64_t evtsel)
{
	uint8_t cmask = (uint8_t)(evtsel >> 24);

	return (struct vpmu_event){
		.id = VPMU_EVENT_RAW,
		.select = evtsel & VPMU_EVTSEL_SELECT,
		.umask = (uint8_t)(evtsel >> 8),
		.cmask = cmask,
		.edge = evtsel & VPMU_EVTSEL_EDGE,
		/* There is nothing to invert without a comparison. */
		.invert = cmask && (evtsel & VPMU_EVTSEL_INV),
		.user = evtsel & VPMU_EVTSEL_USR,
		.kernel = evtsel & VPMU_EVTSEL_OS,
		.host_mode = true,
		.guest_mode = true,
	};
}

/* A new event select, of which the vendor has checked the bits. */
static inline void vpmu_select(struct vpmu *pmu, unsigned int counter, uint64_t evtsel)
{
	uint64_t changed = evtsel ^ pmu->event_select[counter];

	if (!changed)
		return;
	/* Whether an overflow until now asks for a PMI is up to the old value. */
	if (changed & VPMU_EVTSEL_INT) {
		vpmu_settle(pmu, vpmu_bit(counter));
		pmu->interrupting ^= vpmu_bit(counter);
	}
	pmu->event_select[counter] = evtsel;
	vpmu_put(&pmu->selected, counter,
		 (evtsel & VPMU_EVTSEL_EN) && (evtsel & (VPMU_EVTSEL_USR | VPMU_EVTSEL_OS)));
	if (changed & ~(VPMU_EVTSEL_INT | VPMU_EVTSEL_EN))
		vpmu_reprogram(pmu, vpmu_bit(counter));
	else
		vpmu_touch(pmu, vpmu_bit(counter));
}

static inline void vpmu_set_global_ctrl(struct vpmu *pmu, uint64_t value)
{
	vpmu_touch(pmu, value ^ pmu->global_ctrl);
	pmu->global_ctrl = value;
}

/* What the status register shows from now on. */
static inline void vpmu_set_status(struct vpmu *pmu, uint64_t status)
{
	if ((status ^ pmu->global_status) & VPMU_STATUS_CTR_FRZ)
		vpmu_touch(pmu, vpmu_counters(pmu));
	pmu->global_status = status;
}

/* The guest acknowledges these bits; overflows until now are among them. */
static inline void vpmu_clear_status(struct vpmu *pmu, uint64_t bits)
{
	vpmu_settle(pmu, bits);
	vpmu_set_status(pmu, pmu->global_status & ~bits);
}

/* A PMI is being handed out: what is to freeze freezes, and the status says so. */
static inline void vpmu_freeze(struct vpmu *pmu)
{
	uint64_t status = pmu->global_status;

	status |= pmu->debug_control & VPMU_DEBUG_FREEZE_PERFMON ? VPMU_STATUS_CTR_FRZ : 0;
	status |= pmu->debug_control & VPMU_DEBUG_FREEZE_LBRS ? VPMU_STATUS_LBR_FRZ : 0;
	vpmu_set_status(pmu, status);
}

/* The host's value of a shared register, with these bits replaced. */
static inline enum vpmu_answer vpmu_merge(uint64_t *value, uint64_t own, uint64_t bits)
{
	*value = (*value & ~bits) | own;
	return VPMU_DONE;
}

/* Functions of rows. */

static inline enum vpmu_answer vpmu_row_read_counter(struct vpmu *pmu, unsigned int counter,
						     uint64_t *value)
{
	*value = vpmu_read_counter(pmu, counter);
	return VPMU_DONE;
}

/* Bits above the counter's width are lost. */
static inline enum vpmu_answer vpmu_row_write_counter(struct vpmu *pmu, unsigned int counter,
						      uint64_t value)
{
	vpmu_write_counter(pmu, counter, value & vpmu_counter_mask(pmu, counter));
	return VPMU_DONE;
}

static inline enum vpmu_answer vpmu_row_read_status(struct vpmu *pmu, unsigned int i,
						    uint64_t *value)
{
	(void)i;
	vpmu_settle(pmu, vpmu_counters(pmu));
	*value = pmu->global_status;
	return VPMU_DONE;
}

/* The host sets the status as it has saved it. */
static inline enum vpmu_answer vpmu_row_host_write_status(struct vpmu *pmu, unsigned int i,
							  uint64_t value)
{
	(void)i;
	if (value & ~pmu->vendor->status_bits(pmu))
		return VPMU_FAULT;
	vpmu_settle(pmu, vpmu_counters(pmu));
	vpmu_set_status(pmu, value);
	return VPMU_DONE;
}

/* The bits that the guest may set are the guest's, also those that are not the PMU's. */
static inline enum vpmu_answer vpmu_row_read_debug_control(struct vpmu *pmu, unsigned int i,
							   uint64_t *value)
{
	(void)i;
	return vpmu_merge(value, pmu->debug_control, VPMU_DEBUG_PMU | pmu->config.debug_bits);
}

/* The host sets the status itself; these registers, which change it for the guest, do nothing. */
static inline enum vpmu_answer vpmu_row_host_write_status_change(struct vpmu *pmu, unsigned int i,
								 uint64_t value)
{
	(void)i;
	return value & ~pmu->vendor->status_bits(pmu) ? VPMU_FAULT : VPMU_DONE;
}

static inline enum vpmu_answer vpmu_row_write_debug_control(struct vpmu *pmu, unsigned int i,
							    uint64_t value)
{
	(void)i;
	if (value & ~(VPMU_DEBUG_PMU | pmu->config.debug_bits))
		return VPMU_FAULT;
	pmu->debug_control = value;
	return VPMU_DONE;
}

static inline enum vpmu_answer vpmu_row_read_zero(struct vpmu *pmu, unsigned int i, uint64_t *value)
{
	(void)pmu, (void)i;
	*value = 0;
	return VPMU_DONE;
}

#endif
