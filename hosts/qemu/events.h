/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The events that QEMU's translated code can count, and those that tools ask
 * for and that it cannot. Data only: no QEMU here.
 */
#ifndef VPMU_QEMU_EVENTS_H
#define VPMU_QEMU_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/source.h>

/* What one pass over a block's instructions can count. */
enum event_class {
	CLASS_INSTRUCTION,
	CLASS_BRANCH,
	CLASS_CONDITIONAL,
	CLASS_CALL,
	CLASS_RETURN,
	CLASS_FAR_BRANCH,
	CLASS_LOAD,
	CLASS_STORE,
	CLASS_INTERRUPT, /* counted when one is taken, not in a block */
	CLASS_COUNT,
	CLASS_NONE = CLASS_COUNT, /* nothing counts it */
};

struct event_row {
	uint8_t select;
	uint8_t umask;
	enum vpmu_event_id id;  /* VPMU_EVENT_RAW if the event is not architectural */
	enum event_class class; /* CLASS_NONE: not counted */
	bool cycles;            /* in cycles: instructions times cpi */
	const char *name;       /* as the SDM or perf's event list calls it */
	const char *why;        /* why it is not counted; NULL if it is */
};

extern const struct event_row event_rows[];
extern const size_t event_rows_count;

/* Architectural events that are counted: struct vpmu_config's events. */
uint32_t events_architectural(void);

/* The row of an event, or NULL if the table does not know it. */
const struct event_row *event_find(enum vpmu_event_id id, unsigned int select, unsigned int umask);

#endif
