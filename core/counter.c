/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * The life of a counter: what the guest wants of it, what it holds of its
 * source, and the cheapest way from one to the other. Knows no register; those
 * are a vendor's (struct vpmu_vendor).
 */
#include "internal.h"

_Static_assert(__atomic_always_lock_free(sizeof(uint64_t), 0),
	       "vpmu_look() is for signal handlers");

static uint64_t source_total(struct vpmu *pmu, unsigned int counter)
{
	return pmu->ops->total(pmu->source, counter);
}

static bool is_counting(const struct vpmu *pmu, unsigned int counter)
{
	return pmu->counting & vpmu_bit(counter);
}

static bool interrupts(const struct vpmu *pmu, unsigned int counter)
{
	return pmu->interrupting & vpmu_bit(counter);
}

/* Events until the counter overflows, as it is stored. */
static uint64_t left_of(const struct vpmu *pmu, unsigned int counter, const struct vpmu_counter *c)
{
	return vpmu_counter_mask(pmu, counter) - c->value + 1;
}

/* Touched, so that the next service hands out the PMI and moves the alarm. */
static void overflow(struct vpmu *pmu, unsigned int counter)
{
	pmu->vendor->overflow(pmu, counter);
	pmu->pmi |= interrupts(pmu, counter);
	vpmu_touch(pmu, vpmu_bit(counter));
}

/* The total at which a counting counter overflows; only a PMI has to be on time. */
static uint64_t wanted_alarm(const struct vpmu *pmu, unsigned int counter,
			     const struct vpmu_counter *c)
{
	uint64_t left = left_of(pmu, counter, c);

	if (!interrupts(pmu, counter))
		return VPMU_NO_ALARM;
	/* A total that does not fit cannot be reached. */
	return left > VPMU_NO_ALARM - c->since ? VPMU_NO_ALARM : c->since + left;
}

/*
 * How late emulated instructions may make an alarm: at most one part in so many
 * of what is left to the overflow.
 */
#define BEARABLE_PART 1024

/*
 * x / (BEARABLE_PART + 1), or up to a millionth less, by shifts: 64-bit division is a
 * function of the compiler's own library on 32-bit machines.
 */
static uint64_t bearable_steps(uint64_t x)
{
	return (x - x / BEARABLE_PART) / BEARABLE_PART;
}

/*
 * Has the alarm become too late? If not, how many more emulated instructions it
 * bears: each makes it later by one, and what is left less by one.
 */
static void mind_alarm(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);
	uint64_t wanted = wanted_alarm(pmu, counter, c);
	uint64_t late = c->alarm > wanted ? c->alarm - wanted : 0;
	uint64_t left = left_of(pmu, counter, c);

	if (!interrupts(pmu, counter))
		c->slow_path_at = vpmu_counter_mask(pmu, counter);
	else if (c->alarm != VPMU_NO_ALARM && late <= left / BEARABLE_PART)
		c->slow_path_at = c->value + bearable_steps(left - late * BEARABLE_PART);
	else if (wanted != VPMU_NO_ALARM)
		vpmu_touch(pmu, vpmu_bit(counter));
}

/*
 * The counter's value holds at this total. An alarm that it has reached has gone
 * off, is about to, or got lost: it is not one to rely on.
 */
static void hold_at(struct vpmu *pmu, unsigned int counter, uint64_t total)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	c->since = total;
	if (total < c->alarm)
		return;
	c->alarm = VPMU_NO_ALARM;
	vpmu_touch(pmu, vpmu_bit(counter));
}

/*
 * Move a counting counter's value on to a total of its source. However often
 * it has wrapped since, there is one status bit and one PMI.
 */
static void settle_at(struct vpmu *pmu, unsigned int counter, uint64_t total)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);
	uint64_t counted = total - c->since;
	bool wraps = counted >= left_of(pmu, counter, c);

	c->value = (c->value + counted) & vpmu_counter_mask(pmu, counter);
	hold_at(pmu, counter, total);
	if (wraps)
		overflow(pmu, counter);
	/* An alarm that emulated instructions have made late is later for what is left now. */
	if (c->slow_path_at)
		mind_alarm(pmu, counter);
}

static void settle(struct vpmu *pmu, unsigned int counter)
{
	settle_at(pmu, counter, source_total(pmu, counter));
}

/* The same after a hint. A total that is known is enough if it shows an overflow. */
static void settle_hinted(struct vpmu *pmu, unsigned int counter)
{
	const struct vpmu_counter *c = vpmu_counter_at(pmu, counter);
	uint64_t known = pmu->ops->known ? pmu->ops->known(pmu->source, counter) : 0;

	if (known > c->since && known - c->since >= left_of(pmu, counter, c))
		settle_at(pmu, counter, known);
	else
		settle(pmu, counter);
}

void vpmu_settle(struct vpmu *pmu, uint64_t counters)
{
	counters &= pmu->counting;
	while (counters)
		settle(pmu, vpmu_take(&counters));
}

uint64_t vpmu_read_counter(struct vpmu *pmu, unsigned int counter)
{
	vpmu_settle(pmu, vpmu_bit(counter));
	return vpmu_counter_at(pmu, counter)->value;
}

void vpmu_write_counter(struct vpmu *pmu, unsigned int counter, uint64_t value)
{
	uint64_t counting = vpmu_bit(counter) & pmu->counting;

	vpmu_settle(pmu, counting);
	vpmu_counter_at(pmu, counter)->value = value;
	vpmu_touch(pmu, counting);
	pmu->fresh |= counting;
}

/* Emulated instructions count for the counter as long as it counts. */
static void set_retired(struct vpmu *pmu, unsigned int counter, bool counting)
{
	uint64_t kinds = vpmu_counter_at(pmu, counter)->retired_kinds;

	vpmu_put(&pmu->retired_any, counter, counting && kinds);
	vpmu_put(&pmu->retired_always, counter, counting && kinds == (1u << VPMU_RETIRED_KINDS) - 1);
	while (kinds)
		vpmu_put(&pmu->retired[vpmu_take(&kinds)], counter, counting);
}

static void start(struct vpmu *pmu, unsigned int counter)
{
	hold_at(pmu, counter, source_total(pmu, counter));
	pmu->counting |= vpmu_bit(counter);
	pmu->fresh |= vpmu_bit(counter);
	set_retired(pmu, counter, true);
}

/* Its alarm stays: it is likely to start again. */
static void stop(struct vpmu *pmu, unsigned int counter)
{
	settle(pmu, counter);
	pmu->counting &= ~vpmu_bit(counter);
	set_retired(pmu, counter, false);
}

static void move_alarm(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	c->slow_path_at = 0;
	c->alarm = wanted_alarm(pmu, counter, c);
	pmu->ops->alarm(pmu->source, counter, c->alarm);
}

/* An alarm that comes too early is one needless hint; only one that would be late is moved. */
static void arm(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	c->slow_path_at = 0;
	if (wanted_alarm(pmu, counter, c) >= c->alarm)
		return;
	/* A source may set it from the total told last, which is to be one of now. */
	if (!(pmu->fresh & vpmu_bit(counter)))
		settle(pmu, counter);
	move_alarm(pmu, counter);
}

/*
 * Counters stand still while a PMI's handler runs, and their totals may not: alarms are too early
 * then. Of those of counters that have just started the ones are moved that would go off before
 * the next overflow. Once for each PMI, so that who stops and starts counters for other reasons
 * does not pay for it.
 */
static void move_early_alarms(struct vpmu *pmu, uint64_t started)
{
	uint64_t counters = started & pmu->interrupting;
	uint64_t next = VPMU_NO_ALARM;

	for (uint64_t rest = counters; rest;) {
		unsigned int counter = vpmu_take(&rest);
		uint64_t left = left_of(pmu, counter, vpmu_counter_at(pmu, counter));

		next = left < next ? left : next;
	}
	while (counters) {
		unsigned int counter = vpmu_take(&counters);
		const struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

		if (c->alarm - c->since <= next && c->alarm < wanted_alarm(pmu, counter, c))
			move_alarm(pmu, counter);
	}
}

/* What the registers say may be another event than the counter is bound for. */
static void follow_event(struct vpmu *pmu, unsigned int counter)
{
	const struct vpmu_counter *c = vpmu_counter_at(pmu, counter);
	struct vpmu_event event = pmu->vendor->event(pmu, counter);

	pmu->reprogrammed &= ~vpmu_bit(counter);
	if (vpmu_is_bound_for(c, &event))
		return;
	if (is_counting(pmu, counter))
		stop(pmu, counter);
	vpmu_bind(pmu, counter, &event);
}

/* From what the counter does to what the guest wants of it. */
static void bring_into_line(struct vpmu *pmu, unsigned int counter, bool enabled)
{
	const struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	if (!enabled) {
		stop(pmu, counter);
		return;
	}
	if (c->binding == VPMU_UNBOUND || (pmu->reprogrammed & vpmu_bit(counter)))
		follow_event(pmu, counter);
	if (c->binding != VPMU_BOUND)
		return;
	if (!is_counting(pmu, counter))
		start(pmu, counter);
	arm(pmu, counter);
}

static void bring_all_into_line(struct vpmu *pmu)
{
	uint64_t enabled = pmu->vendor->enabled(pmu);
	/* One that does not count and is not to has nothing to compare. */
	uint64_t counters = pmu->dirty & (enabled | pmu->counting);

	pmu->dirty = 0;
	while (counters) {
		unsigned int counter = vpmu_take(&counters);

		bring_into_line(pmu, counter, enabled & vpmu_bit(counter));
	}
}

/* Would the filter now say otherwise than the binding has it? */
static bool is_filtered_anew(const struct vpmu *pmu, unsigned int counter,
			     const struct vpmu_counter *c)
{
	return vpmu_is_let(pmu, counter, &c->event) == (c->binding == VPMU_FILTERED);
}

/* The counter keeps its value, and is bound again if it is to count. */
static void forget_binding(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	if (is_counting(pmu, counter))
		stop(pmu, counter);
	if (c->binding == VPMU_BOUND)
		vpmu_unbind(pmu, counter);
	c->binding = VPMU_UNBOUND;
	vpmu_touch(pmu, vpmu_bit(counter));
}

/* The source or the filter may have another answer. what: VPMU_LOOK_AT_*. */
static void look_at_bindings(struct vpmu *pmu, uint64_t what)
{
	uint64_t counters = vpmu_counters(pmu);

	while (counters) {
		unsigned int counter = vpmu_take(&counters);
		const struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

		if (c->binding == VPMU_UNBOUND)
			continue;
		if ((what & VPMU_LOOK_AT_SOURCE) || is_filtered_anew(pmu, counter, c))
			forget_binding(pmu, counter);
	}
}

/* A hint says that the counter's alarm may have gone off: the source may hold none. */
static void heed_hints(struct vpmu *pmu)
{
	uint64_t hinted;

	if (!__atomic_load_n(&pmu->look, __ATOMIC_RELAXED))
		return;
	hinted = __atomic_exchange_n(&pmu->look, 0, __ATOMIC_ACQUIRE);
	if (hinted & (VPMU_LOOK_AT_SOURCE | VPMU_LOOK_AT_FILTER))
		look_at_bindings(pmu, hinted);
	hinted &= vpmu_counters(pmu);
	vpmu_touch(pmu, hinted);
	pmu->fresh |= hinted & pmu->counting;
	while (hinted) {
		unsigned int counter = vpmu_take(&hinted);

		vpmu_counter_at(pmu, counter)->alarm = VPMU_NO_ALARM;
		if (is_counting(pmu, counter))
			settle_hinted(pmu, counter);
	}
}

/*
 * What is found in a round is dealt with in the next: an overflow of a counter
 * that is being stopped, an alarm that was set for a total already reached.
 * More rounds than this are only asked for by hints from elsewhere.
 */
#define ROUNDS 3

unsigned int vpmu_service_due(struct vpmu *pmu)
{
	const uint64_t counted = pmu->counting;
	unsigned int asked = 0;

	for (unsigned int round = 0; round < ROUNDS && vpmu_service_is_due(pmu); round++) {
		heed_hints(pmu);
		if (pmu->pmi) {
			pmu->pmi = false;
			pmu->handled = true;
			asked |= pmu->vendor->deliver(pmu);
		}
		bring_all_into_line(pmu);
	}
	if (pmu->handled && (pmu->counting & ~counted)) {
		pmu->handled = false;
		move_early_alarms(pmu, pmu->counting & ~counted);
	}
	pmu->fresh = 0;
	return asked;
}

bool vpmu_service_binds_nothing(const struct vpmu *pmu)
{
	uint64_t look = __atomic_load_n(&pmu->look, __ATOMIC_RELAXED);
	uint64_t counters = (pmu->dirty | look) & pmu->vendor->enabled(pmu);

	if ((look & (VPMU_LOOK_AT_SOURCE | VPMU_LOOK_AT_FILTER)) || (counters & pmu->reprogrammed))
		return false;
	while (counters) /* they are only read */
		if (vpmu_counter_at((struct vpmu *)pmu, vpmu_take(&counters))->binding ==
		    VPMU_UNBOUND)
			return false;
	return true;
}

/* Emulated instructions have brought the counter to a value that is not a quiet one. */
__attribute__((__noinline__)) static bool mind_retired(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	if (c->value > vpmu_counter_mask(pmu, counter)) {
		c->value = 0;
		overflow(pmu, counter);
	} else {
		mind_alarm(pmu, counter);
	}
	return vpmu_service_is_due(pmu);
}

static inline bool count_one(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	return __builtin_expect(c->value++ >= c->slow_path_at, 0) && mind_retired(pmu, counter);
}

__attribute__((__noinline__)) static bool count_several(struct vpmu *pmu, uint64_t counters)
{
	bool due = false;

	while (counters)
		due |= count_one(pmu, vpmu_take(&counters));
	return due;
}

/* One counter of instructions is what there mostly is: it takes no frame, and no loop. */
bool vpmu_count_retired(struct vpmu *pmu, unsigned int kind)
{
	uint64_t counters = pmu->retired[kind];

	if (counters & (counters - 1))
		return count_several(pmu, counters);
	return count_one(pmu, vpmu_lowest(counters));
}

void vpmu_look(struct vpmu *pmu, unsigned int counter)
{
	if (counter < 64 && (vpmu_counters(pmu) & vpmu_bit(counter)))
		vpmu_look_at(pmu, vpmu_bit(counter));
}

void vpmu_ask_again(struct vpmu *pmu)
{
	vpmu_look_at(pmu, VPMU_LOOK_AT_SOURCE);
}

uint64_t vpmu_active(const struct vpmu *pmu)
{
	/* One that is enabled and neither counting nor dirty has been refused. */
	return pmu->counting | (pmu->dirty & pmu->vendor->enabled(pmu));
}

void vpmu_reset_counters(struct vpmu *pmu)
{
	vpmu_unbind_all(pmu, vpmu_counters(pmu));
	for (unsigned int i = 0; i < VPMU_MAX_GENERAL; i++)
		pmu->general[i] = (struct vpmu_counter){ .alarm = VPMU_NO_ALARM };
	for (unsigned int i = 0; i < VPMU_MAX_FIXED; i++)
		pmu->fixed[i] = (struct vpmu_counter){ .alarm = VPMU_NO_ALARM };
	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++)
		pmu->retired[kind] = 0;
	pmu->retired_any = 0;
	pmu->retired_always = 0;
	pmu->counting = 0;
	pmu->fresh = 0;
	pmu->dirty = 0;
	pmu->reprogrammed = 0;
	pmu->pmi = false;
	pmu->handled = false;
}
