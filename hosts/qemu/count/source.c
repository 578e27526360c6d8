/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See source.h.
 */
#include "source.h"
#include "installed.h"
#include "models/models.h"
#include "report.h"
#include "totals.h"
#include "vcpu.h"
#include <inttypes.h>

static struct slot *slot_at(struct vcpu *vcpu, unsigned int counter)
{
	return &vcpu->source.slots[vpmu_slot(counter)];
}

static bool counts_now(const struct vcpu *vcpu, const struct slot *slot)
{
	return vcpu->svm.guest_mode ? slot->guest_mode : slot->host_mode;
}

static uint64_t slot_total(const struct vcpu *vcpu, struct slot *slot)
{
	bool counts = counts_now(vcpu, slot);
	uint64_t total = counts ? formula_total(vcpu, &slot->formula) : slot->stopped_at;

	total -= slot->excluded;

	/* Whatever a correction takes off, the library's totals do not go backwards. */
	if ((int64_t)(total - slot->last_total) > 0)
		slot->last_total = total;
	return slot->last_total;
}

/* Does this slot have an alarm that the entry's threshold stands for? */
static bool waits_for(const struct vcpu *vcpu, const struct slot *slot, unsigned int entry)
{
	return slot->used && slot->alarm != VPMU_NO_ALARM && slot->formula.class != CLASS_NONE &&
	       counts_now(vcpu, slot) && formula_leading_entry(&slot->formula) == entry;
}

/* Make the entry's threshold the nearest alarm of those that follow it. */
static void set_threshold(struct vcpu *vcpu, unsigned int entry)
{
	uint64_t nearest = UINT64_MAX;
	uint64_t total;

	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		struct slot *slot = &vcpu->source.slots[i];
		uint64_t now, left;

		if (!waits_for(vcpu, slot, entry))
			continue;
		now = slot_total(vcpu, slot);
		left = slot->alarm > now ? slot->alarm - now : 0;
		left = formula_distance(&slot->formula, left);
		if (left < nearest)
			nearest = left;
	}
	/* What is counted ahead of a site is not there yet for its alarms. */
	total = totals_entry(vcpu, entry);
	nearest = nearest > THRESHOLD - total ? THRESHOLD : total + nearest;
	totals_set_threshold(vcpu, entry, nearest);
	installed_want_check(vcpu, entry);
}

static void report_uncounted(const struct vpmu_event *event)
{
	report("uncounted 0x%02x 0x%02x cmask=%u inv=%u edge=%u extra=0x%" PRIx64 "\n",
	       event->select, event->umask, event->cmask, event->invert, event->edge, event->extra);
}

static bool source_bind(void *source, unsigned int counter, const struct vpmu_event *event)
{
	struct vcpu *vcpu = source;
	struct slot *slot = slot_at(vcpu, counter);
	struct formula formula;
	uint64_t entries;

	if (!formula_of(event, &formula)) {
		report_uncounted(event);
		return false;
	}
	*slot = (struct slot){ .used = true,
			       .formula = formula,
			       .host_mode = event->host_mode,
			       .guest_mode = event->guest_mode,
			       .alarm = VPMU_NO_ALARM };
	slot->last_total = slot->stopped_at = formula_total(vcpu, &formula);
	entries = formula_entries(&formula);
	installed_use(entries);
	if (entries & ~installed_entries())
		stale_request(vcpu);
	return true;
}

static void source_unbind(void *source, unsigned int counter)
{
	struct slot *slot = slot_at(source, counter);

	slot->used = false;
	installed_unuse(formula_entries(&slot->formula));
}

static uint64_t source_total(void *source, unsigned int counter)
{
	struct vcpu *vcpu = source;

	return slot_total(vcpu, slot_at(vcpu, counter));
}

static void source_alarm(void *source, unsigned int counter, uint64_t at)
{
	struct vcpu *vcpu = source;
	struct slot *slot = slot_at(vcpu, counter);

	slot->alarm = at;
	if (slot->formula.class != CLASS_NONE)
		set_threshold(vcpu, formula_leading_entry(&slot->formula));
}

const struct vpmu_source_ops source_ops = {
	.bind = source_bind,
	.unbind = source_unbind,
	.total = source_total,
	.alarm = source_alarm,
};

static void change_mode_of(const struct vcpu *vcpu, struct slot *slot)
{
	uint64_t total = formula_total(vcpu, &slot->formula);

	if (counts_now(vcpu, slot))
		slot->excluded += total - slot->stopped_at;
	else
		slot->stopped_at = total;
}

static bool has_one_mode(const struct slot *slot)
{
	return slot->used && slot->host_mode != slot->guest_mode;
}

/* A threshold is that of several slots: all of their totals have to be right by then. */
void source_change_mode(struct vcpu *vcpu)
{
	struct slot *slots = vcpu->source.slots;

	for (unsigned int i = 0; i < VPMU_SLOTS; i++)
		if (has_one_mode(&slots[i]))
			change_mode_of(vcpu, &slots[i]);
	for (unsigned int i = 0; i < VPMU_SLOTS; i++)
		if (has_one_mode(&slots[i]) && slots[i].alarm != VPMU_NO_ALARM &&
		    slots[i].formula.class != CLASS_NONE)
			set_threshold(vcpu, formula_leading_entry(&slots[i].formula));
}

/* An entry has reached its threshold, and so an alarm of it or nearly so. */
static bool check_alarms_of(struct vcpu *vcpu, unsigned int entry)
{
	bool reached = false;

	for (unsigned int i = 0; i < VPMU_SLOTS; i++) {
		struct slot *slot = &vcpu->source.slots[i];

		if (!waits_for(vcpu, slot, entry) || slot_total(vcpu, slot) < slot->alarm)
			continue;
		slot->alarm = VPMU_NO_ALARM;
		vpmu_look(&vcpu->pmu, vpmu_slot_counter(i));
		reached = true;
	}
	set_threshold(vcpu, entry);
	return reached;
}

bool source_check_alarms(struct vcpu *vcpu)
{
	const struct score *score = vcpu_score(vcpu);
	bool reached = false;

	for (unsigned int entry = 0; entry < ENTRY_COUNT; entry++)
		if (score->biased[entry] >= THRESHOLD && check_alarms_of(vcpu, entry))
			reached = true;
	return reached;
}

void source_count(struct vcpu *vcpu, enum event_class class, enum level level)
{
	struct score *score = vcpu_score(vcpu);
	const unsigned int entries[] = { entry_of(class, level), entry_of(class, LEVEL_ANY) };

	for (unsigned int i = 0; i < 2; i++)
		if (installed_entries() & entry_bit(entries[i]))
			score->biased[entries[i]]++;
}
