/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All processors write random values to all PMU registers for a while, with
 * whatever interrupts come of it, and still get on with their work. Judges no
 * count. "seed=" begins other values.
 */
#include "pmu_registers.h"

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
	counters_stop();
	pmu_acknowledge(frame->vector == VECTOR_PMI ? VECTOR_PMI : LVT_NMI);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
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

static bool is_others(uint32_t msr)
{
	unsigned int n;

	return pmu_register_of(msr, &n)->kind == REGISTER_OTHERS;
}

static void one_step(unsigned int index, uint64_t *state)
{
	uint64_t r = next_random(state), value;
	uint32_t msr = pmu_random_msr(state);

	seen[index].writes++;
	if (!is_others(msr))
		seen[index].faults += !try_wrmsr(msr, pmu_random_value(state, msr));
	if (r >> 40 & 1)
		seen[index].faults += !try_rdmsr(pmu_random_msr(state), &value);
	if (r >> 41 & 1)
		seen[index].faults += !try_rdpmc(pmu_random_index(state), &value);
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
	counters_stop();
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
	counters_stop();
	ok(all_get_on(cpus_count, then),
	   "every processor gets on with its work in the %s half of the storm", half);
}

void test_main(void)
{
	unsigned int cpus_count = (unsigned int)option("cpus", 4);

	pmu_need();
	pmu_registers_find();
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
	print("# %lu writes, %lu faults, %lu PMIs\n", sum.writes, sum.faults, sum.pmis);
}
