/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the plugin does differently as counters come and go: overflows that are far
 * away when the counter starts (a watchdog's, seconds off, in a loop that no interrupt
 * leaves) and near ones of the same event after it; branches that are counted with and
 * without conditional ones beside them. Takes some seconds, since so much has to be counted.
 */
#include "pmu.h"

#define COUNTER   (pmu.fixed ? 32u : 2u) /* instructions */
#define FAR       (UINT64_C(0x80000000) + 1000000)
#define MOST_SKID 200 /* instructions, the handler's own first ones included */

static struct {
	volatile unsigned int count;
	uint64_t value;
} pmi;

static void on_pmi(struct frame *frame)
{
	(void)frame;
	pmi.value = counter_read(COUNTER);
	pmi.count++;
	counters_stop();
	pmu_acknowledge(LVT_NMI);
}

/* A loop with a branch forward and one back. */
static void turn_until_pmi(uint64_t turns)
{
	__asm__ volatile("1:	test %0, %0\n"
			 "	jz 2f\n"
			 "	nop\n"
			 "2:	cmpl $0, %1\n"
			 "	jne 3f\n"
			 "	dec %0\n"
			 "	jnz 1b\n"
			 "3:"
			 : "+r"(turns)
			 : "m"(pmi.count)
			 : "cc");
}

static void check(uint64_t distance, const char *sentence)
{
	pmi.count = 0;
	counter_write(COUNTER, 0 - distance);
	counters_start(1ull << COUNTER);
	turn_until_pmi(distance);
	counters_stop();
	if (!ok(pmi.count == 1 && pmi.value < MOST_SKID, "%s", sentence))
		print("# %u PMIs, %lu behind the overflow\n", pmi.count, pmi.value);
}

#define TURNS 1000

static void loop(void *unused)
{
	uint64_t turns = TURNS;

	(void)unused;
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns) : : "cc");
}

/* General counters 0 and 1: all branches, and conditional ones if they are counted. */
static void check_branches(uint64_t from, bool conditional, const char *sentence)
{
	uint64_t branches, others;

	counter_program(1, EVENT_CONDITIONAL, conditional ? SEL_ALL : 0);
	counter_write(0, from);
	counter_write(1, 0);
	measure_all(loop, NULL);
	branches = (counter_read(0) - from) & pmu_value_mask();
	others = counter_read(1);
	if (!ok(branches == TURNS + 1 + MEASURE_BRANCHES && others == (conditional ? TURNS : 0),
		"%s", sentence))
		print("# %lu branches, %lu of them conditional\n", branches, others);
}

static void test_branches(void)
{
	uint64_t near = 0 - (uint64_t)500;

	pmu_clear();
	/* A handler's branches would count, too. */
	apic_write(APIC_LVTPC, LVT_MASKED);
	counter_program(0, EVENT_BRANCHES, SEL_ALL);
	check_branches(0, false, "branches alone are exact");
	check_branches(0, true, "so they are with conditional ones beside them");
	counter_program(0, EVENT_BRANCHES, SEL_ALL | SEL_INT);
	check_branches(near, true, "and when they are to overflow, too");
	if (pmu.status)
		ok(pmu_status() & 1, "which they do");
	counter_program(0, EVENT_BRANCHES, SEL_ALL);
	check_branches(0, true, "and when they no longer are");
	check_branches(0, false, "and alone again");
}

void test_main(void)
{
	pmu_need();
	pmu_clear();
	apic_enable();
	apic_write(APIC_LVTPC, LVT_NMI);
	trap_hook[VECTOR_NMI] = on_pmi;
	counter_program(COUNTER, EVENT_INSTRUCTIONS, SEL_ALL | SEL_INT);
	check(FAR, "the PMI of a far overflow comes where it is, in a loop without interrupts");
	check(1000000, "that of a near one after it comes where it is");
	check(FAR, "that of a far one after that comes where it is");
	check(3, "and that of the next few instructions");
	test_branches();
}
