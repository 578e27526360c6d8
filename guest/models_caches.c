/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Misses of Skylake's caches: see models.c.
 */
#include "models.h"

#define MSR_OFFCORE_RSP_0 0x1a6
#define MSR_OFFCORE_RSP_1 0x1a7
#define OFFCORE_READS     0x3fc0010001ul /* data reads beyond L2 */
#define OFFCORE_OF_STATE  0x84040001ul   /* those that find a modified line: no model tells */
#define LINE              64
#define MIB               0x100000

static uint8_t data[3 * MIB / 2 + 4096] __attribute__((aligned(4096)));

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

void test_caches(void)
{
	start_caches();
	test_loads();
	test_other_accesses();
	test_mappings();
	test_cache_levels();
	test_offcore();
	test_offcore_changes();
	test_not_counted();
}
