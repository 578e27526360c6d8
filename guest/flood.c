/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every counter overflows at every instruction, each PMI reloads them all, and
 * the program still gets on. Judges progress, no count.
 */
#include "pmu.h"

#define VECTOR_PMI 0x50
#define TURNS      20

static struct {
	volatile uint64_t progress, pmis;
} seen[MAX_CPUS];
static volatile bool stop;
static uint32_t lvtpc;
static uint64_t level;

static void reload(void)
{
	for (unsigned int i = 0; i < pmu.general; i++)
		counter_write(i, ~0ull);
	for (unsigned int i = 0; i < pmu.fixed; i++)
		counter_write(32 + i, ~0ull);
}

static void on_pmi(struct frame *frame)
{
	counters_stop();
	seen[this_cpu()->index].pmis++;
	reload();
	pmu_acknowledge(lvtpc);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
	/*
	 * At all levels the handler's own last instructions would be the next
	 * overflow, and nothing else would ever run; on a real processor, too.
	 */
	if (!stop && level == SEL_USR)
		counters_start(pmu_all());
}

static uint64_t advance(void *argument)
{
	volatile uint64_t *progress = argument;

	for (unsigned int i = 0; i < TURNS; i++)
		*progress += 1;
	return 0;
}

static void program(void)
{
	pmu_clear();
	for (unsigned int i = 0; i < pmu.general; i++)
		counter_program(i, EVENT_INSTRUCTIONS, SEL_EN | SEL_INT | level);
	for (unsigned int i = 0; i < pmu.fixed; i++)
		counter_program(32 + i, 0, SEL_EN | SEL_INT | level);
	reload();
	apic_write(APIC_LVTPC, lvtpc);
}

static void one_turn(void)
{
	void *progress = (void *)&seen[this_cpu()->index].progress;

	interrupts_on();
	counters_start(pmu_all());
	if (level == SEL_USR)
		user_call(advance, progress);
	else
		advance(progress);
	counters_stop();
	interrupts_off();
}

static void flood(void *unused)
{
	(void)unused;
	program();
	while (!stop)
		one_turn();
	apic_write(APIC_LVTPC, LVT_MASKED);
	pmu_clear();
}

static bool pmis_come(unsigned int cpus_count)
{
	bool all = true;

	for (unsigned int i = 0; i < cpus_count; i++)
		all = all && seen[i].pmis > TURNS;
	return all;
}

static bool all_get_on(unsigned int cpus_count)
{
	bool all = true;

	for (unsigned int i = 0; i < cpus_count; i++)
		all = all && seen[i].progress > TURNS;
	return all;
}

static void flood_here(unsigned int cpus_count)
{
	struct stretch stretch = stretch_begin(((unsigned int)option("seconds", 5) + 2) / 3);

	program();
	while (stretch_goes_on(&stretch, pmis_come(cpus_count) && all_get_on(cpus_count)))
		one_turn();
	apic_write(APIC_LVTPC, LVT_MASKED);
	pmu_clear();
}

static void test_flood(unsigned int cpus_count, const char *name)
{

	stop = false;
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		seen[i].progress = seen[i].pmis = 0;
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_run(i, flood, NULL);
	flood_here(cpus_count);
	stop = true;
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_wait(i);
	for (unsigned int i = 0; i < cpus_count; i++)
		print("# processor %u: %lu turns, %lu PMIs\n", i, seen[i].progress, seen[i].pmis);
	ok(pmis_come(cpus_count), "%s: PMIs come all the time", name);
	ok(all_get_on(cpus_count), "%s: and every processor gets on with its work", name);
}

void test_main(void)
{
	unsigned int cpus_count = (unsigned int)option("cpus", 1);

	pmu_need();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	if (!ok(cpus_start(cpus_count), "%u processors start", cpus_count))
		return;
	level = SEL_USR;
	lvtpc = LVT_NMI;
	test_flood(cpus_count, "an overflow at every user instruction, as NMI");
	lvtpc = VECTOR_PMI;
	test_flood(cpus_count, "an overflow at every user instruction, as a vector");
	level = SEL_OS | SEL_USR;
	lvtpc = LVT_NMI;
	test_flood(cpus_count, "an overflow at every instruction of any level, as NMI");
	lvtpc = VECTOR_PMI;
	test_flood(cpus_count, "an overflow at every instruction of any level, as a vector");
}
