/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See slot.h. What is opened, and when, is in binding.c.
 */
#include "slot.h"
#include <errno.h>

/*
 * An alarm at least this far away is likely to be replaced before the kernel's
 * present period ends: a guest reloads a counter that has overflowed.
 */
#define FAR_AWAY (UINT64_C(1) << 31)

/* The kernel refuses periods from 2^63 on. */
#define LONGEST_PERIOD (UINT64_C(1) << 62)

/* No machine is known to refuse a longer one that it finds too short. */
#define LONGEST_SHORT_PERIOD 1024

/* What is shared with the signal handler. */

static bool is_alarm_pending(const struct slot *slot)
{
	bool pending = __atomic_load_n(&slot->alarm_pending, __ATOMIC_RELAXED);

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return pending;
}

static void set_alarm_pending(struct slot *slot, bool pending)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->alarm_pending, pending, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static enum period_state period_state(const struct slot *slot)
{
	enum period_state state = __atomic_load_n(&slot->period_state, __ATOMIC_RELAXED);

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return state;
}

static void set_period_state(struct slot *slot, enum period_state state)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->period_state, state, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* From now on a signal handler finds the slot's event, or no longer. */
static void publish(struct vpmu_perf_event *source, const struct slot *slot, int fd)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&source->fds[slot - source->slots], fd, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void look(struct vpmu_perf_event *source, const struct slot *slot)
{
	vpmu_look(source->pmu, vpmu_slot_counter((unsigned int)(slot - source->slots)));
}

/* Events. */

struct slot vpmu_pe_slot_empty(void)
{
	return (struct slot){ .event = event_none(), .alarm = VPMU_NO_ALARM };
}

void vpmu_pe_slot_install(struct vpmu_perf_event *source, struct slot *slot, struct event event,
			  int cpu)
{
	slot->event = event;
	slot->cpu = cpu;
	slot->total_is_current = false;
	slot->news.value = 0;
	slot->news.throttled = false;
	slot->deferred_until = 0;
	slot->period = EVENT_IDLE_PERIOD;
	slot->period_end = slot->total + EVENT_IDLE_PERIOD;
	set_period_state(slot, PERIOD_SET);
	slot->signalled_records = 0;
	publish(source, slot, event.fd);
}

void vpmu_pe_slot_close(struct vpmu_perf_event *source, struct slot *slot)
{
	publish(source, slot, -1);
	vpmu_pe_event_close(&slot->event);
}

/* Totals. */

static void advance_total(struct slot *slot, uint64_t total)
{
	if (total > slot->total)
		slot->total = total;
}

uint64_t vpmu_pe_slot_read_total(struct slot *slot)
{
	struct event_count count;
	int error;

	slot->total_is_current = true;
	if (slot->event.fd < 0)
		return slot->total;
	if (!vpmu_pe_event_read_user(&slot->event, &count.value)) {
		error = vpmu_pe_event_read(&slot->event, &count);
		if (error) {
			slot_fail(slot, error);
			return slot->total;
		}
	}
	advance_total(slot, slot->base + count.value);
	return slot->total;
}

void vpmu_pe_slot_take_records(struct slot *slot)
{
	uint64_t overflows = slot->news.overflows;

	vpmu_pe_event_take_records(&slot->event, &slot->news);
	if (slot->news.overflows == overflows)
		return;
	advance_total(slot, slot->base + slot->news.value);
	/* A software event overflows exactly when it should, and goes on from there. */
	if (slot->event.software && slot->total >= slot->period_end)
		slot->period_end = slot->base + slot->news.value + slot->period;
}

void vpmu_pe_slot_retire(struct vpmu_perf_event *source, struct slot *slot)
{
	struct event_count count = { 0 };
	int error;

	vpmu_pe_slot_take_records(slot);
	error = vpmu_pe_event_read(&slot->event, &count);
	if (error)
		slot_fail(slot, error);
	else
		advance_total(slot, slot->base + count.value);
	slot->base = slot->total;
	slot->closed.enabled += count.enabled;
	slot->closed.running += count.running;
	vpmu_pe_slot_close(source, slot);
}

/* Alarms. */

static uint64_t power_of_two_above(uint64_t value)
{
	return UINT64_C(1) << (64 - __builtin_clzll(value));
}

/*
 * Set a period, or the shortest that the kernel accepts if that is longer: the alarm then
 * comes late by the difference. There are machines that have none below 32 (Nehalem) or, of
 * one event, below 128 (Broadwell); and where branches can be traced (Intel's BTS), the kernel
 * takes a period of 1 on them for a wish to do that. 0 or an errno value.
 */
static int set_accepted_period(struct slot *slot, uint64_t *period)
{
	for (;;) {
		int error;

		if (*period < slot->shortest_period)
			*period = slot->shortest_period;
		error = vpmu_pe_event_set_period(&slot->event, *period);
		if (error != EINVAL || *period > LONGEST_SHORT_PERIOD)
			return error;
		slot->shortest_period = power_of_two_above(*period);
	}
}

static void set_period(struct vpmu_perf_event *source, struct slot *slot, uint64_t period)
{
	int error;

	if (period > LONGEST_PERIOD)
		period = LONGEST_PERIOD;
	set_period_state(slot, PERIOD_CHANGING);
	error = set_accepted_period(slot, &period);
	set_period_state(slot, PERIOD_SET);
	slot->period = period;
	slot->period_end = slot->total + period;
	slot->news.throttled = false;
	slot->deferred_until = 0;
	if (!error)
		return;
	slot_fail(slot, error);
	/* No signal will tell: the counter is looked at as often as the host serves its guest. */
	slot->period_end = VPMU_NO_ALARM;
	look(source, slot);
}

/* The period that the handler has set is the slot's. */
static void note_silenced_period(struct slot *slot)
{
	if (period_state(slot) != PERIOD_SILENCED)
		return;
	set_period_state(slot, PERIOD_SET);
	slot->period = EVENT_IDLE_PERIOD;
	/* It is not known when it began. */
	slot->period_end = VPMU_NO_ALARM;
	slot->deferred_until = 0;
}

/*
 * A far alarm is left to the period that the kernel has, if that ends sooner: the counter
 * is then looked at too early. Once the total has got there, the alarm is set itself.
 */
static bool is_deferred(struct slot *slot)
{
	uint64_t distance = slot->alarm - slot->total;

	if (distance < FAR_AWAY || slot->period > distance)
		return false;
	if (slot->deferred_until)
		return slot->total < slot->deferred_until;
	/* A counter may be read late: half the period tells one end of it from the next. */
	slot->deferred_until = slot->total + (slot->period + 1) / 2;
	return true;
}

/* Make the kernel's event overflow when the alarm is due, if it will not anyway. */
static void arm(struct vpmu_perf_event *source, struct slot *slot)
{
	if (slot->event.fd < 0)
		return;
	vpmu_pe_slot_take_records(slot);
	slot->polled_overflows = slot->news.overflows;
	note_silenced_period(slot);
	if (!slot->news.throttled && slot->alarm > slot->total && is_deferred(slot))
		return;
	if (!slot->total_is_current)
		vpmu_pe_slot_read_total(slot);
	slot->total_is_current = false;
	if (slot->alarm <= slot->total)
		look(source, slot);
	else if (slot->news.throttled || slot->alarm != slot->period_end)
		set_period(source, slot, slot->alarm - slot->total);
	else
		slot->deferred_until = 0;
}

void vpmu_pe_slot_set_alarm(struct vpmu_perf_event *source, struct slot *slot, uint64_t alarm)
{
	slot->alarm = alarm;
	/* First: a signal from now on is a hint, and changes nothing that is looked at below. */
	set_alarm_pending(slot, alarm != VPMU_NO_ALARM);
	if (alarm != VPMU_NO_ALARM)
		arm(source, slot);
}

void vpmu_pe_slot_set_alarm_again(struct vpmu_perf_event *source, struct slot *slot)
{
	if (is_alarm_pending(slot))
		arm(source, slot);
}

/* Overflows. */

/*
 * The event may have overflowed; is_certain: it has. Also in the signal handler: then
 * it may have interrupted anything else here.
 */
static void handle_overflow(struct vpmu_perf_event *source, struct slot *slot, bool is_certain)
{
	if (is_alarm_pending(slot)) {
		set_alarm_pending(slot, false);
		look(source, slot);
		return;
	}
	if (!is_certain || period_state(slot) != PERIOD_SET)
		return;
	vpmu_pe_event_set_period(&slot->event, EVENT_IDLE_PERIOD);
	set_period_state(slot, PERIOD_SILENCED);
}

/* Are there records that no signal has been about yet, or may some have been lost? */
static bool has_new_records(struct slot *slot)
{
	uint64_t records = event_records(&slot->event);

	if (records == slot->signalled_records && !event_is_full(&slot->event))
		return false;
	slot->signalled_records = records;
	return true;
}

/*
 * The records tell which events have overflowed: signals of several events may have become
 * one, or may be queued. An event without records may have overflowed at any signal.
 */
bool vpmu_pe_slot_signalled(struct vpmu_perf_event *source, struct slot *slot,
			    enum signal_origin origin)
{
	bool has_page = slot->event.page;
	bool has_overflowed = has_page ? has_new_records(slot) : origin != SIGNAL_OF_OTHER;

	if (origin == SIGNAL_OF_SLOT || has_overflowed || !has_page)
		handle_overflow(source, slot, has_overflowed);
	return origin == SIGNAL_OF_SLOT || (origin == SIGNAL_UNNAMED && has_overflowed);
}

/* Without a page there are no records, and only the total tells. */
static bool has_overflowed_unpolled(struct slot *slot)
{
	bool has_overflowed;

	if (!slot->event.page)
		return is_alarm_pending(slot) && vpmu_pe_slot_read_total(slot) >= slot->alarm;
	vpmu_pe_slot_take_records(slot);
	has_overflowed = slot->news.overflows != slot->polled_overflows;
	slot->polled_overflows = slot->news.overflows;
	return has_overflowed;
}

void vpmu_pe_slot_poll(struct vpmu_perf_event *source, struct slot *slot)
{
	if (slot->event.fd >= 0 && has_overflowed_unpolled(slot))
		handle_overflow(source, slot, true);
}
