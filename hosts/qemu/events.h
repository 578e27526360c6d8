/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The events that QEMU's translated code can count, those that only a model of
 * a branch predictor or of caches can, and those that tools ask for and that
 * neither can. Data only: no QEMU here.
 */
#ifndef VPMU_QEMU_EVENTS_H
#define VPMU_QEMU_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/vpmu.h>

/* What is counted. The first eight are properties of an instruction. */
enum event_class {
	CLASS_INSTRUCTION,
	CLASS_BRANCH,
	CLASS_CONDITIONAL,
	CLASS_CALL,
	CLASS_RETURN,
	CLASS_FAR_BRANCH,
	CLASS_LOAD,
	CLASS_STORE,
	CLASS_INTERRUPT,   /* counted when one is taken, not in a block */
	CLASS_BRANCH_MISS, /* this one and those that follow are counts of a model (models/) */
	CLASS_L1I_MISS,
	CLASS_L1D_FILL,
	CLASS_LLC_REFERENCE,
	CLASS_LLC_MISS,
	CLASS_OFFCORE_0, /* accesses that fit OFFCORE_RSP_0 ... */
	CLASS_OFFCORE_1, /* ... and OFFCORE_RSP_1 */
	CLASS_COUNT,
	CLASS_NONE = CLASS_COUNT, /* nothing counts it */
};

struct event_row {
	enum vpmu_event_id id; /* VPMU_EVENT_RAW: select and umask say which event it is */
	uint8_t select;        /* 0 of events whose encoding the library knows */
	uint8_t umask;
	enum event_class class; /* CLASS_NONE: not counted */
	bool cycles;            /* it counts cycles: instructions times cpi */
	const char *name;       /* as the manual or perf's event list calls it */
	const char *why;        /* why it is not counted; NULL if it is */
};

/* The events of a vendor's PMU. */
struct event_table {
	const struct event_row *rows;
	size_t count;
};

struct event_table event_table(enum vpmu_vendor_id vendor);

/* Whether it is the count of a model, not of what the guest does. */
static inline bool event_is_modelled(const struct event_row *row)
{
	return row->class > CLASS_INTERRUPT && row->class < CLASS_COUNT;
}

/* NULL if the event is counted, with models or without; else why not. */
const char *event_why_not(const struct event_row *row, bool models);

/* The events with an id that are counted: struct vpmu_config's events. */
uint32_t events_with_id(enum vpmu_vendor_id vendor, bool models);

/* How a guest selects the row's event. */
struct event_encoding {
	uint16_t select;
	uint8_t umask;
};

struct event_encoding event_encoding(enum vpmu_vendor_id vendor, const struct event_row *row);

/* The row of an event, or of an encoding; NULL if the table does not know it. */
const struct event_row *event_find(enum vpmu_vendor_id vendor, const struct vpmu_event *event);
const struct event_row *event_find_encoding(enum vpmu_vendor_id vendor, unsigned int select,
					    unsigned int umask);

#endif
