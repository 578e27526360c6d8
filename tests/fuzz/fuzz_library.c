/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes as a PMU, a source and what a guest and a host do with them; all of
 * vpmu.h, filter.h and state.h. Registers are compared with the model of the manuals
 * (tests/model.h) after each step, and what the library asks of its source with source.h.
 */
#include "../model.h"
#include "../registers.h"
#include "fuzz.h"
#include <string.h>
#include <vpmu/filter.h>
#include <vpmu/state.h>

/* Indices are as in GLOBAL_CTRL. */
#define COUNTERS (VPMU_FIXED + VPMU_MAX_FIXED)

#define CTR_FRZ (UINT64_C(1) << 59)
#define LBR_FRZ (UINT64_C(1) << 58)

/* Calls that a counter may cost in one step: a stop, another event, an alarm, and a freeze. */
#define CALLS_PER_COUNTER 16

/* A counter as the source sees it, and what the library has been told of it. */
struct bound {
	bool is_bound;
	struct vpmu_event event;
	uint64_t total;
	uint64_t known;
	uint64_t alarm; /* VPMU_NO_ALARM: none, or it has gone off */
	bool asked;     /* the library has been told of all that it wants to know after a hint */
	bool current;   /* it has asked since the guest last ran */
	/* The rest is of a counter that has counted since the last service. */
	bool counting;
	uint64_t since; /* the total that the library was last told ... */
	uint64_t value; /* ... and the counter's value then */
};

#define MOST_ENTRIES 16

/* The same filter for the library and for the model. */
struct filter {
	uint64_t entries[MOST_ENTRIES];
	struct vpmu_filter theirs;
	struct model_filter model;
};

static struct fuzz {
	struct input in;
	struct vpmu *pmu;
	const struct vpmu_source_ops *ops;
	struct model model; /* its counters have all that has happened, told or not */
	struct bound bound[COUNTERS];
	struct filter filters[2];
	unsigned int filter; /* the one that was set last */
	uint8_t refused;     /* bit per class of events (event_class()) */
	bool eager;          /* alarms go off at once */
	bool drifts;         /* totals grow while they are read: values are not compared */
	uint8_t first;       /* where totals start */
	uint64_t looked;     /* hints that the library may not have followed yet */
	bool serving;        /* vpmu_service() runs */
	bool written;        /* a register has been: until the service the guest does not run */
	bool pmi;            /* an overflow that asks for a PMI has been told */
	unsigned int calls;  /* of the source, in this step */
} f;

static bool test(uint64_t value, unsigned int n)
{
	return value >> n & 1;
}

static bool is_counter(unsigned int counter)
{
	return counter < f.model.config.general ||
	       (counter >= VPMU_FIXED && counter - VPMU_FIXED < f.model.config.fixed);
}

static bool is_amd(void)
{
	return f.model.config.vendor == VPMU_AMD;
}

static uint64_t mask_of(unsigned int counter)
{
	const struct vpmu_config *config = &f.model.config;

	return model_ones(counter < VPMU_FIXED ? config->general_width : config->fixed_width);
}

static uint64_t *value_of(unsigned int counter)
{
	return counter < VPMU_FIXED ? &f.model.pmc[counter] : &f.model.fixed[counter - VPMU_FIXED];
}

static bool interrupts(unsigned int counter)
{
	return model_interrupts(&f.model, counter);
}

/* How many of the library's names an Intel version knows: topdown slots came with the fifth. */
static int names(void)
{
	if (is_amd())
		return VPMU_EVENT_ARCHITECTURAL;
	return f.model.config.version >= 5 ? VPMU_EVENT_ARCHITECTURAL : VPMU_EVENT_TOPDOWN_SLOTS;
}

static enum vpmu_event_id id_of(int encoding)
{
	for (unsigned int i = 0; i < MODEL_EVENTS; i++) {
		const struct model_event *event = &model_events[i];

		if (event->id >= 0 && event->id < names() &&
		    (is_amd() ? event->amd : event->intel) == encoding)
			return (enum vpmu_event_id)event->id;
	}
	return VPMU_EVENT_RAW;
}

/* The event register that goes with an encoding; 0 if none does, or the PMU has none. */
static uint64_t extra_of(int encoding)
{
	static const struct {
		int encoding;
		unsigned int which;
		uint32_t flag;
	} rows[] = { { 0xb701, 0, 1 }, { 0xbb01, 1, 1 }, { 0x2a01, 0, 1 }, { 0x2b01, 1, 1 },
		     { 0xcd01, 2, 2 }, { 0xc601, 3, 4 }, { 0xc603, 3, 4 } };

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]) && !is_amd(); i++)
		if (rows[i].encoding == encoding && (f.model.config.event_registers & rows[i].flag))
			return f.model.event_registers[rows[i].which];
	return 0;
}

/* What the registers say that the counter counts: source.h's description of them. */
static struct vpmu_event fixed_event(unsigned int i)
{
	static const enum vpmu_event_id ids[] = { VPMU_EVENT_INSTRUCTIONS, VPMU_EVENT_CYCLES,
						  VPMU_EVENT_TSC_CYCLES, VPMU_EVENT_TOPDOWN_SLOTS };

	return (struct vpmu_event){ .id = ids[i],
				    .kernel = test(f.model.fixed_ctrl, 4 * i),
				    .user = test(f.model.fixed_ctrl, 4 * i + 1),
				    .host_mode = true,
				    .guest_mode = true };
}

static struct vpmu_event general_event(uint64_t evtsel)
{
	bool guest_only = test(evtsel, 40), host_only = test(evtsel, 41);
	struct vpmu_event event = { .edge = test(evtsel, 18) };
	int encoding;

	event.select = (uint16_t)((evtsel & 0xff) | (evtsel >> 32 & 0xf) << 8);
	event.umask = evtsel >> 8 & 0xff;
	encoding = event.select << 8 | event.umask;
	event.id = id_of(encoding);
	event.extra = extra_of(encoding);
	event.cmask = evtsel >> 24 & 0xff;
	event.invert = event.cmask && test(evtsel, 23);
	event.user = test(evtsel, 16);
	event.kernel = test(evtsel, 17);
	event.host_mode = host_only || !guest_only;
	event.guest_mode = guest_only || !host_only;
	return event;
}

static struct vpmu_event event_of(unsigned int counter)
{
	return counter >= VPMU_FIXED ? fixed_event(counter - VPMU_FIXED)
				     : general_event(f.model.evtsel[counter]);
}

static bool same(const struct vpmu_event *a, const struct vpmu_event *b)
{
	return a->id == b->id && a->select == b->select && a->umask == b->umask &&
	       a->cmask == b->cmask && a->invert == b->invert && a->edge == b->edge &&
	       a->user == b->user && a->kernel == b->kernel && a->host_mode == b->host_mode &&
	       a->guest_mode == b->guest_mode && a->extra == b->extra;
}

static unsigned int event_class(const struct vpmu_event *event)
{
	return (event->id + event->umask + 3u * event->cmask + event->edge) % 8;
}

static bool is_allowed(unsigned int counter, const struct vpmu_event *event)
{
	const struct model_filter *filter = f.model.filter;

	if (!filter)
		return true;
	return counter < VPMU_FIXED ? model_filter_allows(filter, event->select, event->umask)
				    : model_filter_allows_fixed(filter, counter - VPMU_FIXED);
}

static bool is_counted(const struct vpmu_event *event)
{
	return !test(f.refused, event_class(event)) &&
	       (event->id == VPMU_EVENT_RAW || test(f.model.config.events, event->id));
}

static bool is_enabled(unsigned int counter)
{
	const struct vpmu_event event = event_of(counter);

	if (test(f.model.status, 59))
		return false;
	if (model_has_global(&f.model) && !test(f.model.global_ctrl, counter))
		return false;
	if (counter < VPMU_FIXED && !test(f.model.evtsel[counter], 22))
		return false;
	/* Restricted to host or guest mode, but there are none. */
	if (counter < VPMU_FIXED && (f.model.evtsel[counter] >> 40 & 3) && !f.model.svme)
		return false;
	return event.user || event.kernel;
}

/* --- the source --------------------------------------------------------------- */

static struct bound *asked_for(void *source, unsigned int counter)
{
	hold(source == &f, "a source's function is called with another's pointer");
	hold(is_counter(counter), "the source is asked about counter %u", counter);
	f.calls++;
	return &f.bound[counter];
}

static void grow(struct bound *b, uint64_t n)
{
	uint64_t most = UINT64_MAX - 1 - b->total;

	b->total += n < most ? n : most;
}

static void ring(unsigned int counter)
{
	struct bound *b = &f.bound[counter];

	b->alarm = VPMU_NO_ALARM;
	f.looked |= UINT64_C(1) << counter;
	vpmu_look(f.pmu, counter);
}

static void ring_if_reached(unsigned int counter)
{
	if (f.bound[counter].is_bound && f.bound[counter].total >= f.bound[counter].alarm)
		ring(counter);
}

/* The library knows the counter's total: an overflow until then has been found. */
static void told(unsigned int counter, uint64_t total)
{
	struct bound *b = &f.bound[counter];
	uint64_t counted = total - b->since;

	b->asked = b->current = true;
	if (f.serving)
		f.looked &= ~(UINT64_C(1) << counter);
	if (!b->counting)
		return;
	if (counted > mask_of(counter) - b->value && interrupts(counter))
		f.pmi = true;
	b->value = (b->value + counted) & mask_of(counter);
	b->since = total;
}

static bool source_bind(void *source, unsigned int counter, const struct vpmu_event *event)
{
	static const uint64_t starts[] = { 0, 1000, UINT64_C(1) << 47, UINT64_MAX / 2,
					   UINT64_MAX - (UINT64_C(1) << 40) };
	struct bound *b = asked_for(source, counter);
	struct vpmu_event wanted = event_of(counter);

	hold(!b->is_bound, "counter %u is bound twice", counter);
	hold(same(event, &wanted), "counter %u is bound to another event", counter);
	hold(is_enabled(counter), "counter %u is bound, but not enabled", counter);
	hold(is_allowed(counter, event), "counter %u is bound, but denied", counter);
	if (test(f.refused, event_class(event)))
		return false;
	*b = (struct bound){ .is_bound = true,
			     .event = *event,
			     .total = starts[f.first % 5],
			     .alarm = VPMU_NO_ALARM };
	b->known = f.first & 0x80 ? b->total : 0;
	return true;
}

static void source_unbind(void *source, unsigned int counter)
{
	struct bound *b = asked_for(source, counter);

	hold(b->is_bound, "counter %u is unbound twice", counter);
	*b = (struct bound){ .alarm = VPMU_NO_ALARM };
}

static uint64_t source_total(void *source, unsigned int counter)
{
	struct bound *b = asked_for(source, counter);

	hold(b->is_bound, "the total of counter %u is asked for, which is not bound", counter);
	if (f.drifts)
		grow(b, 1 + (f.calls & 7));
	told(counter, b->total);
	return b->total;
}

static uint64_t source_known(void *source, unsigned int counter)
{
	struct bound *b = asked_for(source, counter);

	hold(b->is_bound, "a total of counter %u is asked for, which is not bound", counter);
	b->current = true;
	/* Whether it shows an overflow only the library can tell if totals drift. */
	b->asked |= f.drifts;
	/* It suffices if it shows an overflow; else the library asks on, or has to. */
	if (b->counting && b->known > b->since && b->known - b->since > mask_of(counter) - b->value)
		told(counter, b->known);
	return b->known;
}

static void source_alarm(void *source, unsigned int counter, uint64_t at)
{
	struct bound *b = asked_for(source, counter);

	hold(b->is_bound, "an alarm is set for counter %u, which is not bound", counter);
	hold(b->current, "an alarm is set for counter %u, whose total may be an old one", counter);
	b->alarm = at;
	if (f.eager)
		ring_if_reached(counter);
}

static const struct vpmu_source_ops knowing = { .bind = source_bind,
						.unbind = source_unbind,
						.total = source_total,
						.known = source_known,
						.alarm = source_alarm };

static const struct vpmu_source_ops unknowing = {
	.bind = source_bind, .unbind = source_unbind, .total = source_total, .alarm = source_alarm
};

/* --- what happens --------------------------------------------------------------- */

static void happen(unsigned int counter, uint64_t n)
{
	struct bound *b = &f.bound[counter];
	uint64_t before = b->total;

	if (!b->is_bound)
		return;
	grow(b, n);
	b->current &= f.written;
	if (b->counting)
		model_count_many(&f.model, counter, b->total - before);
	if (f.eager)
		ring_if_reached(counter);
}

/* The guest or the host has set the counter, or it has overflowed at an emulated instruction. */
static void hold_value(unsigned int counter)
{
	f.bound[counter].value = *value_of(counter);
}

static bool counts_retired(unsigned int counter, unsigned int kind)
{
	const struct bound *b = &f.bound[counter];
	const struct vpmu_event *event = &b->event;

	if (!b->counting || event->cmask || event->edge || event->invert ||
	    !(kind & VPMU_RETIRED_KERNEL ? event->kernel : event->user) ||
	    !(kind & VPMU_RETIRED_GUEST_MODE ? event->guest_mode : event->host_mode))
		return false;
	return event->id == VPMU_EVENT_INSTRUCTIONS ||
	       ((kind & VPMU_RETIRED_BRANCH) && event->id == VPMU_EVENT_BRANCHES);
}

static void retire(unsigned int kind)
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		struct bound *b = &f.bound[i];

		if (!counts_retired(i, kind))
			continue;
		model_count_many(&f.model, i, 1);
		if (b->value == mask_of(i) && interrupts(i))
			f.pmi = true;
		b->value = (b->value + 1) & mask_of(i);
	}
	f.calls = 0;
	vpmu_retired(f.pmu, kind);
	hold(f.calls == 0, "an emulated instruction asks the source");
}

/* --- the guest's accesses -------------------------------------------------------- */

struct msr_range {
	uint32_t first, count;
};

/* All of the PMU's registers and their neighbours, then those that matter most once more. */
#define REGISTER_RANGES 15
static const struct msr_range intel_registers[REGISTER_RANGES] = {
	{ 0x0c0, 10 }, { 0x185, 10 },      { 0x308, 6 },          { 0x38c, 8 }, { 0x4c0, 10 },
	{ 0x1d9, 1 },  { 0x3f6, 2 },       { FIXED_CTR_CTRL, 1 }, { 0x186, 8 }, { 0x0c1, 8 },
	{ 0x1a6, 2 },  { GLOBAL_CTRL, 1 }, { 0x390, 1 },          { 0x391, 1 }, { 0x309, 4 }
};
static const struct msr_range amd_registers[REGISTER_RANGES] = {
	{ 0xc000ffff, 10 }, { 0xc00101ff, 14 }, { 0xc00002ff, 6 }, { 0x1d9, 1 },
	{ 0x1a0, 1 },       { 0x38f, 1 },       { 0x186, 2 },      { 0xc0010200, 12 },
	{ 0xc0010200, 12 }, { 0xc0010200, 12 }, { 0xc0010000, 4 }, { 0xc0010004, 4 },
	{ 0xc0000301, 1 },  { 0xc0000302, 1 },  { 0xc0000303, 1 }
};

static struct msr_range registers_at(unsigned int i)
{
	return is_amd() ? amd_registers[i] : intel_registers[i];
}

/* The counter that an MSR is, as an index; COUNTERS: none. */
static unsigned int counter_of(uint32_t msr)
{
	if (msr - PMC0 < 8)
		return msr - PMC0;
	if (msr - A_PMC0 < 8)
		return msr - A_PMC0;
	if (msr - FIXED_CTR0 < 4)
		return msr - FIXED_CTR0 + VPMU_FIXED;
	if (msr - K7_PERFCTR0 < 4)
		return msr - K7_PERFCTR0;
	if (msr - PERF_CTR0 < 12 && (msr - PERF_CTR0) % 2 == 0)
		return (msr - PERF_CTR0) / 2;
	return COUNTERS;
}

static bool is_status(uint32_t msr)
{
	return msr == GLOBAL_STATUS || msr == AMD_GLOBAL_STATUS;
}

/* Bits that cannot be told if totals move while they are read. */
static uint64_t vague_bits(uint32_t msr)
{
	if (!f.drifts)
		return 0;
	if (counter_of(msr) < COUNTERS)
		return UINT64_MAX;
	return is_status(msr) ? ~(CTR_FRZ | LBR_FRZ) : 0;
}

/* hosts: what the host would answer itself, of which a shared register keeps some bits. */
static void read_shared(uint32_t msr, uint64_t hosts)
{
	uint64_t got = hosts, expected = hosts;
	enum vpmu_answer answer;

	f.calls = 0;
	answer = vpmu_rdmsr(f.pmu, msr, &got);
	hold(answer == model_rdmsr(&f.model, msr, &expected), "RDMSR %" PRIx32 "H: answer %d", msr,
	     answer);
	hold(((got ^ expected) & ~vague_bits(msr)) == 0,
	     "RDMSR %" PRIx32 "H: %" PRIx64 "H, not %" PRIx64 "H", msr, got, expected);
	hold(f.calls <= (is_status(msr) ? VPMU_SLOTS : 1),
	     "RDMSR %" PRIx32 "H: %u calls of the source", msr, f.calls);
}

static void read_register(uint32_t msr)
{
	read_shared(msr, 0);
}

static void read_all(void)
{
	for (unsigned int i = 0; i < REGISTER_RANGES; i++)
		for (uint32_t n = 0; n < registers_at(i).count; n++)
			read_register(registers_at(i).first + n);
	read_register(PERF_CAPABILITIES);
	hold(f.drifts || vpmu_status(f.pmu) == f.model.status,
	     "the status is %" PRIx64 "H, not %" PRIx64 "H", vpmu_status(f.pmu), f.model.status);
}

static void note_written(uint32_t msr)
{
	if (counter_of(msr) < COUNTERS)
		hold_value(counter_of(msr));
}

static uint64_t interrupting(void)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < COUNTERS; i++)
		if (is_counter(i) && interrupts(i))
			all |= UINT64_C(1) << i;
	return all;
}

/* Whether an overflow asks for a PMI is up to the register at that time: it has to be found. */
static void check_told(uint64_t counters)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		hold(!test(counters, i) || !f.bound[i].counting ||
			     f.bound[i].since == f.bound[i].total,
		     "an overflow of counter %u may be lost", i);
}

static void write_as(uint32_t msr, uint64_t value,
		     enum vpmu_answer (*write)(struct vpmu *pmu, uint32_t msr, uint64_t value),
		     enum vpmu_answer (*expect)(struct model *model, uint32_t msr, uint64_t value))
{
	uint64_t before = interrupting();
	enum vpmu_answer answer;

	f.calls = 0;
	answer = write(f.pmu, msr, value);
	hold(answer == expect(&f.model, msr, value), "WRMSR %" PRIx32 "H, %" PRIx64 "H: answer %d",
	     msr, value, answer);
	hold(f.calls <= VPMU_SLOTS, "WRMSR %" PRIx32 "H: %u calls of the source", msr, f.calls);
	f.written = true;
	if (answer == VPMU_DONE)
		note_written(msr);
	check_told(before ^ interrupting());
}

static void write_register(uint32_t msr, uint64_t value)
{
	write_as(msr, value, vpmu_wrmsr, model_wrmsr);
}

static void host_write_register(uint32_t msr, uint64_t value)
{
	write_as(msr, value, vpmu_host_wrmsr, model_host_wrmsr);
}

static void read_counter(uint32_t ecx, bool allowed)
{
	uint64_t got = 0, expected = 0;
	enum vpmu_answer answer, wanted = VPMU_FAULT;

	f.calls = 0;
	answer = vpmu_rdpmc(f.pmu, ecx, allowed, &got);
	if (allowed)
		wanted = model_rdpmc(&f.model, ecx, &expected);
	hold(answer == wanted, "RDPMC %" PRIx32 "H: answer %d", ecx, answer);
	hold(f.drifts || got == expected, "RDPMC %" PRIx32 "H: %" PRIx64 "H, not %" PRIx64 "H", ecx,
	     got, expected);
	hold(f.calls <= 1, "RDPMC %" PRIx32 "H: %u calls of the source", ecx, f.calls);
}

static uint32_t take_msr(void)
{
	uint8_t which = take8(&f.in);

	if (which % 16 == REGISTER_RANGES)
		return (uint32_t)take(&f.in, 4);
	return registers_at(which % 16).first + which / 16 % registers_at(which % 16).count;
}

/* One of the model's events. */
static uint64_t take_select(void)
{
	const struct model_event *event = &model_events[take8(&f.in) % MODEL_EVENTS];
	int encoding = is_amd() ? event->amd : event->intel;
	unsigned int there = encoding < 0 ? 0 : (unsigned int)encoding;

	return (there >> 8 & 0xff) | (there & 0xff) << 8 | (uint64_t)(there >> 16) << 32;
}

/* An event select with all the bits that the first byte has. */
static uint64_t take_evtsel(void)
{
	uint8_t bits = take8(&f.in);
	uint64_t value = take_select();

	value |= (uint64_t)(1 + bits % 3) << 16;    /* user, kernel */
	value |= (uint64_t)(bits >> 2 & 1) << 20;   /* INT */
	value |= (uint64_t) !(bits >> 3 & 1) << 22; /* enabled */
	value |= (uint64_t)(bits >> 4 & 1) << 18;   /* edge */
	if (is_amd())
		return value | (uint64_t)(bits >> 5 & 3) << 40;
	return value | (uint64_t)(bits >> 5 & 7) << 23; /* invert, counter mask */
}

static uint64_t all_counters(void)
{
	return model_ones(f.model.config.general) | model_ones(f.model.config.fixed) << VPMU_FIXED;
}

static uint64_t take_value(uint32_t msr)
{
	uint8_t how = take8(&f.in);
	uint64_t now = 0;

	switch (how % 8) {
	case 0:
		return take(&f.in, 8);
	case 1: /* close to overflow, at any width */
		return (UINT64_C(1) << (32 + how / 8 % 17)) - take(&f.in, 2);
	case 2:
		return take_evtsel();
	case 3:
		return all_counters();
	case 4:
		return take(&f.in, 2) & 0xbbbb;
	case 5:
		return UINT64_C(1) << take8(&f.in) % 64;
	default: /* what it is, but for a bit */
		model_rdmsr(&f.model, msr, &now);
		return now ^ UINT64_C(1) << take8(&f.in) % 64;
	}
}

/* --- the host --------------------------------------------------------------------- */

/* After a service: who counts, and are the alarms in time? */
static void note_counting(void)
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		struct bound *b = &f.bound[i];
		struct vpmu_event event;
		bool counts;

		if (!is_counter(i))
			continue;
		event = event_of(i);
		counts = is_enabled(i) && is_counted(&event) && is_allowed(i, &event);
		if (counts) {
			hold(b->is_bound, "counter %u is enabled, but not bound", i);
			hold(same(&b->event, &event), "counter %u counts another event", i);
		}
		if (counts && !b->counting) {
			b->since = b->total;
			b->value = *value_of(i);
		}
		b->counting = counts;
	}
}

/* An alarm may be early; by emulated instructions also late, by a thousandth of what is left. */
static void check_alarm(unsigned int counter)
{
	const struct bound *b = &f.bound[counter];
	uint64_t left = mask_of(counter) - b->value + 1;
	uint64_t overflow = b->since + left;

	if (!b->counting || !interrupts(counter) || test(f.looked, counter) ||
	    left > VPMU_NO_ALARM - b->since)
		return;
	hold(b->alarm <= overflow ||
		     (b->alarm != VPMU_NO_ALARM && b->alarm - overflow <= left / 1024),
	     "counter %u overflows at %" PRIu64 ", its alarm is at %" PRIu64, counter, overflow,
	     b->alarm);
}

static void check_active(void)
{
	uint64_t counting = 0;

	for (unsigned int i = 0; i < COUNTERS; i++)
		if (f.bound[i].counting)
			counting |= UINT64_C(1) << i;
	hold(vpmu_active(f.pmu) == counting, "active: %" PRIx64 "H, not %" PRIx64 "H",
	     vpmu_active(f.pmu), counting);
}

static unsigned int counters(void)
{
	return f.model.config.general + (unsigned int)f.model.config.fixed;
}

static void service(void)
{
	uint64_t hinted = f.looked;
	unsigned int asked;
	bool pmi;

	f.looked = 0;
	f.calls = 0;
	for (unsigned int i = 0; i < COUNTERS; i++)
		f.bound[i].asked = !f.bound[i].counting || !test(hinted, i);
	f.serving = true;
	asked = vpmu_service(f.pmu);
	pmi = asked & VPMU_PMI;
	f.serving = f.written = false;
	for (unsigned int i = 0; i < COUNTERS; i++)
		hold(!f.bound[i].counting || f.bound[i].asked, "a hint at counter %u is lost", i);
	hold(f.calls <= CALLS_PER_COUNTER * counters(), "service: %u calls of the source", f.calls);
	hold(f.drifts || pmi == f.pmi, pmi ? "a PMI without an overflow" : "a PMI is missing");
	f.pmi = false;
	hold(asked == (pmi ? model_pmi(&f.model) : 0), "the service asks for %x", asked);
	note_counting();
	if (f.drifts)
		return;
	for (unsigned int i = 0; i < COUNTERS; i++)
		check_alarm(i);
	if (f.looked)
		return;
	check_active();
	f.calls = 0;
	hold(!vpmu_service(f.pmu) && f.calls == 0, "a service with nothing to do does something");
}

static void release_idle(void)
{
	unsigned int before = 0, after = 0, ended;

	for (unsigned int i = 0; i < COUNTERS; i++)
		before += f.bound[i].is_bound;
	ended = vpmu_release_idle(f.pmu);
	for (unsigned int i = 0; i < COUNTERS; i++) {
		after += f.bound[i].is_bound;
		hold(!f.bound[i].is_bound || test(vpmu_active(f.pmu), i),
		     "counter %u is idle, but bound", i);
	}
	hold(before - after == ended, "%u bindings have ended, not %u", before - after, ended);
}

static void check_nothing_bound(void)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		hold(!f.bound[i].is_bound, "counter %u is bound after a reset", i);
	hold(vpmu_active(f.pmu) == 0, "a counter counts after a reset");
}

static void reset(void)
{
	vpmu_reset(f.pmu);
	model_reset(&f.model);
	f.pmi = false;
	check_nothing_bound();
	read_all();
}

static void look(void)
{
	unsigned int counter = (unsigned int)take(&f.in, 1);

	counter = counter == 0xff ? (unsigned int)take(&f.in, 4) : counter % 72;
	if (counter < COUNTERS && is_counter(counter))
		f.looked |= UINT64_C(1) << counter;
	vpmu_look(f.pmu, counter);
}

static bool is_pmu_leaf(uint32_t leaf)
{
	static const uint32_t leaves[] = { 0x0,  0x1,        0x7,        0xa,        0x1c,
					   0x23, 0x80000000, 0x80000001, 0x8000001b, 0x80000022 };

	for (unsigned int i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		if (leaves[i] == leaf)
			return true;
	return false;
}

static void check_intel_cpuid(uint32_t leaf, const uint32_t regs[4])
{
	const struct vpmu_config *config = &f.model.config;

	if (leaf == 0xa) {
		hold((regs[0] & 0xff) == config->version &&
			     (regs[0] >> 8 & 0xff) == config->general,
		     "CPUID 0AH: EAX %" PRIx32 "H", regs[0]);
		hold((regs[3] & 0x1f) == config->fixed, "CPUID 0AH: EDX %" PRIx32 "H", regs[3]);
		hold((regs[1] & config->events) == 0, "CPUID 0AH: EBX %" PRIx32 "H", regs[1]);
	}
	if (leaf == 1)
		hold((regs[2] >> 15 & 1) == (config->version != 0), "CPUID 01H: PDCM");
	if (leaf == 0x80000001)
		hold(!test(regs[2], 23), "CPUID 80000001H: core extension");
}

static void check_amd_cpuid(uint32_t leaf, const uint32_t regs[4])
{
	const struct vpmu_config *config = &f.model.config;
	bool core = config->version == 2 || config->general == 6;

	if (leaf == 0xa)
		hold(!(regs[0] | regs[1] | regs[2] | regs[3]), "CPUID 0AH is not empty");
	if (leaf == 1)
		hold(!test(regs[2], 15), "CPUID 01H: PDCM");
	if (leaf == 0x80000001)
		hold(test(regs[2], 23) == core, "CPUID 80000001H: core extension");
	if (leaf == 0x80000022)
		hold((regs[0] & 1) == (config->version == 2) &&
			     (regs[1] & 0xf) == (config->version == 2 ? config->general : 0),
		     "CPUID 80000022H: %" PRIx32 "H, %" PRIx32 "H", regs[0], regs[1]);
}

static void ask_cpuid(void)
{
	uint32_t leaf = take8(&f.in), subleaf = take8(&f.in);
	uint32_t regs[4], before[4];

	if (leaf & 0x80)
		leaf = (leaf & 0x7f) | 0x80000000; /* those of the second range, too */
	for (unsigned int i = 0; i < 4; i++)
		regs[i] = before[i] = (uint32_t)take(&f.in, 4);
	vpmu_cpuid(f.pmu, leaf, subleaf, regs);
	if (leaf == 1)
		hold(regs[0] == before[0] && regs[1] == before[1], "CPUID 01H: EAX or EBX changes");
	if (!is_pmu_leaf(leaf))
		hold(!memcmp(regs, before, sizeof(regs)), "CPUID %" PRIx32 "H changes", leaf);
	else if (is_amd())
		check_amd_cpuid(leaf, regs);
	else
		check_intel_cpuid(leaf, regs);
}

/* A register of which the host has some bits. */
static void ask_misc_enable(void)
{
	read_shared(MISC_ENABLE, take(&f.in, 8));
}

static uint32_t all_events(unsigned int version)
{
	return version >= 5 ? 0x1ff : version >= 2 ? 0x17f : 0x7f;
}

static bool is_valid_intel(const struct vpmu_config *config)
{
	/* Instructions, cycles, TSC cycles, topdown slots: in the fixed counters' order. */
	static const uint32_t needed[] = { 0x0, 0x2, 0x3, 0x103, 0x183 };
	unsigned int most = config->version == 5 ? 4 : config->version == 1 ? 0 : 3;

	return config->version <= 5 && config->general >= 1 && config->general <= 8 &&
	       config->fixed <= most && config->general_width >= 32 &&
	       config->general_width <= 48 &&
	       (!config->fixed || (config->fixed_width >= 32 && config->fixed_width <= 48)) &&
	       (config->events & ~all_events(config->version)) == 0 &&
	       (config->events & needed[config->fixed]) == needed[config->fixed] &&
	       config->event_registers < 8 && !config->nested;
}

static bool is_valid_amd(const struct vpmu_config *config)
{
	bool fits = config->version == 1 ? config->general == 4 || config->general == 6
					 : config->general >= 1 && config->general <= 6;

	return config->version <= 2 && fits && config->general_width == 48 && !config->fixed &&
	       !config->fixed_width && !config->full_width_writes && !config->event_registers &&
	       (config->events & ~UINT32_C(0x63)) == 0;
}

static bool is_valid(const struct vpmu_config *config)
{
	if (config->version == 0)
		return true;
	return config->vendor == VPMU_AMD ? is_valid_amd(config) : is_valid_intel(config);
}

/* Anything in the fields of both vendors. */
static void take_fields(struct vpmu_config *config)
{
	config->general = take8(&f.in) % 10;
	config->general_width = (uint8_t)(31 + take8(&f.in) % 19);
	config->fixed = take8(&f.in) % 6;
	config->fixed_width = (uint8_t)(31 + take8(&f.in) % 19);
	config->full_width_writes = take8(&f.in) & 1;
	config->events = (uint32_t)take(&f.in, 2);
}

static struct vpmu_config take_intel_config(uint8_t how)
{
	struct vpmu_config config = vpmu_config_intel(how % 7, (uint32_t)take(&f.in, 1) * 3);

	if (how < 128) {
		config = vpmu_config_intel(2 + how % 4, all_events(2 + how % 4));
		config.event_registers = how / 4 % 8;
		return config;
	}
	hold(is_valid(&config) || how % 7 == 6, "vpmu_config_intel(%u)", how % 7);
	if (how & 0x40)
		take_fields(&config);
	return config;
}

static struct vpmu_config take_amd_config(void)
{
	uint8_t how = take8(&f.in);
	unsigned int version = how % 4, counters = how / 4 % 8;
	struct vpmu_config config;

	if (version == 1 && how < 128)
		counters = counters % 2 ? 6 : 4;
	config = vpmu_config_amd(version, counters, ~0u);
	config.nested = how & 0x20;
	if (how & 0x80) {
		config.events = (uint32_t)take(&f.in, 2);
		config.event_registers = take8(&f.in) % 2;
	}
	if (how & 0x40 && how & 0x80)
		take_fields(&config);
	return config;
}

/* Version 6 there is none of: such a byte, but for one, is AMD. */
static struct vpmu_config take_config(void)
{
	uint8_t how = take8(&f.in);
	bool amd = how >= 128 && how % 7 == 6 && how != 251;
	struct vpmu_config config = amd ? take_amd_config() : take_intel_config(how);

	config.debug_bits = how & 0x10 ? 0x3 : 0;
	return config;
}

static void init(void)
{
	struct vpmu_config config = take_config();
	uint8_t how = take8(&f.in);
	const struct vpmu_source_ops *ops = how & 1 ? &unknowing : &knowing;
	bool valid = is_valid(&config);
	enum vpmu_error error;

	if (how == 0xff) {
		ops = NULL;
		valid = config.version == 0;
	}
	f.ops = ops;
	error = vpmu_init(f.pmu, &config, ops, &f);
	hold((error == VPMU_OK) == valid, "init: error %d", error);
	hold(vpmu_error_text(config.vendor, (enum vpmu_error)(how % VPMU_ERRORS))[0],
	     "error %d has no text", how % VPMU_ERRORS);
	memset(&f.model, 0, sizeof(f.model));
	f.model.config.vendor = config.vendor;
	if (valid && config.version)
		f.model.config = config;
	model_reset(&f.model);
	f.eager = how & 2;
	f.drifts = (how & 0x1c) == 0x1c;
	f.refused = how & 0x20 ? take8(&f.in) : 0;
	f.first = how & 0x40 ? take8(&f.in) : 0;
	f.looked = 0;
	f.pmi = false;
	check_nothing_bound();
}

/* --- steps ----------------------------------------------------------------------- */

/* One counter of those that there are, by its index or by its place. */
static unsigned int take_counter(void)
{
	uint8_t which = take8(&f.in);
	unsigned int n = counters() ? which % counters() : 0;

	return n < f.model.config.general ? n : n - f.model.config.general + VPMU_FIXED;
}

/* Small numbers, exactly what is left until the overflow, and large ones. */
static uint64_t take_growth(unsigned int counter)
{
	uint8_t how = take8(&f.in);

	if (how < 128)
		return how;
	if (how < 192)
		return mask_of(counter) - *value_of(counter) + how - 160;
	return UINT64_C(1) << (how - 192);
}

static void grow_one(void)
{
	unsigned int counter = take_counter();

	happen(counter, take_growth(counter));
}

static void grow_all(void)
{
	uint64_t n = take(&f.in, 1);

	for (unsigned int i = 0; i < COUNTERS; i++)
		happen(i, n);
}

static void ring_reached(void)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		ring_if_reached(i);
}

/* The source notes what it has seen last. */
static void know(void)
{
	struct bound *b = &f.bound[take_counter()];
	uint64_t lag = take8(&f.in);

	if (b->is_bound && b->total - lag <= b->total && b->total - lag > b->known)
		b->known = b->total - lag;
}

/* What a driver does to sample. */
static void sample_intel(uint64_t evtsel, uint8_t period)
{
	uint64_t fixed = (evtsel >> 20 & 1) ? 0xbbbb : 0x3333; /* with PMI, without */
	bool frozen = model_freezes_by_status(&f.model);

	for (uint32_t i = 0; i < f.model.config.general; i++) {
		write_register(PERFEVTSEL0 + i, evtsel);
		write_register(PMC0 + i, UINT64_MAX - period);
	}
	for (uint32_t i = 0; i < f.model.config.fixed; i++)
		write_register(FIXED_CTR0 + i, mask_of(VPMU_FIXED + i) - period);
	write_register(FIXED_CTR_CTRL, fixed & model_ones(4u * f.model.config.fixed));
	write_register(STATUS_RESET, all_counters() | (frozen ? CTR_FRZ | LBR_FRZ : 0));
	write_register(GLOBAL_CTRL, all_counters());
}

static void sample_amd(uint64_t evtsel, uint8_t period)
{
	for (uint32_t i = 0; i < f.model.config.general; i++) {
		bool old = i < 4;

		write_register(old ? K7_EVNTSEL0 + i : PERF_CTL0 + 2 * i, evtsel);
		write_register(old ? K7_PERFCTR0 + i : PERF_CTR0 + 2 * i, UINT64_MAX - period);
	}
	write_register(AMD_GLOBAL_STATUS_CLR, UINT64_MAX);
	write_register(AMD_GLOBAL_CTL, all_counters());
}

static void sample(void)
{
	uint8_t period = take8(&f.in);
	uint64_t evtsel = take_evtsel() | 1u << 22;

	if (is_amd())
		sample_amd(evtsel, period);
	else
		sample_intel(evtsel, period);
}

static void write_one(void)
{
	uint32_t msr = take_msr();

	write_register(msr, take_value(msr));
}

static void read_one(void)
{
	read_register(take_msr());
}

static void read_performance_counter(void)
{
	uint32_t ecx = take8(&f.in);
	bool allowed = !(ecx & 0x20);

	ecx = ecx == 0xff ? (uint32_t)take(&f.in, 4) : ecx % 16 | (ecx & 0x40) << 24;
	read_counter(ecx, allowed);
}

static void retire_some(void)
{
	uint8_t how = take8(&f.in);

	for (unsigned int i = 0; i <= how / 4u; i++)
		retire((how & 1 ? VPMU_RETIRED_KERNEL : 0u) | (how & 2 ? VPMU_RETIRED_BRANCH : 0u));
}

/* EFER.SVME changes, and an instruction of any kind is emulated. */
static void change_svme(void)
{
	uint8_t how = take8(&f.in);

	vpmu_set_svme(f.pmu, how & 1);
	model_set_svme(&f.model, how & 1);
	if (how & 2)
		service();
	retire(how >> 2 & 7);
}

static void read_shared_one(void)
{
	uint32_t msr = take_msr();

	read_shared(msr, take(&f.in, 8));
}

static void ring_early(void)
{
	unsigned int counter = take_counter();

	if (f.bound[counter].is_bound)
		ring(counter);
}

static void start_again(void)
{
	bool other = take8(&f.in) & 1;

	reset();
	if (other)
		init();
}

/* What is worth more stands there more often. */
static void (*const steps[])(void) = {
	write_one,    write_one,       write_one, read_one, read_performance_counter,
	ask_cpuid,    ask_misc_enable, look,      service,  service,
	retire_some,  release_idle,    grow_one,  grow_one, grow_all,
	ring_reached, ring_early,      know,      sample,   start_again,
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

static void host_write_one(void)
{
	uint32_t msr = take_msr();

	host_write_register(msr, take_value(msr));
}

/* From the next service on the source refuses other events. */
static void ask_again(void)
{
	f.refused = take8(&f.in);
	vpmu_ask_again(f.pmu);
}

static uint64_t take_entry(bool masked)
{
	uint8_t how = take8(&f.in);
	uint64_t entry = take_select();

	if (masked)
		entry |= (uint64_t)take8(&f.in) << 56 | (uint64_t)(how & 1) << 55;
	return how < 0xe0 ? entry : entry ^ UINT64_C(1) << take8(&f.in) % 64;
}

/* Into the filter that is not in force: a service heeds the one before first. */
static struct filter *take_filter(void)
{
	uint8_t how = take8(&f.in);
	struct filter *filter = &f.filters[!f.filter];
	uint32_t count = how >> 2 & 15;

	service();
	for (uint32_t i = 0; i < count; i++)
		filter->entries[i] = take_entry(how & 2);
	filter->theirs = (struct vpmu_filter){
		.masked = how & 2, .fixed = take8(&f.in), .count = count, .entries = filter->entries
	};
	filter->theirs.action = how & 1 ? VPMU_FILTER_ALLOW : VPMU_FILTER_DENY;
	filter->model = (struct model_filter){ .action = how & 1 ? 0 : 1,
					       .flags = how >> 1 & 1,
					       .fixed_bitmap = filter->theirs.fixed,
					       .count = count,
					       .entries = filter->entries };
	return filter;
}

static void set_filter(void)
{
	struct filter *filter = take_filter();
	bool valid = model_filter_is_valid(f.model.config.vendor, &filter->model);

	hold((vpmu_set_filter(f.pmu, &filter->theirs) == VPMU_OK) == valid, "a filter is %s",
	     valid ? "refused" : "not refused");
	if (!valid)
		return;
	f.model.filter = &filter->model;
	f.filter = !f.filter;
}

static void no_filter(void)
{
	hold(vpmu_set_filter(f.pmu, NULL) == VPMU_OK, "a filter cannot be ended");
	f.model.filter = NULL;
}

/* The vCPU goes on in another PMU. Whoever moves it gives it the same filter. */
static void use_another_pmu(void)
{
	const struct vpmu_config config = f.pmu->config;
	struct vpmu *other = malloc(sizeof(*other));

	hold(other, "there is no memory");
	memset(other, 0x5a, sizeof(*other));
	vpmu_reset(f.pmu);
	free(f.pmu);
	f.pmu = other;
	f.looked = 0;
	hold(vpmu_init(other, &config, f.ops, &f) == VPMU_OK, "it cannot be initialised again");
	vpmu_set_filter(other, f.model.filter ? &f.filters[f.filter].theirs : NULL);
}

/* The model gets the state that has been loaded, which has to be one that it can have. */
static void adopt(const uint8_t *image)
{
	uint32_t msrs[64];
	unsigned int count = vpmu_state_msrs(f.pmu, msrs, 64);

	for (unsigned int i = 0; i < count; i++) {
		uint64_t value = 0, kept = 0;

		hold(vpmu_host_rdmsr(f.pmu, msrs[i], &value) == VPMU_DONE &&
			     model_host_wrmsr(&f.model, msrs[i], value) == VPMU_DONE &&
			     model_rdmsr(&f.model, msrs[i], &kept) == VPMU_DONE && kept == value,
		     "%" PRIx32 "H is loaded as %" PRIx64 "H", msrs[i], value);
	}
	/* The image's flags. */
	f.pmi = image[16] & 1;
	model_set_svme(&f.model, image[16] & 2);
}

static void check_loaded(const uint8_t *image, size_t size, bool damaged)
{
	uint8_t *again = malloc(size);

	for (unsigned int i = 0; i < COUNTERS; i++)
		hold(!f.bound[i].is_bound, "counter %u is bound after a state is loaded", i);
	hold(again && vpmu_save(f.pmu, again, size) == VPMU_OK && !memcmp(again, image, size),
	     "what is loaded is saved as another image");
	free(again);
	if (damaged || f.drifts)
		adopt(image);
	read_all();
}

static bool damage(uint8_t *image, size_t size, unsigned int bytes)
{
	bool damaged = false;

	while (bytes-- > 0) {
		uint8_t change = take8(&f.in);

		image[take(&f.in, 2) % size] ^= change;
		damaged |= change;
	}
	return damaged;
}

/* Saved, perhaps damaged, and loaded into this PMU or another. */
static void save_and_load(void)
{
	uint8_t how = take8(&f.in);
	size_t size = vpmu_state_size(f.pmu);
	uint8_t *image = malloc(size);
	struct vpmu before;
	enum vpmu_error error;
	bool damaged;

	f.calls = 0;
	hold(image && vpmu_save(f.pmu, image, size) == VPMU_OK, "it cannot be saved");
	hold(f.calls <= VPMU_SLOTS, "saving: %u calls of the source", f.calls);
	damaged = damage(image, size, how & 3);
	if (!damaged && how & 0x80)
		use_another_pmu();
	before = *f.pmu;
	f.calls = 0;
	error = vpmu_load(f.pmu, image, size);
	hold(damaged || error == VPMU_OK, "what has been saved is refused");
	if (error == VPMU_OK)
		check_loaded(image, size, damaged);
	else
		hold(f.calls == 0 && !memcmp(&before, f.pmu, sizeof(before)),
		     "a state is refused, but something has changed");
	free(image);
}

/* A byte of the last ones is one of these. */
static void (*const more_steps[])(void) = {
	change_svme, read_shared_one, host_write_one, ask_again,
	set_filter,  set_filter,      no_filter,      save_and_load,
};

#define MORE_STEPS (sizeof(more_steps) / sizeof(more_steps[0]))

/* Most hosts service after each access. */
static void take_step(void)
{
	uint8_t what = take8(&f.in);

	if (what >= 12 * STEPS)
		more_steps[what % MORE_STEPS]();
	else
		steps[what % STEPS]();
	if (what / STEPS >= 3)
		service();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&f, 0, sizeof(f));
	f.in = (struct input){ data, size };
	/* Alone in its block: an access outside of it is seen. */
	f.pmu = malloc(sizeof(*f.pmu));
	if (!f.pmu)
		return 0;
	memset(f.pmu, 0xa5, sizeof(*f.pmu));
	init();
	while (f.in.left)
		take_step();
	read_all();
	service();
	read_all();
	vpmu_reset(f.pmu);
	check_nothing_bound();
	free(f.pmu);
	return 0;
}
