/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * An event is created when the guest first wants it, on the vCPU's thread, and left running: it
 * counts in the guest alone, goes with the thread from CPU to CPU, and a stopped counter is
 * arithmetic in the library. A total is read on the CPU where the event is, with interrupts
 * off; so is an alarm set there, as a new period. Elsewhere (a state is saved by another thread)
 * the kernel's own ways are taken.
 */
#include <linux/irqflags.h>
#include <linux/kvm_host.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <asm/perf_event.h>
#include "source.h"

/* A period that does not end. */
#define NO_PERIOD (1ULL << 62)

/* Periods; see is_served(). */
#define FAR 16

/* An event's place, and the counter that it is for. */
static struct vpmu_source_slot *slot_of(void *source, unsigned int counter)
{
	return &((struct vpmu_source *)source)->slots[vpmu_slot(counter)];
}

/* Interrupts are off, so it stays as it is. */
static bool is_here(const struct perf_event *event)
{
	return event->state == PERF_EVENT_STATE_ACTIVE && event->hw.target == current &&
	       event->oncpu == smp_processor_id();
}

/*
 * Its period ends so many events from now. In an NMI, too: what perf does when it throttles an
 * event is no less.
 */
static void set_period_here(struct perf_event *event, u64 period)
{
	event->pmu->stop(event, PERF_EF_UPDATE);
	event->attr.sample_period = period;
	event->hw.sample_period = period;
	local64_set(&event->hw.period_left, 0);
	event->pmu->start(event, PERF_EF_RELOAD);
}

/* The period that an alarm asks for. */
static u64 period_until(u64 alarm, u64 total)
{
	return alarm == VPMU_NO_ALARM ? NO_PERIOD : alarm - total;
}

/*
 * The kernel repeats a period. One that the alarm does not ask for ends once at most: short
 * ones would have the guest exit again and again. An event that ends too many periods is stopped
 * by the kernel until the next tick, and would lose counts; the time that the guest's interrupts
 * take is its own.
 */
static void on_overflow(struct perf_event *event, struct perf_sample_data *data,
			struct pt_regs *regs)
{
	struct vpmu_source_slot *slot = event->overflow_handler_context;
	struct vpmu_source *source = slot->source;
	u64 alarm = slot->paused ? VPMU_NO_ALARM : slot->alarm;
	u64 total = local64_read(&event->count) - slot->left_out;

	event->hw.interrupts = 0;
	if (alarm > total) {
		set_period_here(event, period_until(alarm, total));
		return;
	}
	slot->alarm = VPMU_NO_ALARM;
	vpmu_look(source->pmu, slot->counter);
	kvm_make_request(KVM_REQ_PMU, source->vcpu);
}

/* The machine's event of this id, as a raw one; 0: there is none. */
static u64 event_config(enum vpmu_event_id id)
{
	static const u8 ids[VPMU_EVENT_IDS] = {
		[VPMU_EVENT_CYCLES] = PERF_COUNT_HW_CPU_CYCLES,
		[VPMU_EVENT_INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
		[VPMU_EVENT_REF_CYCLES] = PERF_COUNT_HW_BUS_CYCLES,
		[VPMU_EVENT_LLC_REFERENCES] = PERF_COUNT_HW_CACHE_REFERENCES,
		[VPMU_EVENT_LLC_MISSES] = PERF_COUNT_HW_CACHE_MISSES,
		[VPMU_EVENT_BRANCHES] = PERF_COUNT_HW_BRANCH_INSTRUCTIONS,
		[VPMU_EVENT_BRANCH_MISSES] = PERF_COUNT_HW_BRANCH_MISSES,
		[VPMU_EVENT_TOPDOWN_SLOTS] = PERF_COUNT_HW_MAX,
		[VPMU_EVENT_TSC_CYCLES] = PERF_COUNT_HW_REF_CPU_CYCLES,
	};

	if (id >= VPMU_EVENT_IDS || ids[id] == PERF_COUNT_HW_MAX)
		return 0;
	return perf_get_hw_event_config(ids[id]);
}

/* As the guest's event select has it. */
static u64 encoding(const struct vpmu_event *event)
{
	return (event->select & 0xff) | (u64)(event->select & 0xf00) << 24 |
	       (u64)event->umask << 8 | (u64)event->edge << 18 | (u64)event->invert << 23 |
	       (u64)event->cmask << 24;
}

/*
 * The machine's event. Fixed counters have no encoding, and a guest of another vendor's has
 * other ones. Cycles may be encoded as 0.
 */
static bool find_config(const struct vpmu_source *source, unsigned int counter,
			const struct vpmu_event *event, u64 *config)
{
	if (event->extra)
		return false;
	if (counter < VPMU_FIXED && !source->foreign) {
		*config = encoding(event);
		return true;
	}
	if (event->cmask || event->edge || event->invert)
		return false;
	*config = event_config(event->id);
	return *config;
}

static struct perf_event *create(struct vpmu_source_slot *slot, u64 config,
				 const struct vpmu_event *event)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_RAW,
		.size = sizeof(attr),
		.pinned = true,
		.exclude_host = true,
		.exclude_user = !event->user,
		.exclude_kernel = !event->kernel,
		.config = config,
		.sample_period = NO_PERIOD,
	};

	return perf_event_create_kernel_counter(&attr, -1, current, on_overflow, slot);
}

/* Does the event count in the mode that the vCPU is in? */
static bool counts_now(const struct vpmu_source_slot *slot)
{
	return slot->source->in_guest ? slot->guest_mode : slot->host_mode;
}

static void begin(struct vpmu_source_slot *slot, unsigned int counter,
		  const struct vpmu_event *event)
{
	*slot = (struct vpmu_source_slot){
		.source = slot->source,
		.alarm = VPMU_NO_ALARM,
		.counter = counter,
		.host_mode = event->host_mode,
		.guest_mode = event->guest_mode,
	};
	slot->paused = !counts_now(slot);
}

static bool source_bind(void *data, unsigned int counter, const struct vpmu_event *wanted)
{
	struct vpmu_source *source = data;
	struct vpmu_source_slot *slot = slot_of(source, counter);
	struct perf_event *event;
	u64 config;

	if (!find_config(source, counter, wanted, &config))
		return false;
	begin(slot, counter, wanted);
	event = create(slot, config, wanted);
	if (IS_ERR(event)) {
		source->lacking |= PTR_ERR(event) == -EBUSY;
		return false;
	}
	source->counts.created++;
	/* Pinned events have a counter, or an error. */
	if (event->state == PERF_EVENT_STATE_ERROR) {
		source->counts.released++;
		perf_event_release_kernel(event);
		source->lacking = true;
		return false;
	}
	slot->event = event;
	if (wanted->host_mode != wanted->guest_mode)
		__set_bit(vpmu_slot(counter), &source->modal);
	return true;
}

static void source_unbind(void *source, unsigned int counter)
{
	struct vpmu_source_slot *slot = slot_of(source, counter);

	slot->source->counts.released++;
	perf_event_release_kernel(slot->event);
	slot->event = NULL;
	__clear_bit(vpmu_slot(counter), &slot->source->modal);
}

/* Brings the event's count up to date; says whether that has to be done elsewhere. */
static bool read_here(struct perf_event *event)
{
	unsigned long flags;
	bool elsewhere = false;

	local_irq_save(flags);
	if (is_here(event))
		event->pmu->read(event);
	else
		elsewhere = event->state == PERF_EVENT_STATE_ACTIVE;
	local_irq_restore(flags);
	return elsewhere;
}

static u64 count_of(struct perf_event *event)
{
	u64 enabled, running;

	if (read_here(event))
		return perf_event_read_value(event, &enabled, &running);
	return local64_read(&event->count);
}

static u64 source_total(void *source, unsigned int counter)
{
	struct vpmu_source_slot *slot = slot_of(source, counter);

	slot->source->counts.totals++;
	if (!slot->paused)
		slot->told = count_of(slot->event) - slot->left_out;
	return slot->told;
}

/* The interrupt that ended a period has brought the count up to date. */
static u64 source_known(void *source, unsigned int counter)
{
	struct vpmu_source_slot *slot = slot_of(source, counter);

	if (!slot->paused)
		slot->told = local64_read(&slot->event->count) - slot->left_out;
	return slot->told;
}

/*
 * Does the period end where the alarm is? A far alarm is left to a period that ends before, too: it
 * is that of a counter that has just wrapped, which its guest is about to reload, mostly with the
 * same period.
 */
static bool is_served(const struct vpmu_source_slot *slot, u64 period)
{
	u64 left = local64_read(&slot->event->hw.period_left);

	return left == period || left < period / FAR;
}

static void set_period(struct vpmu_source_slot *slot, u64 period)
{
	unsigned long flags;
	bool here;

	slot->source->counts.alarms++;
	local_irq_save(flags);
	here = is_here(slot->event);
	if (here)
		set_period_here(slot->event, period);
	local_irq_restore(flags);
	if (!here && perf_event_period(slot->event, period))
		vpmu_ask_again(slot->source->pmu);
}

/* The guest has not run since its total was told; what a period before ends now is nothing. */
static void source_alarm(void *source, unsigned int counter, u64 at)
{
	struct vpmu_source_slot *slot = slot_of(source, counter);
	u64 period = period_until(at, slot->told);

	if (at <= slot->told) {
		WRITE_ONCE(slot->alarm, VPMU_NO_ALARM);
		vpmu_look(slot->source->pmu, counter);
		return;
	}
	WRITE_ONCE(slot->alarm, at);
	if (!slot->paused && !is_served(slot, period))
		set_period(slot, period);
}

/* The event itself counts on: what it counts from now on is left out. */
static void pause(struct vpmu_source_slot *slot)
{
	slot->told = count_of(slot->event) - slot->left_out;
	slot->paused = true;
	if (slot->alarm != VPMU_NO_ALARM)
		set_period(slot, NO_PERIOD);
}

static void resume(struct vpmu_source_slot *slot)
{
	slot->left_out = count_of(slot->event) - slot->told;
	slot->paused = false;
	if (slot->alarm != VPMU_NO_ALARM)
		set_period(slot, slot->alarm > slot->told ? slot->alarm - slot->told : 1);
}

void vpmu_source_set_mode(struct vpmu_source *source, bool in_guest)
{
	unsigned int i;

	source->in_guest = in_guest;
	for_each_set_bit(i, &source->modal, VPMU_SLOTS) {
		struct vpmu_source_slot *slot = &source->slots[i];

		if (slot->paused != counts_now(slot))
			continue;
		if (slot->paused)
			resume(slot);
		else
			pause(slot);
	}
}

const struct vpmu_source_ops vpmu_source_ops = {
	.bind = source_bind,
	.unbind = source_unbind,
	.total = source_total,
	.known = source_known,
	.alarm = source_alarm,
};

void vpmu_source_init(struct vpmu_source *source, struct kvm_vcpu *vcpu, struct vpmu *pmu)
{
	source->vcpu = vcpu;
	source->pmu = pmu;
	for (unsigned int i = 0; i < VPMU_SLOTS; i++)
		source->slots[i].source = source;
}

static bool has_lost_some(const struct vpmu_source *source)
{
	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		const struct perf_event *event = source->slots[i].event;

		if (event && event->state == PERF_EVENT_STATE_ERROR)
			return true;
	}
	return false;
}

/* Once a second, as long as others have the counters. */
bool vpmu_source_wants_again(struct vpmu_source *source)
{
	if (!source->lacking && !has_lost_some(source))
		return false;
	if (time_before(jiffies, source->asked_at + HZ))
		return false;
	source->asked_at = jiffies;
	source->lacking = false;
	return true;
}
