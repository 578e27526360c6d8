/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All processors write random values to all PMU registers for a while, with
 * whatever interrupts come of it, and still get on with their work. Judges no
 * count. "seed=" begins other values.
 */
#include "pmu.h"

#define VECTOR_PMI 0x50
#define TURNS      200

static struct {
	volatile uint64_t progress, pmis, faults, writes;
} seen[MAX_CPUS];
static volatile bool stop;

static void on_pmi(struct frame *frame)
{
	seen[this_cpu()->index].pmis++;
	/* As a real handler starts; or its own instructions are the next overflow. */
	wrmsr(MSR_GLOBAL_CTRL, 0);
	wrmsr(MSR_GLOBAL_OVF_CTRL, pmu_all() | (pmu.version >= 4 ? STATUS_CTR_FRZ : 0));
	apic_write(APIC_LVTPC, frame->vector == VECTOR_PMI ? VECTOR_PMI : LVT_NMI);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
}

static uint32_t random_msr(uint64_t r)
{
	static const uint32_t single[] = { MSR_GLOBAL_CTRL,    MSR_GLOBAL_CTRL,
					   MSR_FIXED_CTR_CTRL, MSR_GLOBAL_OVF_CTRL,
					   MSR_GLOBAL_STATUS,  MSR_GLOBAL_STATUS_SET,
					   MSR_GLOBAL_INUSE,   MSR_PERF_CAPABILITIES,
					   MSR_DEBUGCTL };
	uint32_t i = r >> 8 & 7;

	switch (r & 7) {
	case 0:
		return MSR_PMC0 + i;
	case 1:
		return MSR_A_PMC0 + i;
	case 2:
	case 3:
		return MSR_PERFEVTSEL0 + i;
	case 4:
		return MSR_FIXED_CTR0 + (i & 3);
	default:
		return single[(r >> 16) % ARRAY_SIZE(single)];
	}
}

/* Values that mean something, or almost, more often than chance would. */
static uint64_t random_value(uint64_t r, uint64_t *state)
{
	static const enum event events[] = { EVENT_INSTRUCTIONS, EVENT_CYCLES, EVENT_BRANCHES,
					     EVENT_LOADS, EVENT_CALLS };
	uint64_t value = next_random(state);

	switch (r >> 32 & 7) {
	case 0:
		return value;
	case 1:
		return value & 0xffffffff;
	case 2:
		return value & pmu_all();
	case 3:
		return pmu_value_mask() - (value & 0xfff);
	case 4:
		return value & 0xbbb;
	case 5:
		return pmu_all();
	default:
		return event_select(events[value % ARRAY_SIZE(events)],
				    (value & (SEL_ALL | SEL_INT)) | SEL_EN);
	}
}

static void random_lvtpc(uint64_t r)
{
	static const uint32_t lvtpc[] = { LVT_NMI, VECTOR_PMI, LVT_NMI | LVT_MASKED, VECTOR_PMI };

	apic_write(APIC_LVTPC, lvtpc[r % ARRAY_SIZE(lvtpc)]);
}

static uint64_t advance(void *argument)
{
	volatile uint64_t *progress = argument;

	for (unsigned int i = 0; i < TURNS; i++)
		*progress += 1;
	return 0;
}

static void one_step(unsigned int index, uint64_t *state)
{
	uint64_t r = next_random(state), value;

	seen[index].writes++;
	if (!try_wrmsr(random_msr(r), random_value(r, state)))
		seen[index].faults++;
	if (r >> 40 & 1)
		try_rdmsr(random_msr(next_random(state)), &value);
	if (r >> 41 & 1)
		try_rdpmc((uint32_t)(r >> 50 & 15) | (r >> 42 & 1 ? RDPMC_FIXED : 0), &value);
	if ((r >> 43 & 3) == 0)
		random_lvtpc(r >> 45);
	if (r >> 47 & 1)
		user_call(advance, (void *)&seen[index].progress);
	else
		advance((void *)&seen[index].progress);
}

static uint64_t start_random(unsigned int index)
{
	return 0x9e3779b97f4a7c15 * (option("seed", 0) + index + 1);
}

static void storm(void *unused)
{
	unsigned int index = this_cpu()->index;
	uint64_t state = start_random(index);

	(void)unused;
	interrupts_on();
	while (!stop)
		one_step(index, &state);
	interrupts_off();
	wrmsr(MSR_GLOBAL_CTRL, 0);
}

static struct {
	uint64_t writes, faults, pmis;
} sum;

static void sum_up(void)
{
	sum.writes = sum.faults = sum.pmis = 0;
	for (unsigned int i = 0; i < MAX_CPUS; i++) {
		sum.writes += seen[i].writes;
		sum.faults += seen[i].faults;
		sum.pmis += seen[i].pmis;
	}
}

static bool all_seen(void)
{
	sum_up();
	return sum.writes && sum.faults && sum.pmis;
}

static bool all_get_on(unsigned int cpus_count, const uint64_t then[MAX_CPUS])
{
	bool all = true;

	for (unsigned int i = 0; i < cpus_count; i++)
		all = all && seen[i].progress > then[i];
	return all;
}

/* The first processor storms too, and looks at the clock between. */
static void storm_half(unsigned int cpus_count, const char *half)
{
	struct stretch stretch = stretch_begin(((unsigned int)option("seconds", 5) + 1) / 2);
	uint64_t state = start_random(0), then[MAX_CPUS];

	for (unsigned int i = 0; i < MAX_CPUS; i++)
		then[i] = seen[i].progress;
	interrupts_on();
	while (stretch_goes_on(&stretch, all_get_on(cpus_count, then) && all_seen()))
		for (unsigned int i = 0; i < 100; i++)
			one_step(0, &state);
	interrupts_off();
	wrmsr(MSR_GLOBAL_CTRL, 0);
	ok(all_get_on(cpus_count, then),
	   "every processor gets on with its work in the %s half of the storm", half);
}

void test_main(void)
{
	unsigned int cpus_count = (unsigned int)option("cpus", 4);

	pmu_need();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	if (!ok(cpus_start(cpus_count), "%u processors start", cpus_count))
		return;
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_run(i, storm, NULL);
	storm_half(cpus_count, "first");
	storm_half(cpus_count, "second");
	stop = true;
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_wait(i);
	ok(true, "every processor comes out of it");
	ok(all_seen(), "writes, faults and PMIs have all been seen");
	print("# %lu writes, %lu of them faults; %lu PMIs\n", sum.writes, sum.faults, sum.pmis);
}
