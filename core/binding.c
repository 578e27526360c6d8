/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * What a counter holds of its source: a total of its event, or the answer that there is
 * none. When it is asked for and how long it is kept is counter.c's.
 */
#include "internal.h"

static bool same_event(const struct vpmu_event *a, const struct vpmu_event *b)
{
	return a->id == b->id && a->select == b->select && a->umask == b->umask &&
	       a->cmask == b->cmask && a->invert == b->invert && a->edge == b->edge &&
	       a->user == b->user && a->kernel == b->kernel && a->host_mode == b->host_mode &&
	       a->guest_mode == b->guest_mode && a->extra == b->extra;
}

bool vpmu_is_bound_for(const struct vpmu_counter *c, const struct vpmu_event *event)
{
	return c->binding != VPMU_UNBOUND && same_event(&c->event, event);
}

void vpmu_unbind(struct vpmu *pmu, unsigned int counter)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);

	pmu->ops->unbind(pmu->source, counter);
	c->binding = VPMU_UNBOUND;
	c->alarm = VPMU_NO_ALARM;
}

/* Is it one that CPUID says is counted, or not architectural at all? */
static bool is_offered(const struct vpmu *pmu, const struct vpmu_event *event)
{
	return event->id == VPMU_EVENT_RAW || (pmu->config.events & (1u << event->id));
}

/* Does an emulated instruction of this kind count as the event? */
static bool counts_retired(const struct vpmu_event *event, unsigned int kind)
{
	if (event->cmask || event->edge || event->invert)
		return false;
	if (!(kind & VPMU_RETIRED_KERNEL ? event->kernel : event->user))
		return false;
	if (!(kind & VPMU_RETIRED_GUEST_MODE ? event->guest_mode : event->host_mode))
		return false;
	return event->id == VPMU_EVENT_INSTRUCTIONS ||
	       (event->id == VPMU_EVENT_BRANCHES && (kind & VPMU_RETIRED_BRANCH));
}

/* The kinds that do, as bits. */
static uint8_t retired_kinds(const struct vpmu_event *event)
{
	unsigned int kinds = 0;

	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++)
		kinds |= (unsigned int)counts_retired(event, kind) << kind;
	return (uint8_t)kinds;
}

void vpmu_bind(struct vpmu *pmu, unsigned int counter, const struct vpmu_event *event)
{
	struct vpmu_counter *c = vpmu_counter_at(pmu, counter);
	bool counts;

	if (c->binding == VPMU_BOUND)
		vpmu_unbind(pmu, counter);
	c->event = *event;
	c->retired_kinds = retired_kinds(event);
	if (!vpmu_is_let(pmu, counter, event)) {
		c->binding = VPMU_FILTERED;
		return;
	}
	counts = pmu->ops->bind(pmu->source, counter, event);
	/* The source was asked all the same: it is what reports uncounted events. */
	if (counts && !is_offered(pmu, event)) {
		vpmu_unbind(pmu, counter);
		counts = false;
	}
	c->binding = counts ? VPMU_BOUND : VPMU_REFUSED;
}

unsigned int vpmu_unbind_all(struct vpmu *pmu, uint64_t counters)
{
	unsigned int ended = 0;

	while (counters) {
		unsigned int counter = vpmu_take(&counters);

		if (vpmu_counter_at(pmu, counter)->binding != VPMU_BOUND)
			continue;
		vpmu_unbind(pmu, counter);
		ended++;
	}
	return ended;
}

unsigned int vpmu_release_idle(struct vpmu *pmu)
{
	return vpmu_unbind_all(pmu, vpmu_counters(pmu) & ~vpmu_active(pmu));
}
