/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Misses of branches, and (models_caches.c) of caches, whose number docs/models.md tells: what a
 * guest counts is what the page's own examples say, and what plain code that follows its text
 * (oracle_*) computes for the addresses at hand.
 */
#include "models.h"

/* For models.S. */
uint32_t models_control;

/* The conditional branches' part of the page. */
static struct {
	unsigned int counters[16384], history, missed;
} oracle;

static void oracle_start(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(oracle.counters); i++)
		oracle.counters[i] = 1;
	oracle.history = 0;
	oracle.missed = 0;
}

static void oracle_branch(const char *address, bool taken)
{
	unsigned int *counter = &oracle.counters[((uintptr_t)address % 4096 * 4) ^ oracle.history];

	oracle.missed += taken != (*counter >= 2);
	if (taken)
		*counter += *counter < 3;
	else
		*counter -= *counter > 0;
	oracle.history = (oracle.history * 2 + taken) % 4096;
}

static void oracle_loop(const char *address, uint64_t n)
{
	while (n--)
		oracle_branch(address, n != 0);
}

void program(const enum event events[4])
{
	pmu_clear();
	for (unsigned int i = 0; i < 4; i++)
		counter_program(i, events[i], SEL_ALL);
}

void zero(void)
{
	for (unsigned int i = 0; i < 4; i++)
		counter_write(i, 0);
}

static uint64_t branch_misses(sequence *function, uint64_t a, uint64_t b)
{
	zero();
	function(a, b, 0, 0);
	return counter_read(0);
}

static void start_branches(void)
{
	static const enum event events[] = { EVENT_BRANCH_MISSES, EVENT_SKYLAKE_BRANCH_MISSES,
					     EVENT_INSTRUCTIONS, EVENT_BRANCHES };

	program(events);
	branch_misses(seq_nothing, 0, 0);
}

static void test_advertised(void)
{
	const uint32_t modelled = 1 << 3 | 1 << 4 | 1 << 6;

	ok(!(pmu.unavailable & modelled), "CPUID shows LLC references, LLC misses, branch misses");
}

static void test_examples(void)
{
	is(branch_misses(seq_nothing, 0, 0), 0, "without branches none is missed");
	is(branch_misses(seq_loop, 1000, 0), 14, "a loop of 1000 is missed 14 times");
	is(branch_misses(seq_loop, 1000, 0), 14, "and again after IBPB");
	is(branch_misses(ALIAS_OF(seq_loop), 1000, 0), 14, "and through another mapping");
	is(branch_misses(seq_loop_instruction, 1000, 0), 14, "and so is one by LOOP");
	if (event_exists(EVENT_SKYLAKE_BRANCH_MISSES))
		is(counter_read(1), 14, "C5/04 counts the same");
	is(counter_read(3), 1001, "and branches are counted beside it");
	is(branch_misses(seq_straight_not_taken, 0, 0), 0, "branches never taken are not missed");
	is(branch_misses(seq_straight_to_next, 0, 0), 0,
	   "to go to the next instruction is not to be taken");
	is(branch_misses(seq_page_end, 1000, 0), 14, "a branch at the end of a page is seen right");
	is(branch_misses(seq_page_across, 1000, 0), 14, "and one across two pages");
}

static void test_oracle(void)
{
	uint64_t x = 0x2545f4914f6cdd1d;

	oracle_start();
	for (unsigned int i = 0; i < 100; i++)
		oracle_branch(straight_taken + 3 * i, true);
	is(branch_misses(seq_straight_taken, 0, 0), oracle.missed, "taken once each");
	oracle_start();
	for (unsigned int i = 1; i <= 1000; i++) {
		oracle_branch(alternating_branch, i % 2);
		oracle_branch(alternating_loop, i < 1000);
	}
	is(branch_misses(seq_alternating, 1000, 0), oracle.missed, "alternating in a loop");
	oracle_start();
	for (unsigned int i = 1; i <= 10000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		oracle_branch(random_branch, x & 1);
		oracle_branch(random_loop, i < 10000);
	}
	is(branch_misses(seq_random, 10000, 0x2545f4914f6cdd1d), oracle.missed,
	   "random: missed %u of 10000", oracle.missed);
	for (unsigned int n = 1; n <= 40; n += 3) {
		oracle_start();
		for (unsigned int i = 1; i <= 50; i++) {
			oracle_loop(nested_inner, n);
			oracle_branch(nested_outer, i < 50);
		}
		is(branch_misses(seq_nested, 50, n), oracle.missed, "50 loops of %u", n);
	}
}

static void test_indirect(void)
{
	for (unsigned int two = 0; two < 2; two++) {
		oracle_start();
		oracle_branch(indirect_choice, two);
		oracle_loop(indirect_loop, 100);
		is(branch_misses(seq_indirect, 100, two), oracle.missed + (two ? 100 : 1),
		   "an indirect jump to %s",
		   two ? "two places in turn is always missed" : "one place is missed once");
	}
	for (unsigned int depth = 1; depth <= 20; depth++) {
		uint64_t wanted = 1 + (depth > 16 ? depth - 16 : 0);

		is(branch_misses(seq_calls, depth, 0), wanted, "%u calls deep", depth);
	}
	is(branch_misses(seq_calls_page_end, 20, 0), 1 + 4, "calls at the end of a page");
	is(branch_misses(seq_indirect_calls, 100, 0), 14 + 1,
	   "an indirect call is missed once, its returns are not");
}

static void test_faults(void)
{
	uint64_t missed;

	set_handler(VECTOR_GP, fault_handler);
	missed = branch_misses(seq_faulting_call, 0, 0);
	set_handler(VECTOR_GP, NULL);
	is(missed, 1, "a call that faults and is made again is one call");
}

#define VECTOR_TIMER    0x60
#define INTERRUPTS_WANT 100
#define RUNS_MOST       1000

/* What interrupts them comes at any branch; the handler has none that is predicted. */
static void test_interrupts(void)
{
	uint64_t missed, deep;
	bool same = true;

	set_handler(VECTOR_TIMER, interrupt_handler);
	missed = branch_misses(seq_random, 20000, 1);
	deep = branch_misses(seq_calls, 16, 1);
	apic_enable();
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_PERIODIC);
	apic_write(APIC_TIMER_COUNT, 50000);
	for (unsigned int i = 0; i < RUNS_MOST && interrupts < INTERRUPTS_WANT; i++) {
		interrupts_on();
		same = same && branch_misses(seq_random, 20000, 1) == missed;
		same = same && branch_misses(seq_calls, 16, 1) == deep;
		interrupts_off();
	}
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	set_handler(VECTOR_TIMER, NULL);
	print("# %lu interrupts\n", interrupts);
	ok(same && interrupts > 0, "interrupts change nothing of what is missed");
}

uint64_t user_branches(void *unused)
{
	user_loop(unused);
	return 0;
}

void in_user_mode(uint64_t (*function)(void *), void *argument)
{
	wrmsr(0x49, 1);
	__asm__ volatile("wbinvd" ::: "memory");
	zero();
	counters_start(0xf);
	user_call(function, argument);
	counters_stop();
}

void program_levels(enum event event)
{
	pmu_clear();
	counter_program(0, event, SEL_EN | SEL_USR);
	counter_program(1, event, SEL_EN | SEL_OS);
	counter_program(2, event, SEL_ALL);
}

static void test_branch_levels(void)
{
	program_levels(EVENT_BRANCH_MISSES);
	for (unsigned int run = 0; run < 2; run++)
		in_user_mode(user_branches, NULL);
	ok(counter_read(0) >= 14 && counter_read(0) <= 14 + 3,
	   "in ring 3 a loop of 1000 is missed 14 times, and the way there little");
	is(counter_read(0) + counter_read(1), counter_read(2), "USR and OS together are both");
}

static void test_overflow(void)
{
	uint64_t missed;

	start_branches();
	missed = branch_misses(seq_random, 10000, 1);
	counter_write(0, (uint64_t)-100);
	seq_random(10000, 1, 0, 0);
	is(counter_read(0), missed - 100, "a counter of misses overflows and goes on");
	is(pmu_status() & 1, 1, "and its status bit says so");
}

void test_main(void)
{
	pmu_need();
	models_control = pmu.global_ctrl;
	interrupts_off();
	if (!pmu.amd)
		test_advertised();
	start_branches();
	test_examples();
	test_oracle();
	test_indirect();
	test_faults();
	test_interrupts();
	test_branch_levels();
	test_overflow();
	/* Those of AMD's processors are not modelled. */
	if (!pmu.amd)
		test_caches();
	finish();
}
