/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vpmu/perf_event.h. A counter's slot holds its event, the total that it
 * makes, and its alarm. One signal handler may interrupt everything here, on the
 * same thread; what the two share is accessed atomically and said so below.
 */
#define _GNU_SOURCE
#include "event.h"
#include "internal.h"
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * An alarm at least this far away is likely to be replaced before the kernel's
 * present period ends: a guest reloads a counter that has overflowed.
 */
#define FAR (UINT64_C(1) << 31)

/* The kernel refuses periods from 2^63 on. */
#define LONGEST_PERIOD (UINT64_C(1) << 62)

struct slot {
	struct event event;
	struct perf_event_attr attr;
	bool bound;
	int cpu; /* that the event is for; -1: any */

	uint64_t base;  /* counted by events that have been closed */
	uint64_t total; /* the last that was told, or is known from a record */
	bool fresh;     /* total has just been told: an alarm may start from it */
	struct event_news news;

	uint64_t alarm;  /* as the library has set it */
	uint64_t next;   /* the total at which the kernel's period ends */
	uint64_t period; /* the kernel's, which it repeats */
	bool noted;      /* the alarm is left to the kernel's nearer one, until */
	uint64_t bet;    /* the total is here */
	bool pending;    /* shared: the alarm has not gone off */
	bool unheeded;   /* overflows have been taken from the records since it was set */
	bool setting;    /* shared: the kernel's period is being set */
	bool silenced;   /* shared: the handler has made the period EVENT_SILENT */
	uint64_t heard;  /* the signal handler's: how far the records were when it last looked */

	uint64_t renewed;
	struct event_count closed; /* the times of events that have been closed */
	int error;
};

struct vpmu_perf_event {
	struct vpmu *pmu;
	struct vpmu_perf_event_options options;
	int cpu; /* where the thread was at the last entry; -1: any, or not all events are there */
	/* Shared: the slots' file descriptors; -1: the handler leaves the slot alone. */
	int fds[VPMU_SLOTS];
	struct slot slots[VPMU_SLOTS];
};

/* For what a signal handler shares with the code that it interrupts. */
static bool load(const bool *flag)
{
	bool value = __atomic_load_n(flag, __ATOMIC_RELAXED);

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return value;
}

static void store(bool *flag, bool value)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(flag, value, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static bool take(bool *flag)
{
	if (!load(flag))
		return false;
	store(flag, false);
	return true;
}

static struct slot *slot_at(struct vpmu_perf_event *source, unsigned int counter)
{
	return &source->slots[vpmu_slot(counter)];
}

/* From now on a signal handler finds the slot's event, or no longer. */
static void publish(struct vpmu_perf_event *source, const struct slot *slot, int fd)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&source->fds[slot - source->slots], fd, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static int published(const struct vpmu_perf_event *source, unsigned int index)
{
	return __atomic_load_n(&source->fds[index], __ATOMIC_RELAXED);
}

static void look(struct vpmu_perf_event *source, const struct slot *slot)
{
	vpmu_look(source->pmu, vpmu_slot_counter((unsigned int)(slot - source->slots)));
}

static void fail(struct slot *slot, int error)
{
	if (error)
		slot->error = error;
}

/* Totals. */

static void advance(struct slot *slot, uint64_t total)
{
	if (total > slot->total)
		slot->total = total;
}

static uint64_t read_total(struct slot *slot)
{
	struct event_count count;
	int error;

	slot->fresh = true;
	if (slot->event.fd < 0)
		return slot->total;
	if (!event_read_user(&slot->event, &count.value)) {
		error = event_read(&slot->event, &count);
		if (error) {
			fail(slot, error);
			return slot->total;
		}
	}
	advance(slot, slot->base + count.value);
	return slot->total;
}

/* Take in the records of overflows. */
static void take_records(struct slot *slot)
{
	uint64_t overflows = slot->news.overflows;

	event_take_records(&slot->event, &slot->news);
	if (slot->news.overflows == overflows)
		return;
	slot->unheeded = true;
	advance(slot, slot->base + slot->news.value);
	/* A software event overflows exactly when it should, and goes on from there. */
	if (slot->event.software && slot->total >= slot->next)
		slot->next = slot->base + slot->news.value + slot->period;
}

/* Alarms. */

static void set_period(struct slot *slot, uint64_t period)
{
	if (period > LONGEST_PERIOD)
		period = LONGEST_PERIOD;
	store(&slot->setting, true);
	fail(slot, event_set_period(&slot->event, period));
	store(&slot->silenced, false);
	store(&slot->setting, false);
	slot->period = period;
	slot->next = slot->total + period;
	slot->news.throttled = false;
	slot->noted = false;
}

/*
 * A far alarm is left to the period that the kernel has, if that ends sooner:
 * the counter is then looked at too early. If it has come to that, the far
 * alarm is set in earnest.
 */
static bool note(struct slot *slot)
{
	uint64_t distance = slot->alarm - slot->total;

	if (distance < FAR || slot->period > distance)
		return false;
	if (slot->noted)
		return slot->total < slot->bet;
	slot->noted = true;
	/* A counter may be read late: half the period tells one end of it from the next. */
	slot->bet = slot->total + slot->period / 2;
	return true;
}

/* Make the kernel's event overflow when the alarm is due, if it will not anyway. */
static void arm(struct vpmu_perf_event *source, struct slot *slot)
{
	if (slot->event.fd < 0)
		return;
	take_records(slot);
	slot->unheeded = false;
	if (take(&slot->silenced)) {
		slot->period = EVENT_SILENT;
		slot->next = VPMU_NO_ALARM;
		slot->noted = false;
	}
	if (!slot->news.throttled && slot->alarm > slot->total && note(slot))
		return;
	if (!slot->fresh)
		read_total(slot);
	slot->fresh = false;
	if (slot->alarm <= slot->total)
		look(source, slot);
	else if (slot->news.throttled || slot->alarm != slot->next)
		set_period(slot, slot->alarm - slot->total);
	else
		slot->noted = false;
}

/*
 * The event may have overflowed; is_certain: it has. Also in the signal handler: then
 * it may have interrupted anything else here.
 */
static void overflowed(struct vpmu_perf_event *source, struct slot *slot, bool is_certain)
{
	if (take(&slot->pending)) {
		look(source, slot);
		return;
	}
	/* The kernel repeats a period that nothing needs any more, unless one is being set. */
	if (!is_certain || load(&slot->setting) || load(&slot->silenced))
		return;
	event_set_period(&slot->event, EVENT_SILENT);
	store(&slot->silenced, true);
}

/* Bindings. */

static struct perf_event_attr attributes(const struct vpmu_perf_event *source,
					 const struct vpmu_event *event)
{
	return (struct perf_event_attr){
		.exclude_user = !event->user,
		.exclude_kernel = !event->kernel,
		.exclude_hv = 1,
		.exclude_host = !source->options.include_host,
	};
}

/* Does the kernel heed exclude_host? It does not for what it counts itself. */
static bool restricts_to_guest(const struct perf_event_attr *attr)
{
	return attr->type != PERF_TYPE_SOFTWARE && attr->type != PERF_TYPE_TRACEPOINT &&
	       attr->type != PERF_TYPE_BREAKPOINT;
}

/* Open the slot's event on a CPU, in *event. 0 or an errno value. */
static int open_on(const struct vpmu_perf_event *source, struct slot *slot, int cpu,
		   struct event *event)
{
	int trouble;
	int error = event_open(event, &slot->attr, cpu, source->options.signal, &trouble);

	fail(slot, error ? error : trouble);
	return error;
}

/* The slot's event is this one from now on, which has just been opened. */
static void install(struct vpmu_perf_event *source, struct slot *slot, struct event event, int cpu)
{
	slot->event = event;
	slot->cpu = cpu;
	slot->period = EVENT_SILENT;
	slot->next = slot->total + EVENT_SILENT;
	slot->noted = false;
	slot->news.value = 0;
	slot->news.throttled = false;
	store(&slot->silenced, false);
	slot->heard = 0;
	publish(source, slot, event.fd);
}

static void close_slot(struct vpmu_perf_event *source, struct slot *slot)
{
	publish(source, slot, -1);
	event_close(&slot->event);
}

static int current_cpu(const struct vpmu_perf_event *source)
{
	return source->options.per_cpu ? sched_getcpu() : -1;
}

static bool source_bind(void *opaque, unsigned int counter, const struct vpmu_event *event)
{
	struct vpmu_perf_event *source = opaque;
	struct slot *slot = slot_at(source, counter);
	int cpu = current_cpu(source);
	struct event opened;

	*slot = (struct slot){
		.event = event_none(),
		.attr = attributes(source, event),
		.alarm = VPMU_NO_ALARM,
	};
	if (!source->options.map(event, &slot->attr))
		fail(slot, ENOENT);
	else if (!source->options.include_host && !restricts_to_guest(&slot->attr))
		fail(slot, EOPNOTSUPP);
	else if (open_on(source, slot, cpu, &opened) == 0) {
		install(source, slot, opened, cpu);
		slot->bound = true;
		/* The thread may be back for the next entry, which is to look at all then. */
		if (cpu != source->cpu)
			source->cpu = -1;
	}
	return slot->bound;
}

static void source_unbind(void *opaque, unsigned int counter)
{
	struct slot *slot = slot_at(opaque, counter);

	close_slot(opaque, slot);
	slot->bound = false;
}

static uint64_t source_total(void *opaque, unsigned int counter)
{
	return read_total(slot_at(opaque, counter));
}

static uint64_t source_known(void *opaque, unsigned int counter)
{
	struct slot *slot = slot_at(opaque, counter);

	take_records(slot);
	/* Time has passed since the last total was told. */
	slot->fresh = false;
	return slot->news.value ? slot->base + slot->news.value : 0;
}

static void source_alarm(void *opaque, unsigned int counter, uint64_t at)
{
	struct slot *slot = slot_at(opaque, counter);

	slot->alarm = at;
	/* First: a signal from now on is a hint, and changes nothing that is looked at below. */
	store(&slot->pending, at != VPMU_NO_ALARM);
	if (at != VPMU_NO_ALARM)
		arm(opaque, slot);
}

const struct vpmu_source_ops vpmu_perf_event_ops = {
	.bind = source_bind,
	.unbind = source_unbind,
	.total = source_total,
	.known = source_known,
	.alarm = source_alarm,
};

/* Count what the event has counted, and close it. */
static void retire(struct vpmu_perf_event *source, struct slot *slot)
{
	struct event_count count = { 0 };
	int error;

	take_records(slot);
	error = event_read(&slot->event, &count);
	if (error)
		fail(slot, error);
	else
		advance(slot, slot->base + count.value);
	slot->base = slot->total;
	slot->closed.enabled += count.enabled;
	slot->closed.running += count.running;
	close_slot(source, slot);
}

/*
 * The slot's event on another CPU. The new one is opened first: each counts on
 * its own CPU only, and the time in which neither did ends with that.
 */
static void renew(struct vpmu_perf_event *source, struct slot *slot, int cpu)
{
	struct event opened;
	int error = open_on(source, slot, cpu, &opened);

	if (slot->event.fd >= 0)
		retire(source, slot);
	/* There may be room for it now. */
	if (error)
		error = open_on(source, slot, cpu, &opened);
	slot->cpu = cpu;
	if (error)
		return;
	install(source, slot, opened, cpu);
	slot->renewed++;
	slot->fresh = false;
	if (load(&slot->pending))
		arm(source, slot);
}

void vpmu_perf_event_enter(struct vpmu_perf_event *source)
{
	int cpu = current_cpu(source);

	if (cpu == source->cpu)
		return;
	source->cpu = cpu;
	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		struct slot *slot = &source->slots[i];

		if (slot->bound && slot->cpu != cpu)
			renew(source, slot, cpu);
	}
}

/* Are there records that no signal has been about yet, or may some have been lost? */
static bool has_news(struct slot *slot)
{
	uint64_t records = event_records(&slot->event);

	if (records == slot->heard && !event_is_full(&slot->event))
		return false;
	slot->heard = records;
	return true;
}

/*
 * A signal has come: for this event if it is named, for others and perhaps for this one,
 * too, if not. Signals of several events may have become one, or may be queued: the
 * records tell. An event without records has to be suspected.
 */
static bool heard(struct vpmu_perf_event *source, struct slot *slot, bool is_named, bool is_anyone)
{
	bool has_page = slot->event.page;
	bool news = has_page ? has_news(slot) : is_named || is_anyone;

	if (is_named || news || !has_page)
		overflowed(source, slot, news);
	return is_named || (is_anyone && news);
}

bool vpmu_perf_event_signal(struct vpmu_perf_event *source, int fd)
{
	int saved = errno;
	bool found = false;

	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		int own = published(source, i);

		if (own >= 0)
			found |= heard(source, &source->slots[i], own == fd, fd < 0);
	}
	errno = saved;
	return found;
}

static bool unheeded(struct slot *slot)
{
	bool unheeded = slot->unheeded;

	slot->unheeded = false;
	return unheeded;
}

/* Without a page there are no records, and only the total tells. */
static bool has_overflowed(struct slot *slot)
{
	if (slot->event.page) {
		take_records(slot);
		return unheeded(slot);
	}
	return load(&slot->pending) && read_total(slot) >= slot->alarm;
}

void vpmu_perf_event_poll(struct vpmu_perf_event *source)
{
	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		struct slot *slot = &source->slots[i];

		if (slot->event.fd >= 0 && has_overflowed(slot))
			overflowed(source, slot, true);
	}
}

struct vpmu_perf_event_state vpmu_perf_event_state(struct vpmu_perf_event *source,
						   unsigned int counter)
{
	struct slot *slot = slot_at(source, counter);
	struct event_count count = { 0 };

	if (slot->event.fd >= 0) {
		take_records(slot);
		fail(slot, event_read(&slot->event, &count));
	}
	return (struct vpmu_perf_event_state){
		.bound = slot->event.fd >= 0,
		.error = slot->error,
		.user_reads = event_has_user_reads(&slot->event),
		.enabled_ns = slot->closed.enabled + count.enabled,
		.running_ns = slot->closed.running + count.running,
		.throttled = slot->news.throttles,
		.lost = slot->news.lost,
		.renewed = slot->renewed,
		.uncounted_ns = slot->closed.enabled - slot->closed.running,
	};
}

int vpmu_perf_event_fd(const struct vpmu_perf_event *source, unsigned int counter)
{
	return source->slots[vpmu_slot(counter)].event.fd;
}

static bool are_valid(const struct vpmu_perf_event_options *options)
{
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return false;
	return true;
}

struct vpmu_perf_event *vpmu_perf_event_new(struct vpmu *pmu,
					    const struct vpmu_perf_event_options *options)
{
	struct vpmu_perf_event *source;

	if (!are_valid(options)) {
		errno = EINVAL;
		return NULL;
	}
	source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	source->pmu = pmu;
	source->options = *options;
	if (!source->options.map)
		source->options.map = vpmu_perf_event_hardware;
	source->cpu = current_cpu(source);
	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		source->slots[i].event = event_none();
		source->fds[i] = -1;
	}
	return source;
}

void vpmu_perf_event_free(struct vpmu_perf_event *source)
{
	if (!source)
		return;
	for (unsigned int i = 0; i < VPMU_SLOTS; i++)
		close_slot(source, &source->slots[i]);
	free(source);
}
