/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How far a PMI comes from its overflow. The counter counts ring 3 alone, so
 * in the handler its value is the number of instructions after the one that has
 * overflowed it. docs/counting.md has the bounds that are shown here.
 */
#include "pmu.h"

#define VECTOR_PMI 0x50
#define BLOCK_MOST 512 /* instructions in a block of QEMU's */

typedef void code(void *);
code skid_straight, skid_loop, skid_calls, skid_repeat;

static struct {
	uint64_t count, most, least, sum, period;
	uint32_t lvtpc;
} pmi;

static char buffer[4096];

static void on_pmi(struct frame *frame)
{
	uint64_t skid = counter_read(0);

	pmi.count++;
	pmi.sum += skid;
	if (skid > pmi.most)
		pmi.most = skid;
	if (skid < pmi.least)
		pmi.least = skid;
	counter_write(0, 0 - pmi.period);
	pmu_acknowledge(pmi.lvtpc);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
}

static uint64_t in_user(void *function)
{
	((code *)function)(buffer);
	return 0;
}

static void run(void *function)
{
	user_call(in_user, function);
}

static uint64_t length_of(code *function)
{
	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR);
	measure_all(run, (void *)(uintptr_t)function);
	return counter_read(0);
}

static void sample(code *function, uint32_t lvtpc, uint64_t period)
{
	pmu_clear();
	pmi.count = pmi.sum = pmi.most = 0;
	pmi.least = UINT64_MAX;
	pmi.period = period;
	pmi.lvtpc = lvtpc;
	apic_write(APIC_LVTPC, lvtpc);
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR | SEL_INT);
	counter_write(0, 0 - period);
	interrupts_on();
	measure_all(run, (void *)(uintptr_t)function);
	interrupts_off();
}

static const struct {
	const char *name;
	code *function;
	uint64_t most; /* a block's length, less the instruction that overflows */
} codes[] = {
	{ "straight code", skid_straight, BLOCK_MOST - 1 },
	{ "a loop of 3 instructions", skid_loop, 2 },
	{ "calls and returns", skid_calls, 1 },
	{ "a loop with a REP", skid_repeat, 4 },
};

/* Around the code there are other blocks, of user_call's; all of them are short. */
#define AROUND 8

static void test_skid(unsigned int which, uint32_t lvtpc, const char *kind)
{
	static const uint64_t periods[] = { 1, 2, 3, 97, 1000, 4099 };
	uint64_t total = length_of(codes[which].function);
	uint64_t bound = codes[which].most < AROUND ? AROUND : codes[which].most;
	bool bounded = true, all = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(periods); i++) {
		sample(codes[which].function, lvtpc, periods[i]);
		bounded = bounded && pmi.most <= bound;
		/* A period begins when the handler has set it. */
		all = all && pmi.sum + pmi.count * periods[i] <= total &&
		      pmi.sum + (pmi.count + 1) * periods[i] + bound > total;
		if (pmi.count)
			print("# %s, %s, period %lu: %lu PMIs, skid %lu to %lu, mean %lu\n",
			      codes[which].name, kind, periods[i], pmi.count, pmi.least, pmi.most,
			      pmi.sum / pmi.count);
	}
	ok(bounded, "%s, %s: a PMI comes at the end of the block that overflows", codes[which].name,
	   kind);
	ok(all, "%s, %s: each overflow has one, down to a period of 1", codes[which].name, kind);
}

void test_main(void)
{
	pmu_need();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	for (unsigned int i = 0; i < ARRAY_SIZE(codes); i++) {
		test_skid(i, LVT_NMI, "NMI");
		test_skid(i, VECTOR_PMI, "vector");
	}
}
