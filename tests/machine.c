/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tests' source: totals moved by hand, calls recorded. That the library
 * keeps to the source's contract is checked at each call.
 */
#include "machine.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool source_bind(void *opaque, unsigned int counter, const struct vpmu_event *event)
{
	struct source *source = opaque;

	assert_false(source->bound[counter]);
	source->events[counter] = *event;
	if (source->refuses && source->refuses(event)) {
		source->refusals++;
		return false;
	}
	source->binds++;
	source->bound[counter] = true;
	source->alarms[counter] = VPMU_NO_ALARM;
	return true;
}

static void source_unbind(void *opaque, unsigned int counter)
{
	struct source *source = opaque;

	assert_true(source->bound[counter]);
	source->bound[counter] = false;
	source->unbinds++;
}

static uint64_t source_total(void *opaque, unsigned int counter)
{
	struct source *source = opaque;

	assert_true(source->bound[counter]);
	source->total_calls++;
	source->asked[counter] = true;
	source->totals[counter] += source->drifts;
	return source->totals[counter];
}

static void source_alarm(void *opaque, unsigned int counter, uint64_t at)
{
	struct source *source = opaque;

	assert_true(source->bound[counter]);
	assert_true(source->asked[counter]);
	source->alarm_calls++;
	source->alarms[counter] = at;
	source->totals[counter] += source->creeps;
	if (source->hasty || at <= source->totals[counter])
		go_off(source->machine, counter);
}

static uint64_t source_known(void *opaque, unsigned int counter)
{
	struct source *source = opaque;

	assert_true(source->bound[counter]);
	assert_true(source->known[counter] <= source->totals[counter]);
	source->known_calls++;
	source->asked[counter] = true;
	return source->known[counter];
}

const struct vpmu_source_ops source_ops = {
	.bind = source_bind,
	.unbind = source_unbind,
	.total = source_total,
	.alarm = source_alarm,
};

const struct vpmu_source_ops knowing_source_ops = {
	.bind = source_bind,
	.unbind = source_unbind,
	.total = source_total,
	.known = source_known,
	.alarm = source_alarm,
};

uint32_t all_events(unsigned int version)
{
	return version >= 5 ? 0x1ff : version >= 2 ? 0x17f : 0x7f;
}

void start_with(struct machine *m, const struct vpmu_config *config,
		const struct vpmu_source_ops *ops)
{
	memset(m, 0xa5, sizeof(*m));
	memset(&m->source, 0, sizeof(m->source));
	m->source.machine = m;
	/* Totals may start anywhere. */
	for (unsigned int i = 0; i < COUNTERS; i++)
		m->source.totals[i] = 1000 * (uint64_t)i + 7;
	assert_int_equal(vpmu_init(&m->pmu, config, ops, &m->source), VPMU_OK);
}

void start_machine(struct machine *m, const struct vpmu_config *config)
{
	start_with(m, config, &source_ops);
}

static struct vpmu_config intel_config(unsigned int version)
{
	struct vpmu_config config = vpmu_config_intel(version, all_events(version));

	config.debug_bits = DEBUG_BITS;
	return config;
}

static struct vpmu_config amd_config(unsigned int version, unsigned int counters)
{
	struct vpmu_config config = vpmu_config_amd(version, counters, AMD_EVENTS);

	config.debug_bits = DEBUG_BITS;
	return config;
}

struct vpmu_config usual_config(enum kind kind)
{
	switch (kind) {
	case INTEL_1:
		return intel_config(1);
	case INTEL_2:
		return intel_config(2);
	case INTEL_3:
		return intel_config(3);
	case INTEL_4:
		return intel_config(4);
	case INTEL_5:
		return intel_config(5);
	case AMD_K7:
		return amd_config(1, 4);
	case AMD_CORE:
		return amd_config(1, 6);
	case AMD_V2:
		return amd_config(2, 6);
	case KINDS:
		break;
	}
	fail_msg("there is no such kind of PMU");
	return intel_config(0);
}

void start_version(struct machine *m, unsigned int version)
{
	struct vpmu_config config = intel_config(version);

	start_machine(m, &config);
}

void start_amd(struct machine *m, unsigned int version, unsigned int counters)
{
	struct vpmu_config config = amd_config(version, counters);

	start_machine(m, &config);
}

void happen(struct machine *m, unsigned int counter, uint64_t n)
{
	m->source.totals[counter] += n;
	m->source.asked[counter] = false;
}

void go_off(struct machine *m, unsigned int counter)
{
	m->source.alarms[counter] = VPMU_NO_ALARM;
	m->source.known[counter] = m->source.totals[counter];
	vpmu_look(&m->pmu, counter);
}

unsigned int ring(struct machine *m)
{
	unsigned int rung = 0;

	for (unsigned int i = 0; i < COUNTERS; i++) {
		if (!m->source.bound[i] || m->source.totals[i] < m->source.alarms[i])
			continue;
		go_off(m, i);
		rung++;
	}
	return rung;
}

unsigned int calls(struct machine *m)
{
	struct source *s = &m->source;
	unsigned int sum = s->binds + s->refusals + s->unbinds + s->total_calls + s->alarm_calls;

	s->binds = s->refusals = s->unbinds = s->total_calls = s->alarm_calls = 0;
	s->known_calls = 0;
	return sum;
}

uint64_t get(struct machine *m, uint32_t msr)
{
	uint64_t bits = vpmu_msr_bits(&m->pmu, msr);
	/* Of a shared register, none of the host's bits; of others what is to be overwritten. */
	uint64_t value = bits == ~UINT64_C(0) ? 0x123456789abcdef0 : 0;

	assert_int_equal(vpmu_rdmsr(&m->pmu, msr, &value), VPMU_DONE);
	return value;
}

void set(struct machine *m, uint32_t msr, uint64_t value)
{
	assert_int_equal(vpmu_wrmsr(&m->pmu, msr, value), VPMU_DONE);
}

void get_faults(struct machine *m, uint32_t msr)
{
	uint64_t value = 0x1234;

	assert_int_equal(vpmu_rdmsr(&m->pmu, msr, &value), VPMU_FAULT);
	assert_int_equal(value, 0x1234);
}

void set_faults(struct machine *m, uint32_t msr, uint64_t value)
{
	struct vpmu before;

	memcpy(&before, &m->pmu, sizeof(before));
	assert_int_equal(vpmu_wrmsr(&m->pmu, msr, value), VPMU_FAULT);
	assert_memory_equal(&before, &m->pmu, sizeof(before));
}

void set_now(struct machine *m, uint32_t msr, uint64_t value)
{
	set(m, msr, value);
	assert_false(vpmu_service(&m->pmu));
}

void start_counting(struct machine *m, uint64_t evtsel, uint64_t value)
{
	start_version(m, 3);
	set_now(m, A_PMC0, value);
	set_now(m, PERFEVTSEL0, evtsel);
	calls(m);
}

bool refuses_all(const struct vpmu_event *event)
{
	(void)event;
	return true;
}
