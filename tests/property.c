/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random guests of each vendor and version against the model of the manuals: every
 * access, every PMI and every value must agree, however early, late or often the source's
 * alarms come, whatever it knows of its totals, and with instructions that the host
 * emulates in between; also if the PMU is saved and loaded into another one, with another
 * source, between any two calls.
 * VPMU_SEED and VPMU_STEPS (for each test) in the environment choose others.
 */
#include "machine.h"
#include "model.h"
#include "random.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <vpmu/filter.h>
#include <vpmu/msr.h>
#include <vpmu/state.h>

#include <cmocka.h>

#define STEPS_PER_MACHINE 1000
#define DEFAULT_STEPS     60000

/* When the source's alarms go off. */
enum alarms {
	EAGER, /* at once */
	LAZY,  /* some time */
};

#define MOST_ENTRIES 8

/* The same filter for the library and for the model. */
struct filter {
	uint64_t entries[MOST_ENTRIES];
	struct vpmu_filter theirs;
	struct model_filter model;
};

struct experiment {
	struct machine machines[2];
	struct machine *m; /* the one that runs */
	struct model model;
	struct filter filters[2];
	unsigned int filter; /* the one that was set last */
	enum alarms alarms;
	bool moves; /* from machine to machine */
	struct random random;
	uint64_t step;
	uint64_t overflows, pmis, emulated, moved;
	/* Counters that count an emulated instruction of a kind, as of the last service. */
	uint64_t retired[VPMU_RETIRED_KINDS];
};

static uint64_t seed, steps;

static uint64_t bits(struct experiment *x)
{
	return random_bits(&x->random);
}

/* 0 to n - 1 */
static unsigned int below(struct experiment *x, unsigned int n)
{
	return random_below(&x->random, n);
}

/* With a probability of 1/n. */
static bool chance(struct experiment *x, unsigned int n)
{
	return one_in(&x->random, n);
}

static bool is_amd(const struct experiment *x)
{
	return x->model.config.vendor == VPMU_AMD;
}

/* The library and the model do not agree: the test ends. */
static void __attribute__((format(printf, 2, 3)))
differ(const struct experiment *x, const char *format, ...)
{
	char text[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fail_msg("step %" PRIu64 ": %s", x->step, text);
}

/* What general counters select the event by; -1: by nothing. */
static int encoding_of(const struct model_event *event, bool amd)
{
	return amd ? event->amd : event->intel;
}

static bool is_same(const struct model_event *row, const struct vpmu_event *event, bool amd)
{
	if (event->id != VPMU_EVENT_RAW)
		return (int)event->id == row->id;
	return row->id < 0 && encoding_of(row, amd) == (event->select << 8 | event->umask) &&
	       row->extra == event->extra;
}

/* What the tests' source can count: model_events, one at a time. */
static int event_of(const struct vpmu_event *event, bool amd)
{
	if (event->cmask || event->edge)
		return -1;
	for (int i = 0; i < MODEL_EVENTS; i++)
		if (is_same(&model_events[i], event, amd))
			return i;
	return -1;
}

static bool intel_refuses(const struct vpmu_event *event)
{
	return event_of(event, false) < 0;
}

static bool amd_refuses(const struct vpmu_event *event)
{
	return event_of(event, true) < 0;
}

static struct vpmu_config random_intel(struct random *random, unsigned int version)
{
	/* Instructions, cycles, TSC cycles, topdown slots: in the fixed counters' order. */
	static const uint32_t needed[] = { 0x0, 0x2, 0x3, 0x103, 0x183 };
	struct vpmu_config config = vpmu_config_intel(version, 0);

	config.general = (uint8_t)(1 + random_below(random, 8));
	config.general_width = (uint8_t)(32 + random_below(random, 17));
	config.fixed = version == 1 ? 0 : (uint8_t)random_below(random, version >= 5 ? 5 : 4);
	config.fixed_width = (uint8_t)(32 + random_below(random, 17));
	config.full_width_writes = !one_in(random, 4);
	config.events = (uint32_t)random_bits(random) & all_events(version);
	config.events |= needed[config.fixed];
	config.event_registers = random_below(random, VPMU_EVENT_REGISTERS + 1u);
	return config;
}

static struct vpmu_config random_amd(struct random *random, struct vpmu_config config)
{
	if (config.version == 2)
		config.general = (uint8_t)(1 + random_below(random, 6));
	config.events = (uint32_t)random_bits(random) & AMD_EVENTS;
	config.nested = one_in(random, 2);
	return config;
}

static struct vpmu_config random_config(struct random *random, enum kind kind)
{
	struct vpmu_config config = usual_config(kind);

	if (config.vendor == VPMU_AMD)
		config = random_amd(random, config);
	else
		config = random_intel(random, config.version);
	config.debug_bits = one_in(random, 4) ? 0x4007 : DEBUG_BITS;
	return config;
}

/* What the manual says of emulated instructions from now on. */
static void note_retired(struct experiment *x)
{
	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++)
		x->retired[kind] = model_retired(&x->model, kind);
}

/* Totals may start anywhere, and are elsewhere than in the other machine. */
static void start_one(struct experiment *x, struct machine *m)
{
	start_with(m, &x->model.config, chance(x, 2) ? &source_ops : &knowing_source_ops);
	m->source.refuses = is_amd(x) ? amd_refuses : intel_refuses;
	for (unsigned int i = 0; i < COUNTERS; i++)
		m->source.totals[i] += bits(x) >> (16 + below(x, 48));
}

static void start_experiment(struct experiment *x, enum kind kind)
{
	x->model.config = random_config(&x->random, kind);
	model_reset(&x->model);
	for (unsigned int i = 0; i < 2; i++)
		start_one(x, &x->machines[i]);
	x->m = &x->machines[0];
	x->model.filter = NULL;
	note_retired(x);
}

#define MOST_IMAGE 4096

static void save(struct experiment *x, struct machine *m, uint8_t image[MOST_IMAGE], size_t size)
{
	if (vpmu_state_size(&m->pmu) != size)
		differ(x, "an image of %zu bytes, not %zu", vpmu_state_size(&m->pmu), size);
	if (vpmu_save(&m->pmu, image, size) != VPMU_OK)
		differ(x, "it cannot be saved");
}

/*
 * The other machine, whatever it did when it was last left, has the state from now on, and
 * knows it as the first did. Until the next service nothing counts.
 */
static void move(struct experiment *x)
{
	struct machine *other = &x->machines[x->m == &x->machines[0]];
	uint8_t image[MOST_IMAGE], again[MOST_IMAGE];
	size_t size = vpmu_state_size(&x->m->pmu);

	assert_true(size <= MOST_IMAGE);
	save(x, x->m, image, size);
	if (vpmu_load(&other->pmu, image, size) != VPMU_OK)
		differ(x, "it cannot be loaded");
	save(x, other, again, size);
	if (memcmp(image, again, size) != 0)
		differ(x, "what is loaded is saved as another image");
	memset(x->retired, 0, sizeof(x->retired));
	x->m = other;
	x->moved++;
}

static void maybe_move(struct experiment *x)
{
	if (x->moves && !chance(x, 4))
		move(x);
}

struct msr_range {
	uint32_t first, count;
};

/* The PMU's registers and their neighbours. What makes counters count comes more often. */
static const struct msr_range intel_msrs[] = {
	{ 0x0c0, 10 }, { 0x185, 10 }, { 0x308, 6 },  { 0x38c, 8 }, { 0x38d, 3 },
	{ 0x38f, 1 },  { 0x38f, 2 },  { 0x4c0, 10 }, { 0x1d9, 1 }, { 0x345, 1 },
	{ 0x1a6, 2 },  { 0x3f6, 2 },  { 0x1a0, 1 },
};
static const struct msr_range amd_msrs[] = {
	{ 0xc0010200, 12 }, { 0xc0010200, 12 }, { 0xc0010200, 12 }, { 0xc00101ff, 14 },
	{ 0xc000ffff, 10 }, { 0xc000ffff, 10 }, { 0xc0000301, 1 },  { 0xc00002ff, 6 },
	{ 0xc0000302, 1 },  { 0x1d9, 1 },
};

#define RANGES(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t random_msr(struct experiment *x)
{
	const struct msr_range *ranges = is_amd(x) ? amd_msrs : intel_msrs;
	unsigned int count = is_amd(x) ? RANGES(amd_msrs) : RANGES(intel_msrs);
	unsigned int i = below(x, count);

	if (chance(x, 100))
		return (uint32_t)bits(x);
	return ranges[i].first + below(x, ranges[i].count);
}

/* An event select of an encoding. */
static uint64_t select_of(unsigned int encoding)
{
	return (encoding & 0xff) << 8 | (encoding >> 8 & 0xff) |
	       (uint64_t)(encoding >> 16 & 0xf) << 32;
}

/* One that some counter of the vendor's may count. */
static int random_event(struct experiment *x)
{
	int i;

	do
		i = (int)below(x, MODEL_EVENTS);
	while (encoding_of(&model_events[i], is_amd(x)) < 0 &&
	       (is_amd(x) || model_events[i].fixed < 0));
	return i;
}

static uint64_t random_evtsel(struct experiment *x)
{
	int encoding = encoding_of(&model_events[random_event(x)], is_amd(x));
	uint64_t value = encoding < 0 ? 0 : select_of((unsigned int)encoding);

	value |= (uint64_t)(1 + below(x, 3)) << 16;
	value |= chance(x, 2) ? EVTSEL_INT : 0;
	value |= chance(x, 8) ? 0 : 1u << 22;
	value |= chance(x, 8) ? 1u << 19 : 0;
	value |= chance(x, 8) ? 1u << 23 : 0;
	value |= chance(x, 16) ? 1u << 18 : 0;
	value |= chance(x, 16) ? 1u << 24 : 0;
	if (is_amd(x) && chance(x, 3))
		value |= (uint64_t)below(x, 4) << 40;
	return value;
}

/* All counters on, or some of them. */
static uint64_t random_counters(struct experiment *x)
{
	const struct vpmu_config *config = &x->model.config;
	uint64_t all = model_ones(config->general) | model_ones(config->fixed) << 32;

	return chance(x, 2) ? all : all & bits(x);
}

static uint64_t random_frozen(struct experiment *x)
{
	return model_freezes_by_status(&x->model) ? bits(x) & (LBR_FRZ | CTR_FRZ) : 0;
}

static bool is_event_select(const struct experiment *x, uint32_t msr)
{
	if (!is_amd(x))
		return msr >= PERFEVTSEL0 && msr < PERFEVTSEL0 + 8;
	return (msr >= K7_EVNTSEL0 && msr < K7_EVNTSEL0 + 4) ||
	       (msr >= PERF_CTL0 && msr < PERF_CTL0 + 12 && msr % 2 == 0);
}

/* A value as a sane guest would write it; counters are close to overflow. */
static uint64_t sane_value(struct experiment *x, uint32_t msr)
{
	unsigned int width = msr >= FIXED_CTR0 && msr < FIXED_CTR0 + 4
				     ? x->model.config.fixed_width
				     : x->model.config.general_width;

	if (is_event_select(x, msr))
		return random_evtsel(x);
	switch (msr) {
	case GLOBAL_CTRL:
	case AMD_GLOBAL_CTL:
		return random_counters(x);
	case FIXED_CTR_CTRL:
		return bits(x) & model_ones(4u * x->model.config.fixed) & 0xbbbb;
	case STATUS_RESET:
	case STATUS_SET:
	case AMD_GLOBAL_STATUS_CLR:
	case AMD_GLOBAL_STATUS_SET:
		return random_counters(x) | random_frozen(x);
	case DEBUGCTL:
		return bits(x) & 0x1803;
	case OFFCORE_RSP0:
	case OFFCORE_RSP1:
	case PEBS_LD_LAT:
	case PEBS_FRONTEND:
		return 0x10 * below(x, 3);
	default:
		return model_ones(width) - below(x, 20);
	}
}

static uint64_t random_value(struct experiment *x, uint32_t msr)
{
	uint64_t now = 0;

	switch (below(x, 16)) {
	case 0:
		return 0;
	case 1:
		return ~UINT64_C(0);
	case 2:
		return bits(x);
	case 3:
		return UINT64_C(1) << below(x, 64);
	case 4:
		model_rdmsr(&x->model, msr, &now);
		return now ^ UINT64_C(1) << below(x, 64);
	case 5:
		model_rdmsr(&x->model, msr, &now);
		return now;
	default:
		return sane_value(x, msr);
	}
}

static void compare_read(struct experiment *x, uint32_t msr)
{
	uint64_t hosts = chance(x, 2) ? bits(x) : 0;
	uint64_t got = hosts, expected = hosts;
	enum vpmu_answer answer = vpmu_rdmsr(&x->m->pmu, msr, &got);

	if (answer != model_rdmsr(&x->model, msr, &expected))
		differ(x, "RDMSR %" PRIx32 "H: answer %d", msr, answer);
	if (got != expected)
		differ(x, "RDMSR %" PRIx32 "H: %" PRIx64 "H, not %" PRIx64 "H", msr, got, expected);
}

static void compare_all(struct experiment *x)
{
	const struct msr_range *ranges = is_amd(x) ? amd_msrs : intel_msrs;
	unsigned int count = is_amd(x) ? RANGES(amd_msrs) : RANGES(intel_msrs);

	for (unsigned int i = 0; i < count; i++)
		for (uint32_t n = 0; n < ranges[i].count; n++)
			compare_read(x, ranges[i].first + n);
	if (vpmu_status(&x->m->pmu) != x->model.status)
		differ(x, "status %" PRIx64 "H, not %" PRIx64 "H", vpmu_status(&x->m->pmu),
		       x->model.status);
}

static void compare_write(struct experiment *x, uint32_t msr, uint64_t value)
{
	enum vpmu_answer answer = vpmu_wrmsr(&x->m->pmu, msr, value);

	if (answer != model_wrmsr(&x->model, msr, value))
		differ(x, "WRMSR %" PRIx32 "H, %" PRIx64 "H: answer %d", msr, value, answer);
}

static void write_at_random(struct experiment *x)
{
	uint32_t msr = random_msr(x);

	compare_write(x, msr, random_value(x, msr));
}

/* What a driver does to sample: without it, chance rarely has a counter overflow. */
static void start_sampling_intel(struct experiment *x)
{
	for (unsigned int i = 0; i < 8; i++) {
		compare_write(x, PERFEVTSEL0 + i, random_evtsel(x));
		compare_write(x, PMC0 + i, sane_value(x, PMC0));
	}
	for (unsigned int i = 0; i < 4; i++)
		compare_write(x, FIXED_CTR0 + i, sane_value(x, FIXED_CTR0));
	compare_write(x, FIXED_CTR_CTRL, sane_value(x, FIXED_CTR_CTRL));
	compare_write(x, STATUS_RESET,
		      random_counters(x) |
			      (model_freezes_by_status(&x->model) ? CTR_FRZ | LBR_FRZ : 0));
	compare_write(x, GLOBAL_CTRL, random_counters(x));
}

static void start_sampling_amd(struct experiment *x)
{
	for (unsigned int i = 0; i < 6; i++) {
		compare_write(x, PERF_CTL0 + 2 * i, random_evtsel(x));
		compare_write(x, PERF_CTR0 + 2 * i, sane_value(x, PERF_CTR0));
		if (i >= 4)
			continue;
		compare_write(x, K7_EVNTSEL0 + i, random_evtsel(x));
		compare_write(x, K7_PERFCTR0 + i, sane_value(x, K7_PERFCTR0));
	}
	compare_write(x, AMD_GLOBAL_STATUS_CLR, ~UINT64_C(0));
	compare_write(x, AMD_GLOBAL_CTL, random_counters(x));
}

static void start_sampling(struct experiment *x)
{
	if (is_amd(x))
		start_sampling_amd(x);
	else
		start_sampling_intel(x);
}

static void change_svme(struct experiment *x)
{
	bool svme = !chance(x, 4);

	vpmu_set_svme(&x->m->pmu, svme);
	model_set_svme(&x->model, svme);
}

/* The host sets a register, as when it restores what it has saved. */
static void compare_host_write(struct experiment *x)
{
	uint32_t msr = random_msr(x);
	uint64_t value = random_value(x, msr);
	enum vpmu_answer answer = vpmu_host_wrmsr(&x->m->pmu, msr, value);

	if (answer != model_host_wrmsr(&x->model, msr, value))
		differ(x, "host's WRMSR %" PRIx32 "H, %" PRIx64 "H: answer %d", msr, value, answer);
}

static void compare_rdpmc(struct experiment *x)
{
	uint32_t ecx = (chance(x, 2) ? 0x40000000 : 0) + below(x, 9);
	uint64_t got = 0, expected = 0;
	enum vpmu_answer answer;

	if (chance(x, 32))
		ecx = (uint32_t)bits(x);
	answer = vpmu_rdpmc(&x->m->pmu, ecx, true, &got);
	if (answer != model_rdpmc(&x->model, ecx, &expected) || got != expected)
		differ(x, "RDPMC %" PRIx32 "H: answer %d, %" PRIx64 "H, not %" PRIx64 "H", ecx,
		       answer, got, expected);
}

static const struct vpmu_counter *counter_at(const struct experiment *x, unsigned int i)
{
	return i < VPMU_FIXED ? &x->m->pmu.general[i] : &x->m->pmu.fixed[i - VPMU_FIXED];
}

/* What is left of a counter to its overflow, as the library has it stored. */
static uint64_t stored_left(const struct experiment *x, unsigned int i)
{
	const struct vpmu_config *config = &x->model.config;
	unsigned int width = i < VPMU_FIXED ? config->general_width : config->fixed_width;

	return (UINT64_C(1) << width) - counter_at(x, i)->value;
}

static bool samples(const struct experiment *x, unsigned int i)
{
	return (x->m->pmu.counting >> i & 1) && model_interrupts(&x->model, i);
}

static bool is_hinted(const struct experiment *x, unsigned int i)
{
	return x->m->pmu.look >> i & 1;
}

/* Has this counter overflowed into a PMI without the library having seen it? */
static bool is_unseen(const struct experiment *x, unsigned int i)
{
	return samples(x, i) &&
	       x->m->source.totals[i] - counter_at(x, i)->since >= stored_left(x, i);
}

/* Is there a PMI that the next service cannot but hand out? */
static bool owes_pmi(const struct experiment *x)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		if (is_hinted(x, i) && is_unseen(x, i))
			return true;
	return x->m->pmu.pmi;
}

/* Is there one whose alarm emulated instructions have made late? */
static bool is_late(const struct experiment *x)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		if (is_unseen(x, i) && x->m->source.alarms[i] > x->m->source.totals[i])
			return true;
	return false;
}

/* Nothing can be missed: what is to overflow into a PMI has a hint or an alarm in time. */
static void check_alarms(const struct experiment *x)
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		uint64_t left, overflow;

		if (!samples(x, i) || is_hinted(x, i))
			continue;
		left = stored_left(x, i);
		overflow = counter_at(x, i)->since + left;
		if (x->m->source.alarms[i] > overflow + left / 1024)
			differ(x, "counter %u overflows at %" PRIu64 ", its alarm is at %" PRIu64,
			       i, overflow, x->m->source.alarms[i]);
	}
}

static void check_retired(const struct experiment *x)
{
	uint64_t any = 0, every = ~UINT64_C(0);

	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++) {
		any |= x->m->pmu.retired[kind];
		every &= x->m->pmu.retired[kind];
	}
	if (vpmu_counts_retired(&x->m->pmu) != (any != 0))
		differ(x, "%" PRIx64 "H count some kind, and that is not said", any);
	if (vpmu_counts_every_kind(&x->m->pmu) != (any == every))
		differ(x, "%" PRIx64 "H count some kind, %" PRIx64 "H every; that is not said", any,
		       every);
	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++)
		if (x->m->pmu.retired[kind] != x->retired[kind])
			differ(x, "%" PRIx64 "H count kind %u, not %" PRIx64 "H",
			       x->m->pmu.retired[kind], kind, x->retired[kind]);
}

/*
 * Eager alarms: a PMI exactly when the model wants one. Lazy ones: no more of
 * them than overflows, and one at the latest when an alarm has been told of.
 */
/* Bindings that have been asked for, whatever the answer, and ended. */
static unsigned int bindings(const struct experiment *x)
{
	return x->m->source.binds + x->m->source.refusals + x->m->source.unbinds;
}

static void compare_service(struct experiment *x)
{
	bool owed = owes_pmi(x);
	bool binds_nothing = vpmu_service_binds_nothing(&x->m->pmu);
	unsigned int before = bindings(x);
	unsigned int asked = vpmu_service(&x->m->pmu);
	bool pmi = asked & VPMU_PMI;
	bool wanted = x->model.pmis_wanted > 0;

	if (pmi && !wanted)
		differ(x, "a PMI without an overflow");
	if (!pmi && (owed || (x->alarms == EAGER && wanted && !is_late(x))))
		differ(x, "a PMI is missing");
	if (pmi) {
		x->pmis++;
		x->model.pmis_wanted -= x->alarms == EAGER ? x->model.pmis_wanted : 1;
	}
	if (asked != (pmi ? model_pmi(&x->model) : 0))
		differ(x, "the service asks for %x", asked);
	if (binds_nothing && bindings(x) != before)
		differ(x, "the service has bound what it was not to bind");
	check_alarms(x);
	note_retired(x);
	check_retired(x);
}

static void happen_once(struct experiment *x)
{
	int event = random_event(x);
	struct model_place place = { .user = chance(x, 2), .guest_mode = chance(x, 2) };
	uint64_t counters = model_counting(&x->model, &model_events[event], place);

	x->overflows += model_count(&x->model, counters);
	for (unsigned int i = 0; i < COUNTERS; i++) {
		const struct vpmu_event *bound = &x->m->source.events[i];

		if (x->m->source.bound[i] && event_of(bound, is_amd(x)) == event &&
		    (place.user ? bound->user : bound->kernel) &&
		    (place.guest_mode ? bound->guest_mode : bound->host_mode))
			happen(x->m, i, 1);
	}
}

/* The host emulates an instruction; a control register that has just changed is not heeded. */
static void emulate_once(struct experiment *x)
{
	unsigned int kind = below(x, VPMU_RETIRED_KINDS);
	bool due, told;

	x->emulated += x->retired[kind] != 0;
	x->overflows += model_count(&x->model, x->retired[kind]);
	due = vpmu_service_is_due(&x->m->pmu);
	told = vpmu_retired(&x->m->pmu, kind);
	if (!due && told != vpmu_service_is_due(&x->m->pmu))
		differ(x, "kind %u: whether there is a service to do is not what is told", kind);
}

/* Entries that select what the guest may want to count, with another unit mask at times. */
static uint64_t random_entry(struct experiment *x, bool masked)
{
	int encoding = encoding_of(&model_events[random_event(x)], is_amd(x));
	uint64_t entry = encoding < 0 ? 0 : select_of((unsigned int)encoding);

	if (chance(x, 8))
		entry ^= 0x100u << below(x, 8);
	if (masked)
		entry |= bits(x) & (UINT64_C(1) << 55 | UINT64_C(0xff) << 56);
	return entry;
}

static void make_filter(struct experiment *x, struct filter *filter)
{
	uint32_t count = below(x, MOST_ENTRIES + 1);
	bool masked = chance(x, 2), allow = chance(x, 2);

	for (uint32_t i = 0; i < count; i++)
		filter->entries[i] = random_entry(x, masked);
	filter->theirs = (struct vpmu_filter){ .masked = masked,
					       .fixed = (uint32_t)bits(x),
					       .count = count,
					       .entries = filter->entries };
	filter->theirs.action = allow ? VPMU_FILTER_ALLOW : VPMU_FILTER_DENY;
	filter->model = (struct model_filter){ .action = allow ? 0 : 1,
					       .flags = masked,
					       .fixed_bitmap = filter->theirs.fixed,
					       .count = count,
					       .entries = filter->entries };
}

static void set_filter(struct experiment *x, const struct filter *filter)
{
	for (unsigned int i = 0; i < 2; i++)
		if (vpmu_set_filter(&x->machines[i].pmu, filter ? &filter->theirs : NULL) !=
		    VPMU_OK)
			differ(x, "a filter is refused");
	x->model.filter = filter ? &filter->model : NULL;
}

/* Mostly there is none. The filter in force is used until the service that heeds the new one. */
static void change_filter(struct experiment *x)
{
	compare_service(x);
	x->filter = !x->filter;
	make_filter(x, &x->filters[x->filter]);
	set_filter(x, chance(x, 2) ? &x->filters[x->filter] : NULL);
}

static void run_guest(struct experiment *x)
{
	unsigned int n = below(x, 300);

	compare_service(x);
	while (n-- > 0) {
		if (!chance(x, 30)) {
			happen_once(x);
			continue;
		}
		/* An exit. */
		maybe_move(x);
		if (x->alarms == EAGER)
			ring(x->m);
		emulate_once(x);
		compare_service(x);
	}
	if (x->alarms == EAGER || chance(x, 4))
		ring(x->m);
}

/* An alarm that goes off early, a hint without one, and news of a total that are old. */
static void disturb(struct experiment *x)
{
	unsigned int i = below(x, COUNTERS);

	if (chance(x, 2))
		go_off(x->m, i);
	if (chance(x, 2))
		x->m->source.known[i] -= below(x, 50) % (x->m->source.known[i] + 1);
	vpmu_look(&x->m->pmu, below(x, 70));
}

static void take_step(struct experiment *x)
{
	unsigned int what = below(x, 1000);

	x->step++;
	maybe_move(x);
	if (what < 480)
		write_at_random(x);
	else if (what < 495)
		start_sampling(x);
	else if (what < 500)
		change_svme(x);
	else if (what < 503)
		change_filter(x);
	else if (what < 510)
		compare_host_write(x);
	else if (what < 600)
		compare_read(x, random_msr(x));
	else if (what < 650)
		compare_rdpmc(x);
	else if (what < 900)
		run_guest(x);
	else if (what < 920)
		emulate_once(x);
	else if (what < 950)
		disturb(x);
	else if (what < 980)
		compare_all(x);
	else if (what < 998)
		vpmu_release_idle(&x->m->pmu);
	else {
		vpmu_reset(&x->m->pmu);
		model_reset(&x->model);
		note_retired(x);
	}
	maybe_move(x);
	/* The guest never runs unserviced, but a host may join several accesses. */
	if (!chance(x, 8))
		compare_service(x);
}

struct guest {
	enum kind kind;
	enum alarms alarms;
	bool moves;
};

static void run_experiment(void **state)
{
	const struct guest *guest = *state;
	static struct experiment x;

	x.alarms = guest->alarms;
	x.moves = guest->moves;
	x.random = random_from(seed * 16 + guest->kind);
	x.step = x.overflows = x.pmis = x.emulated = x.moved = 0;
	while (x.step < steps) {
		start_experiment(&x, guest->kind);
		do
			take_step(&x);
		while (x.step % STEPS_PER_MACHINE && x.step < steps);
		compare_all(&x);
	}
	printf("# %" PRIu64 " steps, %" PRIu64 " overflows, %" PRIu64 " PMIs, %" PRIu64
	       " emulated instructions counted\n",
	       x.step, x.overflows, x.pmis, x.emulated);
	if (x.moves)
		printf("# saved and loaded %" PRIu64 " times\n", x.moved);
	/* All together they are a million states. */
	if (x.moves && steps >= DEFAULT_STEPS)
		assert_true(x.moved * KINDS > 1000000);
	if (steps >= DEFAULT_STEPS)
		assert_true(x.overflows > 500 && x.pmis > 200 && x.emulated > 500);
}

static struct guest eager[KINDS], lazy[KINDS], moving[KINDS];

static void make_guests(void)
{
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		eager[kind] = (struct guest){ (enum kind)kind, EAGER, false };
		lazy[kind] = (struct guest){ (enum kind)kind, LAZY, false };
		moving[kind] = (struct guest){ (enum kind)kind, EAGER, true };
	}
}

static const struct CMUnitTest tests[] = {
	{ .name = "a random guest of version 1 sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[INTEL_1] },
	{ .name = "a random guest of version 2 sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[INTEL_2] },
	{ .name = "a random guest of version 3 sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[INTEL_3] },
	{ .name = "a random guest of version 4 sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[INTEL_4] },
	{ .name = "a random guest of version 5 sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[INTEL_5] },
	{ .name = "a random guest of AMD's K7 sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[AMD_K7] },
	{ .name = "a random guest of AMD's core extension sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[AMD_CORE] },
	{ .name = "a random guest of AMD's PerfMonV2 sees the manual's PMU",
	  .test_func = run_experiment,
	  .initial_state = &eager[AMD_V2] },
	{ .name = "so it does in version 1 with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[INTEL_1] },
	{ .name = "so it does in version 2 with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[INTEL_2] },
	{ .name = "so it does in version 3 with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[INTEL_3] },
	{ .name = "so it does in version 4 with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[INTEL_4] },
	{ .name = "so it does in version 5 with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[INTEL_5] },
	{ .name = "so it does in AMD's K7 with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[AMD_K7] },
	{ .name = "so it does in AMD's core extension with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[AMD_CORE] },
	{ .name = "so it does in AMD's PerfMonV2 with late alarms",
	  .test_func = run_experiment,
	  .initial_state = &lazy[AMD_V2] },
	{ .name = "so it does in version 1, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[INTEL_1] },
	{ .name = "so it does in version 2, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[INTEL_2] },
	{ .name = "so it does in version 3, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[INTEL_3] },
	{ .name = "so it does in version 4, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[INTEL_4] },
	{ .name = "so it does in version 5, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[INTEL_5] },
	{ .name = "so it does in AMD's K7, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[AMD_K7] },
	{ .name = "so it does in AMD's core extension, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[AMD_CORE] },
	{ .name = "so it does in AMD's PerfMonV2, saved and loaded at any moment",
	  .test_func = run_experiment,
	  .initial_state = &moving[AMD_V2] },
};

int main(void)
{
	seed = random_seed();
	steps = number_from("VPMU_STEPS", DEFAULT_STEPS);
	printf("# VPMU_STEPS=%" PRIu64 "\n", steps);
	fflush(stdout);
	make_guests();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
