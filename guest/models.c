/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Misses of branches and caches whose number docs/models.md tells: what a guest
 * counts is what the page's own examples say, and what plain code that follows
 * its text (oracle_*) computes for the addresses at hand.
 */
#include "pmu.h"

#define MSR_OFFCORE_RSP_0 0x1a6
#define MSR_OFFCORE_RSP_1 0x1a7
#define OFFCORE_READS     0x3fc0010001ul /* data reads beyond L2 */
#define OFFCORE_OF_STATE  0x84040001ul   /* those that find a modified line: no model tells */

typedef void sequence(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

#define SEQUENCE(name)                                                                             \
	extern sequence name;                                                                      \
	extern const char name##_from[], name##_to[]

SEQUENCE(seq_nothing);
SEQUENCE(seq_loop);
SEQUENCE(seq_loop_instruction);
SEQUENCE(seq_nested);
SEQUENCE(seq_alternating);
SEQUENCE(seq_random);
SEQUENCE(seq_straight_taken);
SEQUENCE(seq_straight_not_taken);
SEQUENCE(seq_straight_to_next);
SEQUENCE(seq_page_end);
SEQUENCE(seq_page_across);
SEQUENCE(seq_indirect);
SEQUENCE(seq_calls);
SEQUENCE(seq_calls_page_end);
SEQUENCE(seq_indirect_calls);
SEQUENCE(seq_faulting_call);
SEQUENCE(seq_load);
SEQUENCE(seq_store);
SEQUENCE(seq_modify);
SEQUENCE(seq_byte);
SEQUENCE(seq_prefetch);
SEQUENCE(seq_stos);
SEQUENCE(seq_code);
SEQUENCE(seq_emptied);
SEQUENCE(seq_across_lines);

extern const char loop_branch[], loop_instruction_branch[], nested_inner[], nested_outer[],
	alternating_branch[], alternating_loop[], random_branch[], random_loop[], straight_taken[],
	indirect_choice[], indirect_loop[];
extern const char fault_handler[], interrupt_handler[];
extern volatile uint64_t interrupts;
extern void user_loop(void *), user_loads(void *);

#define LINE 64
#define MIB  0x100000

static uint8_t data[3 * MIB / 2 + 4096] __attribute__((aligned(4096)));

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

static void program(const enum event events[4])
{
	pmu_clear();
	for (unsigned int i = 0; i < 4; i++)
		counter_program(i, events[i], SEL_ALL);
}

static void zero(void)
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

static uint64_t user_branches(void *unused)
{
	user_loop(unused);
	return 0;
}

static void in_user_mode(uint64_t (*function)(void *), void *argument)
{
	wrmsr(0x49, 1);
	__asm__ volatile("wbinvd" ::: "memory");
	zero();
	wrmsr(MSR_GLOBAL_CTRL, 0xf);
	user_call(function, argument);
	wrmsr(MSR_GLOBAL_CTRL, 0);
}

static void program_levels(enum event event)
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
	is(rdmsr(MSR_GLOBAL_STATUS) & 1, 1, "and its status bit says so");
}

static void start_caches(void)
{
	static const enum event events[] = { EVENT_SKYLAKE_L1D_REPLACEMENT,
					     EVENT_SKYLAKE_L1I_MISSES, EVENT_LLC_REFERENCES,
					     EVENT_LLC_MISSES };

	program(events);
	seq_nothing(0, 0, 0, 0);
}

struct walk {
	uint64_t from, count, stride, passes;
	uint64_t fills, references, misses; /* of data */
	const char *sentence;
};

#define LINES_OF(name) (((uintptr_t)name##_to - 1) / LINE - (uintptr_t)name##_from / LINE + 1)

/* Code is fetched from memory: its lines miss everywhere, once. */
static void check_walk(sequence *function, uint64_t code, const struct walk *w)
{
	bool holds = true;

	for (unsigned int run = 0; run < 2; run++) {
		zero();
		function((uintptr_t)data + w->from, w->count, w->stride, w->passes);
		holds = holds && counter_read(0) == w->fills && counter_read(1) == code &&
			counter_read(2) == w->references + code &&
			counter_read(3) == w->misses + code;
		if (!holds)
			print("# L1D %lu (%lu) L1I %lu (%lu) LLC %lu (%lu) missed %lu (%lu)\n",
			      counter_read(0), w->fills, counter_read(1), code, counter_read(2),
			      w->references + code, counter_read(3), w->misses + code);
	}
	ok(holds, "%s", w->sentence);
}

static void test_loads(void)
{
	static const struct walk walks[] = {
		{ 0, 512, 64, 4, 512, 512, 512, "512 lines fit" },
		{ 0, 513, 64, 4, 513 + 3 * 9, 513, 513, "513 lines: those of a set do not" },
		{ 0, 1024, 64, 4, 4 * 1024, 1024, 1024, "1024 lines do not fit" },
		{ 0, 8, 4096, 10, 8, 8, 8, "8 lines of a set fit" },
		{ 0, 9, 4096, 10, 90, 9, 9, "9 lines of a set do not" },
		{ 0, 4096, 8, 2, 512, 512, 512, "8 bytes of a line after the other" },
		{ 60, 1, 64, 10, 2, 2, 2, "a load across two lines" },
		{ 60, 256, 64, 2, 257, 257, 257, "loads across lines" },
		{ 4092, 1, 64, 10, 2, 2, 2, "a load across two pages" },
		{ 0, 24576, 64, 2, 2 * 24576, 2 * 24576, 24576, "1.5 MiB: past L2" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(walks); i++)
		check_walk(seq_load, LINES_OF(seq_load), &walks[i]);
}

static void test_other_accesses(void)
{
	static const struct walk kept = { 0, 512, 64, 4, 512, 512, 512, "stores fill alike" };
	static const struct walk modified = { 0, 513, 64, 2, 513 + 9, 513, 513, "INC, too" };
	static const struct walk bytes = { 0, 4096, 1, 2, 64, 64, 64, "bytes of a page" };
	static const struct walk none = { 0, 512, 64, 4, 0, 0, 0, "PREFETCH fills nothing" };
	static const struct walk stos = { 1, 4096, 0, 0, 65, 65, 65, "REP STOSB" };
	static const struct walk code = { 3, 0, 0, 0, 0, 0, 0, "520 lines of code" };

	check_walk(seq_store, LINES_OF(seq_store), &kept);
	check_walk(seq_modify, LINES_OF(seq_modify), &modified);
	check_walk(seq_byte, LINES_OF(seq_byte), &bytes);
	check_walk(seq_prefetch, LINES_OF(seq_prefetch), &none);
	check_walk(seq_stos, LINES_OF(seq_stos), &stos);
	zero();
	seq_code(3, 0, 0, 0);
	is(counter_read(1), 520 + 2 * 8 * 9 + 1, "%s", code.sentence);
	is(counter_read(2), 521, "and they stay in L2");
	zero();
	seq_across_lines(0, 0, 0, 0);
	is(counter_read(1), 4, "an instruction across lines is fetched from both");
	zero();
	seq_emptied((uintptr_t)data, 0, 0, 0);
	is(counter_read(0), 2, "WBINVD empties the caches of data");
	is(counter_read(1), 2, "and of code");
	is(counter_read(3), 4, "at all levels");
}

static void test_mappings(void)
{
	zero();
	ALIAS_OF(seq_load)((uintptr_t)ALIAS_OF(&data[0]), 512, 64, 4);
	is(counter_read(0), 512, "through another mapping the same lines are filled");
	is(counter_read(1), LINES_OF(seq_load), "and the same code is fetched");
	zero();
	seq_load((uintptr_t)data, 2, ALIAS, 10);
	is(counter_read(0), 1, "two mappings of a page are one line");
	zero();
	seq_load(0xfee00030, 1, 0, 10);
	is(counter_read(0), 0, "a device is not cached");
}

static uint64_t user_lines(void *from)
{
	user_loads(from);
	return 0;
}

static void test_cache_levels(void)
{
	uint64_t few, many;

	program_levels(EVENT_SKYLAKE_L1D_REPLACEMENT);
	for (unsigned int run = 0; run < 2; run++)
		in_user_mode(user_branches, NULL);
	few = counter_read(0);
	in_user_mode(user_lines, data);
	many = counter_read(0);
	is(many - few, 64, "in ring 3 64 lines are filled");
	is(counter_read(0) + counter_read(1), counter_read(2), "USR and OS together are both");
}

/* What Linux programs for LLC-loads, LLC-load-misses, LLC-stores, LLC-store-misses. */
static void test_offcore(void)
{
	static const enum event events[] = { EVENT_SKYLAKE_OFFCORE_0, EVENT_SKYLAKE_OFFCORE_1,
					     EVENT_SKYLAKE_OFFCORE_0, EVENT_INSTRUCTIONS };

	wrmsr(MSR_OFFCORE_RSP_0, 0x3fc0010001);
	wrmsr(MSR_OFFCORE_RSP_1, 0x3ffc020001);
	is(rdmsr(MSR_OFFCORE_RSP_0), 0x3fc0010001, "OFFCORE_RSP_0 keeps its value");
	program(events);
	seq_nothing(0, 0, 0, 0);
	zero();
	seq_load((uintptr_t)data, 24576, 64, 2);
	is(counter_read(0), 2 * 24576, "B7/01 counts data reads that miss L2");
	is(counter_read(1), 24576, "BB/01 counts those that miss the LLC");
	wrmsr(MSR_OFFCORE_RSP_0, 0x3fc0010002);
	wrmsr(MSR_OFFCORE_RSP_1, 0x3ffc020002);
	zero();
	seq_load((uintptr_t)data, 24576, 64, 2);
	is(counter_read(0) + counter_read(1), 0, "asked for stores they count no loads");
	zero();
	seq_store((uintptr_t)data, 24576, 64, 2);
	is(counter_read(0), 2 * 24576, "but stores that miss L2");
	is(counter_read(1), 24576, "and those that miss the LLC");
	wrmsr(MSR_OFFCORE_RSP_0, 0x801c0001);
	zero();
	seq_load((uintptr_t)data, 24576, 64, 2);
	is(counter_read(0), 24576, "and those that hit the LLC");
}

static uint64_t offcore_reads(unsigned int counter, uint64_t value)
{
	wrmsr(MSR_OFFCORE_RSP_0, value);
	zero();
	seq_load((uintptr_t)data, 24576, 64, 2);
	return counter_read(counter);
}

static void test_offcore_changes(void)
{
	static const enum event events[] = { EVENT_INSTRUCTIONS, EVENT_INSTRUCTIONS,
					     EVENT_INSTRUCTIONS, EVENT_SKYLAKE_OFFCORE_0 };

	wrmsr(MSR_OFFCORE_RSP_0, OFFCORE_OF_STATE);
	program(events);
	is(offcore_reads(3, OFFCORE_OF_STATE), 0, "a value that no model can tell counts nothing");
	is(offcore_reads(3, OFFCORE_READS), 2 * 24576,
	   "the same counter counts with another value");
	is(offcore_reads(3, OFFCORE_OF_STATE), 0, "and no more when that has been taken back");
	offcore_reads(3, OFFCORE_READS);
	counter_program(3, EVENT_SKYLAKE_OFFCORE_0, 0);
	counter_program(1, EVENT_SKYLAKE_OFFCORE_0, SEL_ALL);
	is(offcore_reads(1, 0), 0, "another counter counts with another value");
	counter_program(1, EVENT_SKYLAKE_OFFCORE_0, 0);
	wrmsr(MSR_OFFCORE_RSP_0, OFFCORE_READS);
	counter_program(3, EVENT_SKYLAKE_OFFCORE_0, SEL_ALL);
	is(offcore_reads(3, OFFCORE_READS), 2 * 24576, "and the first, started again, as before");
	wrmsr(MSR_OFFCORE_RSP_0, 0);
}

static void test_not_counted(void)
{
	static const enum event events[] = { EVENT_SKYLAKE_L1D_REPLACEMENT,
					     EVENT_SKYLAKE_DTLB_MISSES,
					     EVENT_SKYLAKE_L1D_LOAD_MISSES, EVENT_INSTRUCTIONS };
	uint64_t instructions;
	bool enabled = true;

	program(events);
	counter_program(0, EVENT_SKYLAKE_L1D_REPLACEMENT, SEL_ALL | SEL_CMASK(1));
	zero();
	seq_load((uintptr_t)data, 512, 64, 2);
	is(counter_read(0) + counter_read(1) + counter_read(2), 0,
	   "what no model tells is not counted");
	/* The same counters, and nothing changed but their events. */
	instructions = counter_read(3);
	for (unsigned int i = 0; i < 3; i++)
		counter_program(i, EVENT_INSTRUCTIONS, rdmsr(MSR_PERFEVTSEL0 + i) & SEL_ALL);
	zero();
	seq_load((uintptr_t)data, 512, 64, 2);
	for (unsigned int i = 0; i < 4; i++)
		enabled = enabled && counter_read(i) == instructions;
	ok(enabled && instructions > 0, "though its counters are enabled");
}

void test_main(void)
{
	pmu_need();
	interrupts_off();
	test_advertised();
	start_branches();
	test_examples();
	test_oracle();
	test_indirect();
	test_faults();
	test_interrupts();
	test_branch_levels();
	test_overflow();
	start_caches();
	test_loads();
	test_other_accesses();
	test_mappings();
	test_cache_levels();
	test_offcore();
	test_offcore_changes();
	test_not_counted();
	finish();
}
