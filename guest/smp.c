/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several processors: each has a PMU of its own, and its PMIs are its own.
 */
#include "pmu.h"

#define VECTOR_PMI 0x50
#define BASE       (3 + measure_instructions() - 1) /* around the turns */

extern void turns(void *turns);

struct work {
	uint64_t turns, counted, last, branches;
	uint32_t lvtpc;
	uint64_t period; /* 0: no sampling */
};

static struct work work[MAX_CPUS];
static struct {
	volatile uint64_t count, wrong_cpu, status;
} pmis[MAX_CPUS];

static void on_pmi(struct frame *frame)
{
	unsigned int index = this_cpu()->index;
	uint64_t status = pmu_status(), value = counter_read(0);

	pmis[index].count++;
	pmis[index].status |= status;
	if (value >> (pmu.general_width - 1) || (pmu.status && !(status & 1)))
		pmis[index].wrong_cpu++;
	counter_write(0, value - work[index].period);
	pmu_acknowledge(work[index].lvtpc);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
}

static uint64_t user_turns(void *argument)
{
	turns(argument);
	return 0;
}

static void turns_in_user(void *argument)
{
	user_call(user_turns, argument);
}

static void count(void *argument)
{
	struct work *mine = argument;
	unsigned int last = pmu.fixed ? 32 : pmu.general - 1;

	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL);
	counter_program(1, EVENT_BRANCHES, SEL_ALL);
	counter_program(last, EVENT_INSTRUCTIONS, SEL_ALL);
	measure_all(turns, &mine->turns);
	mine->counted = counter_read(0);
	mine->branches = counter_read(1);
	mine->last = counter_read(last);
}

/* USR only: the handler is not counted. */
static void sample(void *argument)
{
	struct work *mine = argument;

	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR | (mine->period ? SEL_INT : 0));
	counter_write(0, 0 - mine->period);
	apic_write(APIC_LVTPC, mine->lvtpc);
	interrupts_on();
	measure_all(turns_in_user, &mine->turns);
	interrupts_off();
	apic_write(APIC_LVTPC, LVT_MASKED);
	mine->counted = counter_read(0);
}

/* On all processors at once. */
static void run_all(unsigned int cpus_count, void (*job)(void *))
{
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		pmis[i].count = pmis[i].wrong_cpu = pmis[i].status = 0;
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_run(i, job, &work[i]);
	job(&work[0]);
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_wait(i);
}

static void test_counts(unsigned int cpus_count)
{
	bool exact = true;

	for (unsigned int i = 0; i < cpus_count; i++)
		work[i] = (struct work){ .turns = 100000 + 1000 * i };
	run_all(cpus_count, count);
	for (unsigned int i = 0; i < cpus_count; i++) {
		uint64_t wanted = 2 * work[i].turns + BASE;

		exact = exact && work[i].counted == wanted && work[i].last == wanted &&
			work[i].branches == work[i].turns + 2;
		if (work[i].counted != wanted)
			print("# processor %u: got %lu, wanted %lu\n", i, work[i].counted, wanted);
	}
	ok(exact, "each of %u processors counts its own work exactly", cpus_count);
}

static void test_others_idle(unsigned int cpus_count)
{
	for (unsigned int i = 0; i < cpus_count; i++)
		work[i] = (struct work){ .turns = 1000 };
	run_all(cpus_count, count);
	work[0].turns = 50000;
	count(&work[0]);
	ok(work[0].counted == 100000 + BASE && work[1].counted == 2000 + BASE,
	   "a processor that runs alone counts alone");
}

static void test_pmis(unsigned int cpus_count, uint32_t lvtpc, const char *kind)
{
	uint64_t total[MAX_CPUS];
	bool count = true, right = true, kept = true;

	for (unsigned int i = 0; i < cpus_count; i++)
		work[i] = (struct work){ .turns = 20000 + 500 * i, .lvtpc = LVT_MASKED };
	run_all(cpus_count, sample);
	for (unsigned int i = 0; i < cpus_count; i++) {
		total[i] = work[i].counted;
		work[i].lvtpc = lvtpc;
		work[i].period = 500 + 100 * i;
	}
	run_all(cpus_count, sample);
	for (unsigned int i = 0; i < cpus_count; i++) {
		uint64_t wanted = total[i] / work[i].period;

		if (pmis[i].count != wanted)
			print("# processor %u: got %lu, wanted %lu\n", i, pmis[i].count, wanted);
		count = count && pmis[i].count == wanted;
		right = right && !pmis[i].wrong_cpu && pmis[i].status == (pmu.status ? 1 : 0);
		kept = kept && ((work[i].counted + work[i].period) & pmu_value_mask()) ==
				       total[i] % work[i].period;
	}
	ok(count, "each of %u processors gets its own PMIs as %s", cpus_count, kind);
	ok(right, "and finds its own overflow in its counter and its status");
	ok(kept, "and loses no count");
}

/* One processor samples, the others only work. */
static void test_only_one(unsigned int cpus_count)
{
	unsigned int last = cpus_count - 1;
	bool others = true;

	for (unsigned int i = 0; i < cpus_count; i++)
		work[i] = (struct work){ .turns = 20000, .lvtpc = LVT_NMI };
	work[last].period = 1000;
	run_all(cpus_count, sample);
	for (unsigned int i = 0; i < last; i++)
		others = others && pmis[i].count == 0;
	ok(pmis[last].count == 40, "one processor of %u samples", cpus_count);
	ok(others, "and the others get no PMI");
}

static void enter_x2(void *unused)
{
	(void)unused;
	apic_enable_x2();
}

void test_main(void)
{
	unsigned int cpus_count = (unsigned int)option("cpus", 2);

	pmu_need();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	if (!ok(cpus_start(cpus_count), "%u processors start", cpus_count))
		return;
	test_counts(cpus_count);
	test_others_idle(cpus_count);
	test_pmis(cpus_count, LVT_NMI, "NMIs");
	test_pmis(cpus_count, VECTOR_PMI, "vectors");
	test_only_one(cpus_count);
	run_all(cpus_count, enter_x2);
	test_pmis(cpus_count, LVT_NMI, "NMIs in x2APIC mode");
	test_pmis(cpus_count, VECTOR_PMI, "vectors in x2APIC mode");
	test_only_one(cpus_count);
}
