/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The events that QEMU's translated code can count, those that only a model of
 * a branch predictor or of caches can, and those that tools ask for and that
 * neither can. Data only: no QEMU here.
 */
#ifndef VPMU_QEMU_EVENTS_H
#define VPMU_QEMU_EVENTS_H

#include "family.h"
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

/* Why an event is not counted. */
#define NO_PIPELINE  "no pipeline is modelled"
#define NO_UOPS      "micro-operations are not modelled"
#define NO_OUTCOME   "branch outcomes are not observed"
#define NO_KIND      "such branches are not told apart from others"
#define NO_SOURCE    "where an instruction's data came from is not followed"
#define NO_CACHES    "the caches of this processor are not modelled"
#define NO_RESPONSES "what this processor's OFFCORE_RSP asks for is not modelled"
#define NO_TLB       "no TLB is modelled: the size of the guest's pages cannot be seen"

#define IN_FAMILY(family) (UINT32_C(1) << (family))

struct event_row {
	uint32_t families;     /* IN_FAMILY() of each that has the event so encoded */
	enum vpmu_event_id id; /* VPMU_EVENT_RAW: select and umask say which event it is */
	uint16_t select;       /* 0 of events whose encoding the library knows */
	uint8_t umask;
	enum event_class class; /* CLASS_NONE: not counted */
	bool cycles;            /* it counts cycles: instructions times cpi */
	const char *name;       /* as the manual or perf's event list calls it */
	const char *why;        /* why it is not counted; NULL if it is */
};

/* How the tables write rows of events without an id. */
#define COUNTED(families, select, umask, class, name)                                              \
	{                                                                                          \
		families, VPMU_EVENT_RAW, select, umask, class, false, name, NULL                  \
	}
#define REFUSED(families, select, umask, name, why)                                                \
	{                                                                                          \
		families, VPMU_EVENT_RAW, select, umask, CLASS_NONE, false, name, why              \
	}

struct event_table {
	const struct event_row *rows;
	size_t count;
};

/* The tables of the vendors; event_next() and what follows take a family's rows out of them. */
extern const struct event_table events_intel, events_amd;

/* The family's row behind this one, or its first behind NULL; NULL: there is none. */
const struct event_row *event_next(enum family family, const struct event_row *row);

/* Whether it is the count of a model, not of what the guest does. */
static inline bool event_is_modelled(const struct event_row *row)
{
	return row->class > CLASS_INTERRUPT && row->class < CLASS_COUNT;
}

/* NULL if the event is counted, with models or without; else why not. */
const char *event_why_not(const struct event_row *row, bool models);

/* The events with an id that are counted, in all of a vendor's families: struct vpmu_config's. */
uint32_t events_with_id(enum vpmu_vendor_id vendor, bool models);

/* How a guest selects the row's event. */
struct event_encoding {
	uint16_t select;
	uint8_t umask;
};

struct event_encoding event_encoding(enum family family, const struct event_row *row);

/* The row of an event, or of an encoding; NULL if the family has none that is known here. */
const struct event_row *event_find(enum family family, const struct vpmu_event *event);
const struct event_row *event_find_encoding(enum family family, unsigned int select,
					    unsigned int umask);

#endif
