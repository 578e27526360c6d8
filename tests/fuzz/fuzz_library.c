/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes as a PMU, a source and what a guest and a host do with them; all of
 * vpmu.h. Registers are compared with the model of the manual (tests/model.c)
 * after each step, and what the library asks of its source with source.h.
 */
#include "../model.h"
#include "../registers.h"
#include "fuzz.h"
#include <string.h>

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

static struct fuzz {
	struct input in;
	struct vpmu *pmu;
	struct model model; /* its counters have all that has happened, told or not */
	struct bound bound[COUNTERS];
	uint8_t refused;    /* bit per class of events (event_class()) */
	bool eager;         /* alarms go off at once */
	bool drifts;        /* totals grow while they are read: values are not compared */
	uint8_t first;      /* where totals start */
	uint64_t looked;    /* hints that the library may not have followed yet */
	bool serving;       /* vpmu_service() runs */
	bool written;       /* a register has been: until the service the guest does not run */
	bool pmi;           /* an overflow that asks for a PMI has been told */
	unsigned int calls; /* of the source, in this step */
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

static uint64_t mask_of(unsigned int counter)
{
	const struct vpmu_config *config = &f.model.config;

	return (UINT64_C(1) << (counter < VPMU_FIXED ? config->general_width
						     : config->fixed_width)) -
	       1;
}

static uint64_t *value_of(unsigned int counter)
{
	return counter < VPMU_FIXED ? &f.model.pmc[counter] : &f.model.fixed[counter - VPMU_FIXED];
}

static bool interrupts(unsigned int counter)
{
	return counter < VPMU_FIXED ? test(f.model.evtsel[counter], 20)
				    : test(f.model.fixed_ctrl, 4 * (counter - VPMU_FIXED) + 3);
}

/* What the registers say that the counter counts: source.h's description of them. */
static struct vpmu_event event_of(unsigned int counter)
{
	static const enum vpmu_event_id fixed[] = { VPMU_EVENT_INSTRUCTIONS, VPMU_EVENT_CYCLES,
						    VPMU_EVENT_TSC_CYCLES,
						    VPMU_EVENT_TOPDOWN_SLOTS };
	uint64_t field = f.model.fixed_ctrl >> (4 * (counter % VPMU_FIXED));
	uint64_t evtsel = counter < VPMU_FIXED ? f.model.evtsel[counter] : 0;
	struct vpmu_event event = { .id = VPMU_EVENT_RAW };

	if (counter >= VPMU_FIXED)
		return (struct vpmu_event){ .id = fixed[counter - VPMU_FIXED],
					    .kernel = test(field, 0),
					    .user = test(field, 1),
					    .host_mode = true,
					    .guest_mode = true };
	event.select = evtsel & 0xff;
	event.umask = evtsel >> 8 & 0xff;
	event.cmask = evtsel >> 24 & 0xff;
	event.invert = event.cmask && test(evtsel, 23);
	event.edge = test(evtsel, 18);
	event.user = test(evtsel, 16);
	event.kernel = test(evtsel, 17);
	event.host_mode = event.guest_mode = true;
	for (unsigned int i = 0; i < MODEL_EVENTS; i++)
		if (model_events[i].select == event.select &&
		    model_events[i].umask == event.umask && model_events[i].architectural >= 0 &&
		    model_events[i].architectural < 8 &&
		    (model_events[i].architectural < VPMU_EVENT_TOPDOWN_SLOTS ||
		     f.model.config.version >= 5))
			event.id = (enum vpmu_event_id)model_events[i].architectural;
	return event;
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

static bool is_counted(const struct vpmu_event *event)
{
	return !test(f.refused, event_class(event)) &&
	       (event->id == VPMU_EVENT_RAW || test(f.model.config.events, event->id));
}

static bool is_enabled(unsigned int counter)
{
	const struct vpmu_event event = event_of(counter);

	if (test(f.model.status, 59) || !test(f.model.global_ctrl, counter))
		return false;
	if (counter < VPMU_FIXED && !test(f.model.evtsel[counter], 22))
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

/* The counter goes on by n, as the manual has it. */
static void count(unsigned int counter, uint64_t n)
{
	uint64_t *value = value_of(counter);

	if (n > mask_of(counter) - *value)
		f.model.status |= UINT64_C(1) << counter;
	*value = (*value + n) & mask_of(counter);
}

static void happen(unsigned int counter, uint64_t n)
{
	struct bound *b = &f.bound[counter];
	uint64_t before = b->total;

	if (!b->is_bound)
		return;
	grow(b, n);
	b->current &= f.written;
	if (b->counting)
		count(counter, b->total - before);
	if (f.eager)
		ring_if_reached(counter);
}

/* The guest or the host has set the counter, or it has overflowed at an emulated instruction. */
static void hold_value(unsigned int counter)
{
	f.bound[counter].value = *value_of(counter);
}

static bool counts_retired(unsigned int counter, bool kernel, bool branch)
{
	const struct bound *b = &f.bound[counter];
	const struct vpmu_event *event = &b->event;

	if (!b->counting || event->cmask || event->edge || event->invert ||
	    !(kernel ? event->kernel : event->user))
		return false;
	return event->id == VPMU_EVENT_INSTRUCTIONS || (branch && event->id == VPMU_EVENT_BRANCHES);
}

static void retire(bool kernel, bool branch)
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		struct bound *b = &f.bound[i];

		if (!counts_retired(i, kernel, branch))
			continue;
		count(i, 1);
		if (b->value == mask_of(i) && interrupts(i))
			f.pmi = true;
		b->value = (b->value + 1) & mask_of(i);
	}
	f.calls = 0;
	vpmu_retired(f.pmu,
		     (kernel ? VPMU_RETIRED_KERNEL : 0u) | (branch ? VPMU_RETIRED_BRANCH : 0u));
	hold(f.calls == 0, "an emulated instruction asks the source");
}

/* --- the guest's accesses -------------------------------------------------------- */

/* All of the PMU's registers and their neighbours, then those that matter most once more. */
static const struct {
	uint32_t first, count;
} registers[] = { { 0x0c0, 10 }, { 0x185, 10 }, { 0x308, 6 },         { 0x38c, 8 },
		  { 0x4c0, 10 }, { 0x1d9, 1 },  { 0x345, 1 },         { FIXED_CTR_CTRL, 1 },
		  { 0x186, 8 },  { 0x0c1, 8 },  { GLOBAL_STATUS, 1 }, { GLOBAL_CTRL, 1 },
		  { 0x390, 1 },  { 0x391, 1 },  { 0x309, 4 } };

#define DISTINCT_RANGES 7
#define REGISTER_RANGES (sizeof(registers) / sizeof(registers[0]))

static enum vpmu_answer off_answer(uint32_t msr)
{
	bool pmu = msr - 0xc1 < 8 || msr - 0x186 < 8 || msr - 0x309 < 4 || msr - 0x38d < 6 ||
		   msr - 0x4c1 < 8 || msr == 0x345;

	return pmu ? VPMU_FAULT : msr == MISC_ENABLE ? VPMU_DONE : VPMU_NOT_MINE;
}

static enum vpmu_answer expected_read(uint32_t msr, uint64_t *value)
{
	return f.model.config.version ? model_rdmsr(&f.model, msr, value) : off_answer(msr);
}

/* Bits that cannot be told if totals move while they are read. */
static uint64_t vague_bits(uint32_t msr)
{
	bool counter = msr - 0xc1 < 8 || msr - 0x4c1 < 8 || msr - 0x309 < 4;

	if (!f.drifts)
		return 0;
	if (counter)
		return UINT64_MAX;
	return msr == GLOBAL_STATUS ? ~(CTR_FRZ | LBR_FRZ) : 0;
}

static void read_register(uint32_t msr)
{
	uint64_t got = 0, expected = 0;
	enum vpmu_answer answer;

	f.calls = 0;
	answer = vpmu_rdmsr(f.pmu, msr, &got);
	hold(answer == expected_read(msr, &expected), "RDMSR %" PRIx32 "H: answer %d", msr, answer);
	hold(((got ^ expected) & ~vague_bits(msr)) == 0,
	     "RDMSR %" PRIx32 "H: %" PRIx64 "H, not %" PRIx64 "H", msr, got, expected);
	hold(f.calls <= (msr == GLOBAL_STATUS ? VPMU_MAX_GENERAL + VPMU_MAX_FIXED : 1),
	     "RDMSR %" PRIx32 "H: %u calls of the source", msr, f.calls);
}

static void read_all(void)
{
	for (unsigned int i = 0; i < DISTINCT_RANGES; i++)
		for (uint32_t n = 0; n < registers[i].count; n++)
			read_register(registers[i].first + n);
}

static void note_written(uint32_t msr)
{
	if (msr - 0xc1 < 8)
		hold_value(msr - 0xc1);
	if (msr - 0x4c1 < 8)
		hold_value(msr - 0x4c1);
	if (msr - 0x309 < 4)
		hold_value(msr - 0x309 + VPMU_FIXED);
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

static void write_register(uint32_t msr, uint64_t value)
{
	enum vpmu_answer answer, expected = off_answer(msr);
	uint64_t before = interrupting();

	f.calls = 0;
	answer = vpmu_wrmsr(f.pmu, msr, value);
	if (f.model.config.version)
		expected = model_wrmsr(&f.model, msr, value);
	hold(answer == expected, "WRMSR %" PRIx32 "H, %" PRIx64 "H: answer %d", msr, value, answer);
	hold(f.calls <= VPMU_MAX_GENERAL + VPMU_MAX_FIXED,
	     "WRMSR %" PRIx32 "H: %u calls of the source", msr, f.calls);
	f.written = true;
	if (answer == VPMU_DONE)
		note_written(msr);
	check_told(before ^ interrupting());
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
	return registers[which % 16].first + which / 16 % registers[which % 16].count;
}

/* An event select: one of the model's events and all the bits that the byte has. */
static uint64_t take_evtsel(void)
{
	uint8_t bits = take8(&f.in);
	const struct model_event *event = &model_events[take8(&f.in) % MODEL_EVENTS];
	uint64_t value = event->select | (uint64_t)event->umask << 8;

	value |= (uint64_t)(1 + bits % 3) << 16;        /* user, kernel */
	value |= (uint64_t)(bits >> 2 & 1) << 20;       /* INT */
	value |= (uint64_t) !(bits >> 3 & 1) << 22;     /* enabled */
	value |= (uint64_t)(bits >> 4 & 1) << 18;       /* edge */
	return value | (uint64_t)(bits >> 5 & 7) << 23; /* invert, counter mask */
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
	case 3: /* all counters */
		return ((UINT64_C(1) << f.model.config.general) - 1) |
		       ((UINT64_C(1) << f.model.config.fixed) - 1) << VPMU_FIXED;
	case 4:
		return take(&f.in, 2) & 0xbbbb;
	case 5:
		return UINT64_C(1) << take8(&f.in) % 64;
	default: /* what it is, but for a bit */
		expected_read(msr, &now);
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
		counts = is_enabled(i) && is_counted(&event);
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
	bool pmi;

	f.looked = 0;
	f.calls = 0;
	for (unsigned int i = 0; i < COUNTERS; i++)
		f.bound[i].asked = !f.bound[i].counting || !test(hinted, i);
	f.serving = true;
	pmi = vpmu_service(f.pmu);
	f.serving = f.written = false;
	for (unsigned int i = 0; i < COUNTERS; i++)
		hold(!f.bound[i].counting || f.bound[i].asked, "a hint at counter %u is lost", i);
	hold(f.calls <= CALLS_PER_COUNTER * counters(), "service: %u calls of the source", f.calls);
	hold(f.drifts || pmi == f.pmi, pmi ? "a PMI without an overflow" : "a PMI is missing");
	f.pmi = false;
	if (pmi)
		model_pmi(&f.model);
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

static void ask_cpuid(void)
{
	const struct vpmu_config *config = &f.model.config;
	uint32_t leaf = take8(&f.in), subleaf = take8(&f.in);
	uint32_t regs[4], before[4];

	if (leaf & 0x80)
		leaf = (leaf & 0x7f) | 0x80000000; /* those of the second range, too */
	for (unsigned int i = 0; i < 4; i++)
		regs[i] = before[i] = (uint32_t)take(&f.in, 4);
	vpmu_cpuid(f.pmu, leaf, subleaf, regs);
	if (leaf == 0xa) {
		hold((regs[0] & 0xff) == config->version &&
			     (regs[0] >> 8 & 0xff) == config->general,
		     "CPUID 0AH: EAX %" PRIx32 "H", regs[0]);
		hold((regs[3] & 0x1f) == config->fixed, "CPUID 0AH: EDX %" PRIx32 "H", regs[3]);
		hold((regs[1] & config->events) == 0, "CPUID 0AH: EBX %" PRIx32 "H", regs[1]);
	} else if (leaf == 1) {
		hold(regs[0] == before[0] && regs[1] == before[1], "CPUID 01H: EAX or EBX changes");
		hold((regs[2] >> 15 & 1) == (config->version != 0), "CPUID 01H: PDCM");
	} else if (!is_pmu_leaf(leaf)) {
		hold(!memcmp(regs, before, sizeof(regs)), "CPUID %" PRIx32 "H changes", leaf);
	}
}

static void ask_misc_enable(void)
{
	uint64_t value = take(&f.in, 8), bits = 1u << 7 | 1u << 11 | 1u << 12;
	uint64_t expected = (value & ~bits) | 1u << 11 | 1u << 12;

	expected |= f.model.config.version ? 1u << 7 : 0;
	hold(vpmu_rdmsr(f.pmu, MISC_ENABLE, &value) == VPMU_DONE && value == expected,
	     "MISC_ENABLE is %" PRIx64 "H, not %" PRIx64 "H", value, expected);
}

static uint32_t all_events(unsigned int version)
{
	return version >= 5 ? 0x1ff : version >= 2 ? 0x17f : 0x7f;
}

static bool is_valid(const struct vpmu_config *config)
{
	/* Instructions, cycles, TSC cycles, topdown slots: in the fixed counters' order. */
	static const uint32_t needed[] = { 0x0, 0x2, 0x3, 0x103, 0x183 };
	unsigned int most = config->version == 5 ? 4 : config->version == 1 ? 0 : 3;

	if (config->version == 0)
		return true;
	return config->version <= 5 && config->general >= 1 && config->general <= 8 &&
	       config->fixed <= most && config->general_width >= 32 &&
	       config->general_width <= 48 &&
	       (!config->fixed || (config->fixed_width >= 32 && config->fixed_width <= 48)) &&
	       (config->events & ~all_events(config->version)) == 0 &&
	       (config->events & needed[config->fixed]) == needed[config->fixed];
}

static struct vpmu_config take_config(void)
{
	uint8_t how = take8(&f.in);
	struct vpmu_config config = vpmu_config_intel(how % 7, (uint32_t)take(&f.in, 1) * 3);

	if (how < 128)
		return vpmu_config_intel(2 + how % 4, all_events(2 + how % 4));
	hold(is_valid(&config) || how % 7 == 6, "vpmu_config_intel(%u)", how % 7);
	if (how & 0x40) {
		config.general = take8(&f.in) % 10;
		config.general_width = (uint8_t)(31 + take8(&f.in) % 19);
		config.fixed = take8(&f.in) % 6;
		config.fixed_width = (uint8_t)(31 + take8(&f.in) % 19);
		config.full_width_writes = take8(&f.in) & 1;
		config.events = (uint32_t)take(&f.in, 2);
	}
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
	error = vpmu_init(f.pmu, &config, ops, &f);
	hold((error == VPMU_OK) == valid, "init: error %d", error);
	hold(vpmu_error_text(VPMU_INTEL, (enum vpmu_error)(how % 9))[0], "error %d has no text",
	     how % 9);
	memset(&f.model, 0, sizeof(f.model));
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
static void sample(void)
{
	uint8_t period = take8(&f.in);
	uint64_t evtsel = take_evtsel() | 1u << 22;
	uint64_t fixed = (evtsel >> 20 & 1) ? 0xbbbb : 0x3333; /* with PMI, without */
	uint64_t all = ((UINT64_C(1) << f.model.config.general) - 1) |
		       ((UINT64_C(1) << f.model.config.fixed) - 1) << VPMU_FIXED;

	for (uint32_t i = 0; i < f.model.config.general; i++) {
		write_register(PERFEVTSEL0 + i, evtsel);
		write_register(PMC0 + i, UINT64_MAX - period);
	}
	for (uint32_t i = 0; i < f.model.config.fixed; i++)
		write_register(FIXED_CTR0 + i, mask_of(VPMU_FIXED + i) - period);
	write_register(FIXED_CTR_CTRL, fixed & ((UINT64_C(1) << 4 * f.model.config.fixed) - 1));
	write_register(STATUS_RESET, all | (f.model.config.version >= 4 ? CTR_FRZ | LBR_FRZ : 0));
	write_register(GLOBAL_CTRL, all);
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
		retire(how & 1, how & 2);
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

/* Most hosts service after each access. */
static void take_step(void)
{
	uint8_t what = take8(&f.in);

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
