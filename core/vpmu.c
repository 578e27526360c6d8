/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a counter: what the guest wants of it, what it holds of its
 * source, and the cheapest way from one to the other. Knows no register; those
 * are a vendor's (struct vpmu_vendor).
 */
#include "internal.h"

static struct vpmu_counter *counter_at(struct vpmu *pmu, unsigned int counter)
{
	return counter < VPMU_FIXED ? &pmu->general[counter] : &pmu->fixed[counter - VPMU_FIXED];
}

/* Take the lowest counter out of a set that is not empty. */
static unsigned int take_counter(uint64_t *counters)
{
	unsigned int counter = (unsigned int)__builtin_ctzll(*counters);

	*counters &= *counters - 1;
	return counter;
}

static bool same_event(const struct vpmu_event *a, const struct vpmu_event *b)
{
	return a->id == b->id && a->select == b->select && a->umask == b->umask &&
	       a->cmask == b->cmask && a->invert == b->invert && a->edge == b->edge &&
	       a->user == b->user && a->kernel == b->kernel;
}

static uint64_t source_total(struct vpmu *pmu, unsigned int counter)
{
	return pmu->ops->total(pmu->source, counter);
}

static void set_alarm(struct vpmu *pmu, unsigned int counter, uint64_t at)
{
	counter_at(pmu, counter)->alarm = at;
	pmu->ops->alarm(pmu->source, counter, at);
}

/*
 * Move a counting counter's value on to the source's total. However often it
 * has wrapped since, there is one status bit and one PMI. Says whether it has.
 */
static bool settle(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = counter_at(pmu, counter);
	uint64_t mask = vpmu_counter_mask(pmu, counter);
	uint64_t total = source_total(pmu, counter);
	uint64_t counted = total - c->since;
	bool overflow = counted > mask - c->value;

	c->value = (c->value + counted) & mask;
	c->since = total;
	if (overflow) {
		pmu->global_status |= vpmu_bit(counter);
		pmu->pmi |= pmu->vendor->interrupts(pmu, counter);
	}
	return overflow;
}

void vpmu_settle(struct vpmu *pmu, uint64_t counters)
{
	counters &= vpmu_counters(pmu);
	while (counters) {
		unsigned int counter = take_counter(&counters);

		/* Touched, so that service hands out the PMI and moves the alarm. */
		if (counter_at(pmu, counter)->counting && settle(pmu, counter))
			vpmu_touch(pmu, vpmu_bit(counter));
	}
}

uint64_t vpmu_read_counter(struct vpmu *pmu, unsigned int counter)
{
	vpmu_settle(pmu, vpmu_bit(counter));
	return counter_at(pmu, counter)->value;
}

void vpmu_write_counter(struct vpmu *pmu, unsigned int counter, uint64_t value)
{
	struct vpmu_counter *c = counter_at(pmu, counter);

	vpmu_settle(pmu, vpmu_bit(counter));
	c->value = value;
	if (c->counting)
		vpmu_touch(pmu, vpmu_bit(counter));
}

static void unbind(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = counter_at(pmu, counter);

	pmu->ops->unbind(pmu->source, counter);
	c->is_bound = false;
	c->alarm = VPMU_NO_ALARM;
}

/* Is it one that CPUID says is counted, or not architectural at all? */
static bool is_offered(const struct vpmu *pmu, const struct vpmu_event *event)
{
	return event->id == VPMU_EVENT_RAW || (pmu->config.events & (1u << event->id));
}

/*
 * Make the source keep a total for the event, if it does not yet. A refusal is
 * remembered, so that an event is asked for once.
 */
static void bind(struct vpmu *pmu, unsigned int counter, const struct vpmu_event *event)
{
	struct vpmu_counter *c = counter_at(pmu, counter);

	if ((c->is_bound || c->refused) && same_event(&c->bound, event))
		return;
	if (c->is_bound)
		unbind(pmu, counter);
	c->bound = *event;
	c->is_bound = pmu->ops->bind(pmu->source, counter, event);
	/* The source was asked all the same: it is what reports uncounted events. */
	if (c->is_bound && !is_offered(pmu, event))
		unbind(pmu, counter);
	c->refused = !c->is_bound;
}

/* The total at which the counter overflows; only a PMI has to be on time. */
static uint64_t wanted_alarm(const struct vpmu *pmu, unsigned int counter,
			     const struct vpmu_counter *c)
{
	uint64_t left = vpmu_counter_mask(pmu, counter) - c->value + 1;

	if (!c->counting || !pmu->vendor->interrupts(pmu, counter))
		return VPMU_NO_ALARM;
	/* A total that does not fit cannot be reached. */
	return left > VPMU_NO_ALARM - c->since ? VPMU_NO_ALARM : c->since + left;
}

static void start(struct vpmu *pmu, unsigned int counter, const struct vpmu_event *event)
{
	struct vpmu_counter *c = counter_at(pmu, counter);

	bind(pmu, counter, event);
	if (!c->is_bound)
		return;
	c->since = source_total(pmu, counter);
	c->counting = true;
}

/*
 * From what the counter does to what the guest wants of it. hinted: its alarm
 * may have gone off, so the source may no longer hold it.
 */
static void bring_into_line(struct vpmu *pmu, unsigned int counter, bool hinted)
{
	struct vpmu_counter *c = counter_at(pmu, counter);
	struct vpmu_event event = pmu->vendor->event(pmu, counter);
	bool enabled = pmu->vendor->enabled(pmu) & vpmu_bit(counter);
	bool goes_on = c->counting && enabled && same_event(&c->bound, &event);
	uint64_t alarm;

	if (c->counting && (hinted || !goes_on))
		settle(pmu, counter);
	if (!goes_on) {
		c->counting = false;
		if (enabled)
			start(pmu, counter, &event);
	}
	alarm = wanted_alarm(pmu, counter, c);
	if (alarm != c->alarm || (hinted && alarm != VPMU_NO_ALARM))
		set_alarm(pmu, counter, alarm);
}

static void bring_all_into_line(struct vpmu *pmu, uint64_t hinted)
{
	uint64_t counters = (hinted | pmu->dirty) & vpmu_counters(pmu);

	pmu->dirty = 0;
	while (counters) {
		unsigned int counter = take_counter(&counters);

		bring_into_line(pmu, counter, hinted & vpmu_bit(counter));
	}
}

static bool service(struct vpmu *pmu)
{
	bring_all_into_line(pmu, __atomic_exchange_n(&pmu->look, 0, __ATOMIC_ACQUIRE));
	if (!pmu->pmi)
		return false;
	pmu->vendor->freeze(pmu);
	bring_all_into_line(pmu, 0);
	/* What overflowed on the way to the freeze is told by the same PMI. */
	pmu->pmi = false;
	return true;
}

bool vpmu_service(struct vpmu *pmu)
{
	/* A PMI is never due without a counter that is dirty. */
	if (!__atomic_load_n(&pmu->look, __ATOMIC_RELAXED) && !pmu->dirty)
		return false;
	return service(pmu);
}

void vpmu_look(struct vpmu *pmu, unsigned int counter)
{
	if (counter < 64 && (vpmu_counters(pmu) & vpmu_bit(counter)))
		__atomic_fetch_or(&pmu->look, vpmu_bit(counter), __ATOMIC_RELEASE);
}

uint64_t vpmu_active(const struct vpmu *pmu)
{
	/* One that is enabled and neither counting nor dirty has been refused. */
	uint64_t active = pmu->vendor->enabled(pmu) & pmu->dirty;

	for (unsigned int i = 0; i < pmu->config.general; i++)
		if (pmu->general[i].counting)
			active |= vpmu_bit(i);
	for (unsigned int i = 0; i < pmu->config.fixed; i++)
		if (pmu->fixed[i].counting)
			active |= vpmu_bit(VPMU_FIXED + i);
	return active;
}

/* Returns how many bindings have ended. */
static unsigned int unbind_all(struct vpmu *pmu, uint64_t counters)
{
	unsigned int ended = 0;

	while (counters) {
		unsigned int counter = take_counter(&counters);

		if (!counter_at(pmu, counter)->is_bound)
			continue;
		unbind(pmu, counter);
		ended++;
	}
	return ended;
}

unsigned int vpmu_release_idle(struct vpmu *pmu)
{
	return unbind_all(pmu, vpmu_counters(pmu) & ~vpmu_active(pmu));
}

void vpmu_reset(struct vpmu *pmu)
{
	unbind_all(pmu, vpmu_counters(pmu));
	for (unsigned int i = 0; i < VPMU_MAX_GENERAL; i++)
		pmu->general[i] = (struct vpmu_counter){ .alarm = VPMU_NO_ALARM };
	for (unsigned int i = 0; i < VPMU_MAX_FIXED; i++)
		pmu->fixed[i] = (struct vpmu_counter){ .alarm = VPMU_NO_ALARM };
	pmu->dirty = 0;
	pmu->pmi = false;
	pmu->vendor->reset(pmu);
}

enum vpmu_error vpmu_init(struct vpmu *pmu, const struct vpmu_config *config,
			  const struct vpmu_source_ops *ops, void *source)
{
	enum vpmu_error error = VPMU_OK;

	*pmu = (struct vpmu){ .vendor = &vpmu_intel, .ops = ops, .source = source };
	if (config->version != 0) {
		error = ops ? pmu->vendor->check(config) : VPMU_ERROR_SOURCE;
		if (error == VPMU_OK)
			pmu->config = *config;
	}
	vpmu_reset(pmu);
	return error;
}

const char *vpmu_error_text(enum vpmu_error error)
{
	switch (error) {
	case VPMU_OK:
		return "no error";
	case VPMU_ERROR_VERSION:
		return "the PMU version is not 0 (off) or 2 to 5";
	case VPMU_ERROR_GENERAL:
		return "the number of general counters is not 1 to 8";
	case VPMU_ERROR_FIXED:
		return "the number of fixed counters is not 0 to 3 (version 5: 0 to 4)";
	case VPMU_ERROR_WIDTH:
		return "a counter width is not 32 to 48 bits";
	case VPMU_ERROR_EVENTS:
		return "an event is unknown, or a fixed counter's event is not counted";
	case VPMU_ERROR_SOURCE:
		return "the PMU is on, but nothing counts for it";
	}
	return "unknown error";
}

enum vpmu_answer vpmu_rdmsr(struct vpmu *pmu, uint32_t msr, uint64_t *value)
{
	return pmu->vendor->rdmsr(pmu, msr, value);
}

enum vpmu_answer vpmu_wrmsr(struct vpmu *pmu, uint32_t msr, uint64_t value)
{
	return pmu->vendor->wrmsr(pmu, msr, value);
}

enum vpmu_answer vpmu_rdpmc(struct vpmu *pmu, uint32_t index, bool allowed, uint64_t *value)
{
	unsigned int counter;

	if (!allowed || !pmu->vendor->rdpmc_counter(pmu, index, &counter))
		return VPMU_FAULT;
	*value = vpmu_read_counter(pmu, counter);
	return VPMU_DONE;
}

void vpmu_cpuid(const struct vpmu *pmu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	/* No leaf that the PMU has a say in has subleaves. */
	(void)subleaf;
	pmu->vendor->cpuid(pmu, leaf, regs);
}

uint64_t vpmu_misc_enable(const struct vpmu *pmu, uint64_t value)
{
	return pmu->vendor->misc_enable(pmu, value);
}
