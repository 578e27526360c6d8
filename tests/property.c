/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random guests against the model of the manual: every access, every PMI and
 * every value must agree, however early, late or often the source's alarms
 * come, whatever it knows of its totals, and with instructions that the host
 * emulates in between.
 * VPMU_SEED and VPMU_STEPS (for each test) in the environment choose others.
 */
#include "machine.h"
#include "model.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STEPS_PER_MACHINE 1000
#define DEFAULT_STEPS     60000

/* When the source's alarms go off. */
enum alarms {
	EAGER, /* at once */
	LAZY,  /* some time */
};

struct experiment {
	struct machine m;
	struct model model;
	enum alarms alarms;
	uint64_t random;
	uint64_t step;
	uint64_t overflows, pmis, emulated;
	/* Counters that count an emulated instruction of a kind, as of the last service. */
	uint64_t retired[VPMU_RETIRED_KINDS];
};

static uint64_t default_seed = 20261121;
static uint64_t steps = DEFAULT_STEPS;

static uint64_t random_bits(struct experiment *x)
{
	x->random ^= x->random >> 12;
	x->random ^= x->random << 25;
	x->random ^= x->random >> 27;
	return x->random * UINT64_C(2685821657736338717);
}

/* 0 to n - 1 */
static unsigned int below(struct experiment *x, unsigned int n)
{
	return (unsigned int)((random_bits(x) >> 32) % n);
}

static bool one_in(struct experiment *x, unsigned int n)
{
	return below(x, n) == 0;
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

/* What the tests' source can count: model_events, one at a time. */
static int event_of(const struct vpmu_event *event)
{
	if (event->cmask || event->edge)
		return -1;
	for (int i = 0; i < MODEL_EVENTS; i++) {
		const struct model_event *e = &model_events[i];

		if (event->id == VPMU_EVENT_RAW && e->architectural < 0 &&
		    e->select == event->select && e->umask == event->umask)
			return i;
		if (event->id != VPMU_EVENT_RAW && (int)event->id == e->architectural)
			return i;
	}
	return -1;
}

static bool refuses(const struct vpmu_event *event)
{
	return event_of(event) < 0;
}

static struct vpmu_config random_config(struct experiment *x, unsigned int version)
{
	/* Instructions, cycles, TSC cycles, topdown slots: in the fixed counters' order. */
	static const uint32_t needed[] = { 0x0, 0x2, 0x3, 0x103, 0x183 };
	struct vpmu_config config = vpmu_config_intel(version, 0);

	config.general = (uint8_t)(1 + below(x, 8));
	config.general_width = (uint8_t)(32 + below(x, 17));
	config.fixed = version == 1 ? 0 : (uint8_t)below(x, version >= 5 ? 5 : 4);
	config.fixed_width = (uint8_t)(32 + below(x, 17));
	config.full_width_writes = !one_in(x, 4);
	config.events = (uint32_t)random_bits(x) & all_events(version);
	config.events |= needed[config.fixed];
	config.debug_bits = DEBUG_BITS;
	return config;
}

/* What the manual says of emulated instructions from now on. */
static void note_retired(struct experiment *x)
{
	const struct model_event *instructions = &model_events[1], *branches = &model_events[5];

	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++) {
		bool user = !(kind & VPMU_RETIRED_KERNEL);

		x->retired[kind] = model_counting(&x->model, instructions, user);
		if (kind & VPMU_RETIRED_BRANCH)
			x->retired[kind] |= model_counting(&x->model, branches, user);
	}
}

static void start_experiment(struct experiment *x, unsigned int version)
{
	x->model.config = random_config(x, version);
	model_reset(&x->model);
	start_with(&x->m, &x->model.config, one_in(x, 2) ? &source_ops : &knowing_source_ops);
	x->m.source.refuses = refuses;
	note_retired(x);
}

static uint32_t random_msr(struct experiment *x)
{
	static const struct {
		uint32_t first, count;
	} ranges[] = { { 0x0c0, 10 }, { 0x185, 10 }, { 0x308, 6 },  { 0x38c, 8 }, { 0x38d, 3 },
		       { 0x38f, 1 },  { 0x38f, 2 },  { 0x4c0, 10 }, { 0x1d9, 1 }, { 0x345, 1 } };
	unsigned int i = below(x, sizeof(ranges) / sizeof(ranges[0]));

	if (one_in(x, 100))
		return (uint32_t)random_bits(x);
	return ranges[i].first + below(x, ranges[i].count);
}

static uint64_t random_evtsel(struct experiment *x)
{
	const struct model_event *event = &model_events[below(x, MODEL_EVENTS)];
	uint64_t value = event->select | (uint64_t)event->umask << 8;

	value |= (uint64_t)(1 + below(x, 3)) << 16;
	value |= one_in(x, 2) ? EVTSEL_INT : 0;
	value |= one_in(x, 8) ? 0 : 1u << 22;
	value |= one_in(x, 8) ? 1u << 19 : 0;
	value |= one_in(x, 8) ? 1u << 23 : 0;
	value |= one_in(x, 16) ? 1u << 18 : 0;
	value |= one_in(x, 16) ? 1u << 24 : 0;
	return value;
}

/* All counters on, or some of them. */
static uint64_t random_counters(struct experiment *x)
{
	const struct vpmu_config *config = &x->model.config;
	uint64_t all = ((UINT64_C(1) << config->general) - 1) | ((UINT64_C(1) << config->fixed) - 1)
									<< 32;

	return one_in(x, 2) ? all : all & random_bits(x);
}

/* A value as a sane guest would write it; counters are close to overflow. */
static uint64_t sane_value(struct experiment *x, uint32_t msr)
{
	unsigned int width = msr >= FIXED_CTR0 && msr < FIXED_CTR0 + 4
				     ? x->model.config.fixed_width
				     : x->model.config.general_width;

	if (msr >= PERFEVTSEL0 && msr < PERFEVTSEL0 + 8)
		return random_evtsel(x);
	switch (msr) {
	case GLOBAL_CTRL:
		return random_counters(x);
	case FIXED_CTR_CTRL:
		return random_bits(x) & ((UINT64_C(1) << 4 * x->model.config.fixed) - 1) & 0xbbbb;
	case STATUS_RESET:
	case STATUS_SET:
		return random_counters(x) |
		       (x->model.config.version >= 4 ? random_bits(x) & (LBR_FRZ | CTR_FRZ) : 0);
	case DEBUGCTL:
		return random_bits(x) & 0x1803;
	default:
		return ((UINT64_C(1) << width) - 1) - below(x, 20);
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
		return random_bits(x);
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
	uint64_t got = 0, expected = 0;
	enum vpmu_answer answer = vpmu_rdmsr(&x->m.pmu, msr, &got);

	if (answer != model_rdmsr(&x->model, msr, &expected))
		differ(x, "RDMSR %" PRIx32 "H: answer %d", msr, answer);
	if (got != expected)
		differ(x, "RDMSR %" PRIx32 "H: %" PRIx64 "H, not %" PRIx64 "H", msr, got, expected);
}

static void compare_all(struct experiment *x)
{
	for (uint32_t msr = 0xc0; msr < 0x4d0; msr++)
		compare_read(x, msr);
}

static void compare_write(struct experiment *x, uint32_t msr, uint64_t value)
{
	enum vpmu_answer answer = vpmu_wrmsr(&x->m.pmu, msr, value);

	if (answer != model_wrmsr(&x->model, msr, value))
		differ(x, "WRMSR %" PRIx32 "H, %" PRIx64 "H: answer %d", msr, value, answer);
}

static void write_at_random(struct experiment *x)
{
	uint32_t msr = random_msr(x);

	compare_write(x, msr, random_value(x, msr));
}

/* What a driver does to sample: without it, chance rarely has a counter overflow. */
static void start_sampling(struct experiment *x)
{
	uint64_t frozen = x->model.config.version >= 4 ? CTR_FRZ | LBR_FRZ : 0;

	for (unsigned int i = 0; i < 8; i++) {
		compare_write(x, PERFEVTSEL0 + i, random_evtsel(x));
		compare_write(x, PMC0 + i, sane_value(x, PMC0));
	}
	for (unsigned int i = 0; i < 4; i++)
		compare_write(x, FIXED_CTR0 + i, sane_value(x, FIXED_CTR0));
	compare_write(x, FIXED_CTR_CTRL, sane_value(x, FIXED_CTR_CTRL));
	compare_write(x, STATUS_RESET, random_counters(x) | frozen);
	compare_write(x, GLOBAL_CTRL, random_counters(x));
}

static void compare_rdpmc(struct experiment *x)
{
	uint32_t ecx = (one_in(x, 2) ? 0x40000000 : 0) + below(x, 9);
	uint64_t got = 0, expected = 0;
	enum vpmu_answer answer;

	if (one_in(x, 32))
		ecx = (uint32_t)random_bits(x);
	answer = vpmu_rdpmc(&x->m.pmu, ecx, true, &got);
	if (answer != model_rdpmc(&x->model, ecx, &expected) || got != expected)
		differ(x, "RDPMC %" PRIx32 "H: answer %d, %" PRIx64 "H, not %" PRIx64 "H", ecx,
		       answer, got, expected);
}

static const struct vpmu_counter *counter_at(const struct experiment *x, unsigned int i)
{
	return i < VPMU_FIXED ? &x->m.pmu.general[i] : &x->m.pmu.fixed[i - VPMU_FIXED];
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
	return (x->m.pmu.counting >> i & 1) && model_interrupts(&x->model, i);
}

static bool is_hinted(const struct experiment *x, unsigned int i)
{
	return x->m.pmu.look >> i & 1;
}

/* Has this counter overflowed into a PMI without the library having seen it? */
static bool is_unseen(const struct experiment *x, unsigned int i)
{
	return samples(x, i) &&
	       x->m.source.totals[i] - counter_at(x, i)->since >= stored_left(x, i);
}

/* Is there a PMI that the next service cannot but hand out? */
static bool owes_pmi(const struct experiment *x)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		if (is_hinted(x, i) && is_unseen(x, i))
			return true;
	return x->m.pmu.pmi;
}

/* Is there one whose alarm emulated instructions have made late? */
static bool is_late(const struct experiment *x)
{
	for (unsigned int i = 0; i < COUNTERS; i++)
		if (is_unseen(x, i) && x->m.source.alarms[i] > x->m.source.totals[i])
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
		if (x->m.source.alarms[i] > overflow + left / 1024)
			differ(x, "counter %u overflows at %" PRIu64 ", its alarm is at %" PRIu64,
			       i, overflow, x->m.source.alarms[i]);
	}
}

static void check_retired(const struct experiment *x)
{
	for (unsigned int kind = 0; kind < VPMU_RETIRED_KINDS; kind++)
		if (x->m.pmu.retired[kind] != x->retired[kind])
			differ(x, "%" PRIx64 "H count kind %u, not %" PRIx64 "H",
			       x->m.pmu.retired[kind], kind, x->retired[kind]);
}

/*
 * Eager alarms: a PMI exactly when the model wants one. Lazy ones: no more of
 * them than overflows, and one at the latest when an alarm has been told of.
 */
static void compare_service(struct experiment *x)
{
	bool owed = owes_pmi(x);
	bool pmi = vpmu_service(&x->m.pmu) & VPMU_PMI;
	bool wanted = x->model.pmis_wanted > 0;

	if (pmi && !wanted)
		differ(x, "a PMI without an overflow");
	if (!pmi && (owed || (x->alarms == EAGER && wanted && !is_late(x))))
		differ(x, "a PMI is missing");
	if (pmi) {
		x->pmis++;
		x->model.pmis_wanted -= x->alarms == EAGER ? x->model.pmis_wanted : 1;
		model_pmi(&x->model);
	}
	check_alarms(x);
	note_retired(x);
	check_retired(x);
}

static void happen_once(struct experiment *x)
{
	int event = (int)below(x, MODEL_EVENTS);
	bool user = one_in(x, 2);
	uint64_t counters = model_counting(&x->model, &model_events[event], user);

	x->overflows += model_count(&x->model, counters);
	for (unsigned int i = 0; i < COUNTERS; i++) {
		const struct vpmu_event *bound = &x->m.source.events[i];

		if (x->m.source.bound[i] && event_of(bound) == event &&
		    (user ? bound->user : bound->kernel))
			happen(&x->m, i, 1);
	}
}

/* The host emulates an instruction; a control register that has just changed is not heeded. */
static void emulate_once(struct experiment *x)
{
	unsigned int kind = below(x, VPMU_RETIRED_KINDS);

	x->emulated += x->retired[kind] != 0;
	x->overflows += model_count(&x->model, x->retired[kind]);
	vpmu_retired(&x->m.pmu, kind);
}

static void run_guest(struct experiment *x)
{
	unsigned int n = below(x, 300);

	compare_service(x);
	while (n-- > 0) {
		if (!one_in(x, 30)) {
			happen_once(x);
			continue;
		}
		/* An exit. */
		if (x->alarms == EAGER)
			ring(&x->m);
		emulate_once(x);
		compare_service(x);
	}
	if (x->alarms == EAGER || one_in(x, 4))
		ring(&x->m);
}

/* An alarm that goes off early, a hint without one, and news of a total that are old. */
static void disturb(struct experiment *x)
{
	unsigned int i = below(x, COUNTERS);

	if (one_in(x, 2))
		go_off(&x->m, i);
	if (one_in(x, 2))
		x->m.source.known[i] -= below(x, 50) % (x->m.source.known[i] + 1);
	vpmu_look(&x->m.pmu, below(x, 70));
}

static void take_step(struct experiment *x)
{
	unsigned int what = below(x, 1000);

	x->step++;
	if (what < 480)
		write_at_random(x);
	else if (what < 500)
		start_sampling(x);
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
		vpmu_release_idle(&x->m.pmu);
	else {
		vpmu_reset(&x->m.pmu);
		model_reset(&x->model);
		note_retired(x);
	}
	/* The guest never runs unserviced, but a host may join several accesses. */
	if (!one_in(x, 8))
		compare_service(x);
}

static void run_experiment(unsigned int version, enum alarms alarms)
{
	static struct experiment x;

	x.alarms = alarms;
	x.random = (default_seed * 8 + version) * 2 + 1;
	x.step = x.overflows = x.pmis = x.emulated = 0;
	while (x.step < steps) {
		start_experiment(&x, version);
		do
			take_step(&x);
		while (x.step % STEPS_PER_MACHINE && x.step < steps);
		compare_all(&x);
	}
	printf("# %" PRIu64 " steps, %" PRIu64 " overflows, %" PRIu64 " PMIs, %" PRIu64
	       " emulated instructions counted\n",
	       x.step, x.overflows, x.pmis, x.emulated);
	if (steps >= DEFAULT_STEPS)
		assert_true(x.overflows > 500 && x.pmis > 200 && x.emulated > 500);
}

static void eager_1(void **state)
{
	(void)state;
	run_experiment(1, EAGER);
}

static void eager_2(void **state)
{
	(void)state;
	run_experiment(2, EAGER);
}

static void eager_3(void **state)
{
	(void)state;
	run_experiment(3, EAGER);
}

static void eager_4(void **state)
{
	(void)state;
	run_experiment(4, EAGER);
}

static void eager_5(void **state)
{
	(void)state;
	run_experiment(5, EAGER);
}

static void lazy_1(void **state)
{
	(void)state;
	run_experiment(1, LAZY);
}

static void lazy_2(void **state)
{
	(void)state;
	run_experiment(2, LAZY);
}

static void lazy_3(void **state)
{
	(void)state;
	run_experiment(3, LAZY);
}

static void lazy_4(void **state)
{
	(void)state;
	run_experiment(4, LAZY);
}

static void lazy_5(void **state)
{
	(void)state;
	run_experiment(5, LAZY);
}

static const struct CMUnitTest tests[] = {
	{ .name = "a random guest of version 1 sees the manual's PMU", .test_func = eager_1 },
	{ .name = "a random guest of version 2 sees the manual's PMU", .test_func = eager_2 },
	{ .name = "a random guest of version 3 sees the manual's PMU", .test_func = eager_3 },
	{ .name = "a random guest of version 4 sees the manual's PMU", .test_func = eager_4 },
	{ .name = "a random guest of version 5 sees the manual's PMU", .test_func = eager_5 },
	{ .name = "so it does in version 1 with late alarms", .test_func = lazy_1 },
	{ .name = "so it does in version 2 with late alarms", .test_func = lazy_2 },
	{ .name = "so it does in version 3 with late alarms", .test_func = lazy_3 },
	{ .name = "so it does in version 4 with late alarms", .test_func = lazy_4 },
	{ .name = "so it does in version 5 with late alarms", .test_func = lazy_5 },
};

/* A number from the environment, or the one given. */
static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	uint64_t value;

	if (!text)
		return otherwise;
	value = strtoull(text, &end, 0);
	if (*text && !*end)
		return value;
	fprintf(stderr, "property: %s is not a number: %s\n", name, text);
	exit(2);
}

int main(void)
{
	default_seed = number("VPMU_SEED", default_seed);
	steps = number("VPMU_STEPS", steps);
	printf("# VPMU_SEED=%" PRIu64 " VPMU_STEPS=%" PRIu64 "\n", default_seed, steps);
	fflush(stdout);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
