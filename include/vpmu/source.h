/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * What a counter's counts come from: the interface between the library and a
 * source. A source is not a counter: it keeps a free-running total and one
 * alarm for each counter bound to it; starting, stopping, reloading and
 * overflowing are arithmetic in the library.
 */
#ifndef VPMU_SOURCE_H
#define VPMU_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What counters count. The first eight are the architectural events in the order of
 * CPUID.0AH:EBX (SDM vol. 3, "Pre-defined Architectural Performance Events"). AMD's
 * events of the same meaning (PPR, "Performance Monitor Counters") have the same ids.
 */
enum vpmu_event_id {
	VPMU_EVENT_CYCLES,         /* unhalted core cycles; Intel 3CH/00H, AMD 076H */
	VPMU_EVENT_INSTRUCTIONS,   /* instructions retired; C0H/00H, AMD 0C0H */
	VPMU_EVENT_REF_CYCLES,     /* unhalted cycles of the bus or crystal clock; 3CH/01H */
	VPMU_EVENT_LLC_REFERENCES, /* last level cache references; 2EH/4FH */
	VPMU_EVENT_LLC_MISSES,     /* last level cache misses; 2EH/41H */
	VPMU_EVENT_BRANCHES,       /* branch instructions retired; C4H/00H, AMD 0C2H */
	VPMU_EVENT_BRANCH_MISSES,  /* mispredicted branches retired; C5H/00H, AMD 0C3H */
	VPMU_EVENT_TOPDOWN_SLOTS,  /* topdown slots; A4H/01H */
	VPMU_EVENT_ARCHITECTURAL,  /* how many of them there are */
	/* Only a fixed counter counts it: unhalted cycles at the rate of the time stamp counter. */
	VPMU_EVENT_TSC_CYCLES = VPMU_EVENT_ARCHITECTURAL,
	VPMU_EVENT_IDS,      /* how many ids there are but RAW */
	VPMU_EVENT_RAW = 32, /* select, umask and extra say which; it stays when ids are added */
};

/*
 * What a counter counts: all that decides it. Two events are the same if all
 * fields are equal.
 */
struct vpmu_event {
	enum vpmu_event_id id;
	uint16_t select; /* event select as the guest wrote it (AMD: 12 bits); 0: a fixed counter */
	uint8_t umask;   /* unit mask as the guest wrote it; 0 for a fixed counter */
	uint8_t cmask;   /* counter mask: 0, or count cycles with at least that many */
	bool invert;     /* with a counter mask: cycles with fewer than that many */
	bool edge;       /* count rising edges of the condition, not its cycles */
	bool user;       /* count at privilege levels above 0 */
	bool kernel;     /* count at privilege level 0 */
	bool host_mode;  /* count outside of a guest that the guest itself runs */
	bool guest_mode; /* count inside of one (AMD HostOnly, GuestOnly); else both are true */
	uint64_t extra;  /* the event register that goes with the encoding; 0: none does */
};

/* A counter's index: general counters from 0, fixed ones from VPMU_FIXED. */
#define VPMU_MAX_GENERAL 8
#define VPMU_MAX_FIXED   4
#define VPMU_FIXED       32

/* How many counters of either kind a PMU has at most. */
#define VPMU_SLOTS (VPMU_MAX_GENERAL + VPMU_MAX_FIXED)

/*
 * A counter's index without the gap between the two kinds, for arrays of VPMU_SLOTS.
 *
 * Context: any thread, signal handlers.
 */
static inline unsigned int vpmu_slot(unsigned int counter)
{
	return counter < VPMU_FIXED ? counter : counter - VPMU_FIXED + VPMU_MAX_GENERAL;
}

/*
 * The counter that vpmu_slot() gives this index.
 *
 * Context: any thread, signal handlers.
 */
static inline unsigned int vpmu_slot_counter(unsigned int slot)
{
	return slot < VPMU_MAX_GENERAL ? slot : slot - VPMU_MAX_GENERAL + VPMU_FIXED;
}

/* An alarm that never comes. */
#define VPMU_NO_ALARM UINT64_MAX

/*
 * What a source does. source is what vpmu_init() was given, counter an index (see
 * VPMU_FIXED) of a counter that the PMU has.
 *
 * Context: the vCPU's thread, within the host's vpmu_* calls. bind, known and alarm
 * only within vpmu_service(); unbind also within vpmu_reset(), vpmu_load() and
 * vpmu_release_idle(); total also where accesses are answered and a state is saved. They
 * may call vpmu_look() and vpmu_ask_again(), no other function that takes the PMU. Between
 * bind and unbind of a counter there is no other bind of it.
 */
struct vpmu_source_ops {
	/*
	 * Start a total for the event. Its first value is free to be
	 * anything; it must never go backwards until unbind. Returns false if
	 * the source cannot count the event exactly: the counter then stands
	 * still, and no other call is made for it until it wants another
	 * event or the host calls vpmu_ask_again(). Every event that a guest enables is asked for,
	 * also one that the PMU's configuration leaves out, so that a source can report what goes
	 * uncounted; a source refuses what it does not count.
	 */
	bool (*bind)(void *source, unsigned int counter, const struct vpmu_event *event);
	/* The total and its alarm are no longer needed. */
	void (*unbind)(void *source, unsigned int counter);
	/* The total now, in occurrences of the event. */
	uint64_t (*total)(void *source, unsigned int counter);
	/*
	 * Optional: NULL if the source never knows. A value that the total is
	 * known to have reached, from what is at hand (the record of an
	 * overflow, say): no system call, no exit. At most what total() would
	 * return; it may be old, even from before the last total().
	 */
	uint64_t (*known)(void *source, unsigned int counter);
	/*
	 * Call vpmu_look() for the counter once its total has reached at, or
	 * soon after; at once if it has already. Replaces the alarm before;
	 * VPMU_NO_ALARM clears it, and is what a total starts with. The library has
	 * called total() or known() for the counter since the guest last ran. An alarm
	 * that has gone off is gone. It may come early, late or twice: it is
	 * a hint. How late it comes is how late a PMI is; a counter whose
	 * overflow asks for none gets no alarm. The library leaves an alarm
	 * that has become too early, or that nothing needs any more, where it
	 * is: one needless hint costs less than moving it each time.
	 */
	void (*alarm)(void *source, unsigned int counter, uint64_t at);
	void (*reserved[4])(void); /* NULL */
};

#endif
