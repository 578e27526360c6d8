/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A counter's slot: its event, the total that the event makes, and its alarm. Not for
 * hosts.
 *
 * One signal handler may interrupt everything in this folder, on the same thread. What it
 * shares with the code that it interrupts is marked "shared" below, and is accessed
 * atomically.
 */
#ifndef VPMU_PERF_EVENT_SLOT_H
#define VPMU_PERF_EVENT_SLOT_H

#include "event.h"
#include "machine.h"
#include <vpmu/perf_event.h>

/*
 * Who has set the period that the kernel repeats.
 *
 *   SET, SILENCED -> CHANGING   the thread begins to set one
 *   CHANGING -> SET             it has set it
 *   SET -> SILENCED             the handler has found a period that no alarm needs, and has
 *                               set EVENT_IDLE_PERIOD
 *   SILENCED -> SET             the thread has taken note of that
 *
 * The handler leaves a period alone that is CHANGING: it may have interrupted the very
 * system call.
 */
enum period_state {
	PERIOD_SET,
	PERIOD_CHANGING,
	PERIOD_SILENCED,
};

struct slot {
	struct event event;
	struct perf_event_attr attr; /* what is opened, and opened again on another CPU */
	bool is_bound;               /* the library holds it; an event that failed is none */
	int cpu;                     /* that the event is for; -1: any */

	uint64_t base;         /* counted by events that have been closed */
	uint64_t total;        /* the last that was told, or is known from a record */
	bool total_is_current; /* the guest has not run since it was read */
	struct event_news news;

	uint64_t alarm;     /* as the library has set it */
	bool alarm_pending; /* shared: it has not gone off */
	/*
	 * A far alarm is left to the kernel's period, which ends sooner, until the total is
	 * this; 0: the alarm is not left to it.
	 */
	uint64_t deferred_until;

	enum period_state period_state; /* shared */
	uint64_t period;                /* the kernel's, unless PERIOD_SILENCED */
	uint64_t period_end;            /* the total at which it ends; VPMU_NO_ALARM: unknown */
	uint64_t shortest_period;       /* the kernel has refused shorter ones */

	uint64_t polled_overflows; /* how many of news.overflows arm() and polls have seen */
	/* The handler's: how far the records had got when it last looked. */
	uint64_t signalled_records;

	uint64_t renewed;
	struct event_count closed; /* the times of events that have been closed */
	int error;
};

struct vpmu_perf_event {
	struct vpmu *pmu;
	struct vpmu_perf_event_options options;
	struct machine machine;
	int cpu; /* where the thread was at the last entry; -1: any, or not all events are there */
	/*
	 * Shared: the slots' file descriptors; -1: the handler leaves the slot alone. Apart
	 * from the slots, so that the handler finds the few that are in use quickly.
	 */
	int fds[VPMU_SLOTS];
	struct slot slots[VPMU_SLOTS];
};

/* A slot without an event. */
struct slot vpmu_pe_slot_empty(void);

static inline struct slot *slot_at(struct vpmu_perf_event *source, unsigned int counter)
{
	return &source->slots[vpmu_slot(counter)];
}

/* Something has gone wrong, or has not: an errno value or 0. */
static inline void slot_fail(struct slot *slot, int error)
{
	if (error)
		slot->error = error;
}

/* The slot's event is this one from now on, which has just been opened for the CPU. */
void vpmu_pe_slot_install(struct vpmu_perf_event *source, struct slot *slot, struct event event,
			  int cpu);
/* Close the event, if there is one, and forget what it has counted. */
void vpmu_pe_slot_close(struct vpmu_perf_event *source, struct slot *slot);
/* Close it, and keep what it has counted. */
void vpmu_pe_slot_retire(struct vpmu_perf_event *source, struct slot *slot);

/* By RDPMC or by a system call. */
uint64_t vpmu_pe_slot_read_total(struct slot *slot);
/* Take in the records of overflows. */
void vpmu_pe_slot_take_records(struct slot *slot);

/* VPMU_NO_ALARM: none. */
void vpmu_pe_slot_set_alarm(struct vpmu_perf_event *source, struct slot *slot, uint64_t alarm);
/* The alarm as before, after the event has been opened again. */
void vpmu_pe_slot_set_alarm_again(struct vpmu_perf_event *source, struct slot *slot);

/* Which event a signal says it is about. */
enum signal_origin {
	SIGNAL_OF_SLOT,
	SIGNAL_OF_OTHER,
	SIGNAL_UNNAMED,
};

/* In the signal handler. Has this slot's event sent it, or may it have? */
bool vpmu_pe_slot_signalled(struct vpmu_perf_event *source, struct slot *slot,
			    enum signal_origin origin);
/* Without a signal: look at a slot that has overflowed since the last time. */
void vpmu_pe_slot_poll(struct vpmu_perf_event *source, struct slot *slot);

#endif
