/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counts, overflows and PMIs agree with the registers whenever anybody looks:
 * in the handlers of PMIs, faults, traps and a timer. Periods put an overflow on
 * every instruction of blocks that are left in the middle (cuts.S).
 *
 * Counter 0 overflows; counter 1 counts the same from 0 on. A sequence's table
 * says what has retired before the instruction that a handler returns to. Where
 * level 0 counts, handlers stop the counters first, and take off what they have
 * counted of the handler: always the same, which is measured before.
 */
#include "cuts.h"
#include "pmu.h"

#define VECTOR_BP    3
#define VECTOR_PMI   0x50
#define VECTOR_TIMER 0x51
#define DEVICE_PAGE  511
#define APIC_ADDRESS 0xfee00000ul
#define TIMER_PERIOD 20000
#define DR7_WRITE    0xd0001ul /* 4 bytes, at DR0 */
#define UD2_LENGTH   2
#define BLOCK_MOST   512 /* instructions in a block of QEMU's */
#define COUNTERS     3ul
#define NO_PERIOD    (1ul << 40)
#define PAGES_USED   160
#define COMPLAINTS   4 /* that are printed, of one verdict */

struct step {
	uint64_t at;
	uint32_t kinds, part;
};

typedef void sequence(void *);
#define SEQUENCE(name)                                                                             \
	extern sequence cuts_##name;                                                               \
	extern const struct step cuts_##name##_steps[]
SEQUENCE(fresh);
SEQUENCE(faults);
SEQUENCE(calls);
SEQUENCE(invalid);
SEQUENCE(traps);
SEQUENCE(device);
SEQUENCE(modifies);
SEQUENCE(repeats);
SEQUENCE(repeats_first);
SEQUENCE(locked);
SEQUENCE(stepped);
SEQUENCE(watched);
SEQUENCE(served);
SEQUENCE(timer);
SEQUENCE(halts);
SEQUENCE(straight);
SEQUENCE(syscalls);
extern const char cuts_syscall_entry[], cuts_behind_hlt[], cuts_behind_syscall[], trap_stubs[];

static char buffer[2 * PAGE] __attribute__((aligned(4096)));

#define BOTH (SEL_USR | SEL_OS)

enum setting { PLAIN, TIMER, WATCH };

static const struct row {
	const char *name;
	sequence *function;
	const struct step *steps;
	enum setting setting;
	uint64_t levels; /* that can be counted: others run code that is not in the table */
} rows[] = {
	{ "stores to fresh pages", cuts_fresh, cuts_fresh_steps, PLAIN, BOTH },
	{ "several faults in a block", cuts_faults, cuts_faults_steps, PLAIN, BOTH },
	{ "calls and returns with faults", cuts_calls, cuts_calls_steps, PLAIN, BOTH },
	{ "invalid instructions", cuts_invalid, cuts_invalid_steps, PLAIN, BOTH },
	{ "traps", cuts_traps, cuts_traps_steps, PLAIN, BOTH },
	{ "device accesses", cuts_device, cuts_device_steps, PLAIN, BOTH },
	{ "code that changes itself", cuts_modifies, cuts_modifies_steps, PLAIN, BOTH },
	{ "REPs with faults", cuts_repeats, cuts_repeats_steps, PLAIN, BOTH },
	{ "REPs that begin a block", cuts_repeats_first, cuts_repeats_first_steps, PLAIN, BOTH },
	{ "locked, unaligned accesses", cuts_locked, cuts_locked_steps, PLAIN, BOTH },
	{ "single-stepped code", cuts_stepped, cuts_stepped_steps, PLAIN, BOTH },
	{ "watchpoints", cuts_watched, cuts_watched_steps, WATCH, BOTH },
	{ "CPUID and RDPMC", cuts_served, cuts_served_steps, PLAIN, BOTH },
	{ "a timer's interrupts", cuts_timer, cuts_timer_steps, TIMER, BOTH },
	{ "HLT", cuts_halts, cuts_halts_steps, TIMER, SEL_OS },
	{ "long blocks", cuts_straight, cuts_straight_steps, PLAIN, BOTH },
	{ "SYSCALLs", cuts_syscalls, cuts_syscalls_steps, PLAIN, SEL_USR },
};

static const struct kind {
	const char *name;
	enum event event;
	uint32_t kinds;       /* 0: every instruction */
	unsigned int calling; /* of the CALL that leads to a sequence */
	unsigned int pushing; /* of the PUSH where an exception has no error code */
} kinds[] = {
	{ "instructions", EVENT_INSTRUCTIONS, 0, 1, 1 },
	{ "branches", EVENT_BRANCHES, BRANCH, 1, 0 },
	{ "conditional branches", EVENT_CONDITIONAL, CONDITIONAL, 0, 0 },
	{ "calls", EVENT_CALLS, CALL, 1, 0 },
	{ "returns", EVENT_RETURNS, RETURN, 0, 0 },
	{ "loads", EVENT_LOADS, LOAD, 0, 0 },
	{ "stores", EVENT_STORES, STORE, 1, 1 },
};

static const struct setup {
	const char *name;
	uint64_t levels; /* that are counted */
	bool in_user;
	uint32_t lvtpc;
} setups[] = {
	{ "in ring 3, NMI", SEL_USR, true, LVT_NMI },
	{ "in ring 3, vector", SEL_USR, true, VECTOR_PMI },
	{ "in ring 0, NMI", SEL_OS, false, LVT_NMI },
	{ "in ring 3, both levels counted, NMI", SEL_USR | SEL_OS, true, LVT_NMI },
};

static const unsigned int periods[] = { 1,  2,  3,  4,  5,  6,  7,   8,   9,
					10, 11, 12, 13, 37, 97, 599, 603, 1009 };

/* What is being run, and what handlers have seen. */
static struct {
	const struct row *row;
	const struct kind *kind;
	const struct setup *setup;
	uint64_t period;
	uint64_t armed; /* counter 1 when counter 0 was armed */
	uint64_t start; /* counter 1 where the sequence starts */
	/* What a handler counts of itself, before it stops the counters and behind. */
	uint64_t entering, leaving;
	unsigned int calibrations;
	uint64_t pmis, traps;
	unsigned int wrong;
} run;

static uint64_t weight(const struct step *step)
{
	if (step->kinds & NEVER)
		return 0;
	return !run.kind->kinds || (step->kinds & run.kind->kinds);
}

/* Turns that are over at an instruction; behind the last, all but the one that the table shows. */
static uint64_t turns_done(const struct step *at, uint32_t left)
{
	uint64_t turns = run.row->steps->at;

	switch (at->part) {
	case IN_TURN:
		return turns - left;
	case BEHIND_DECREASE:
		return turns - left - 1;
	case BEHIND_TURNS:
		return turns - 1;
	default:
		return 0;
	}
}

/* The sequence's events before the instruction that a handler returns to, if it is one of it. */
static bool events_before(const struct frame *frame, uint64_t *count)
{
	const struct step *first = run.row->steps + 1, *at = first;
	uint64_t done;

	while (at->at && at->at != frame->rip)
		at++;
	if (!at->at)
		return false;
	done = turns_done(at, (uint32_t)frame->r8);
	*count = 0;
	for (const struct step *step = first; step->at; step++) {
		bool turns = step->part == IN_TURN || step->part == BEHIND_DECREASE;

		*count += weight(step) * ((turns ? done : 0) + (step < at));
	}
	return true;
}

static bool complain(const struct frame *frame, const char *what, uint64_t got, uint64_t wanted)
{
	if (run.wrong++ < COMPLAINTS)
		print("# %s, %s, period %lu: vector %lu at %lx, r8 %lu: %s: got %ld, wanted %ld\n",
		      run.kind->name, run.setup->name, run.period, frame ? frame->vector : 0,
		      frame ? frame->rip : 0, frame ? frame->r8 : 0, what, (long)got, (long)wanted);
	return false;
}

static void expect(const struct frame *frame, const char *what, uint64_t got, uint64_t wanted)
{
	if (got != wanted)
		complain(frame, what, got, wanted);
}

/* A counter's value as a number of either sign. */
static int64_t signed_read(unsigned int counter)
{
	unsigned int spare = 64 - pmu.general_width;

	return (int64_t)(counter_read(counter) << spare) >> spare;
}

static bool overflowed(int64_t now)
{
	return now - (int64_t)run.armed >= (int64_t)run.period;
}

/* The counters against each other, and the status against them. */
static int64_t check_counters(const struct frame *frame)
{
	int64_t value = signed_read(0), now = signed_read(1);

	expect(frame, "value", (uint64_t)value, (uint64_t)now - run.armed - run.period);
	if (pmu.status)
		expect(frame, "overflow", pmu_status() & 1, overflowed(now));
	return now;
}

/* The timer's interrupt has just come, and has woken the processor. */
static bool is_woken_by_timer(const struct frame *frame)
{
	return frame->rip == (uintptr_t)trap_stubs + 16 * VECTOR_TIMER &&
	       *(const uint64_t *)frame->rsp == (uintptr_t)cuts_behind_hlt;
}

/* Level 0, where an NMI could have come, has been left again. */
static bool is_behind_syscall(const struct frame *frame)
{
	return frame->vector == VECTOR_NMI && frame->rip == (uintptr_t)cuts_behind_syscall;
}

static bool is_pmi(const struct frame *frame)
{
	return frame->vector == VECTOR_NMI || frame->vector == VECTOR_PMI;
}

static void calibrate(uint64_t now, uint64_t count)
{
	if (run.calibrations == 2 && !run.setup->in_user)
		run.entering = now - run.start - count;
	else if (run.calibrations == 2)
		run.start = now - run.entering - count;
	else
		run.leaving = now - run.entering - run.start - count;
	run.calibrations--;
}

static void map_page(void)
{
	uint64_t page = (read_cr2() - WINDOW) / PAGE;

	if (page >= PAGES_USED)
		bail_out("a page fault outside the window");
	window_map((unsigned int)page, buffer);
}

static void serve(struct frame *frame, uint64_t then)
{
	run.traps += !is_pmi(frame);
	switch (frame->vector) {
	case VECTOR_DB:
		__asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ul));
		break;
	case VECTOR_UD:
		frame->rip += UD2_LENGTH;
		break;
	case VECTOR_PF:
		map_page();
		break;
	case VECTOR_NMI:
	case VECTOR_PMI:
		run.pmis++;
		run.armed = then;
		pmu_acknowledge(run.setup->lvtpc);
		break;
	default:
		break;
	}
	if (frame->vector == VECTOR_PMI || frame->vector == VECTOR_TIMER)
		apic_write(APIC_EOI, 0);
}

static void write_counters(uint64_t now)
{
	counter_write(0, now - run.armed - run.period);
	counter_write(1, now);
}

/* What the handler has counted of itself until it has stopped the counters. */
static uint64_t entering(const struct frame *frame)
{
	if (run.entering && frame->vector == VECTOR_PF)
		return run.entering - run.kind->pushing;
	return run.entering;
}

/* With what the counters showed where the handler returns to. */
static void check_pmi(const struct frame *frame, int64_t then)
{
	if (!overflowed(then))
		complain(frame, "PMI before the overflow", (uint64_t)then - run.armed, run.period);
	if (is_woken_by_timer(frame) || is_behind_syscall(frame))
		complain(frame, "PMI late, behind HLT or SYSCALL", 0, 0);
	if (overflowed(then - BLOCK_MOST))
		complain(frame, "PMI late", (uint64_t)then - run.armed, run.period);
}

/* The counters stand still. They may have done so before this handler. */
static __attribute__((noinline)) void look(struct frame *frame, bool were_on)
{
	uint64_t now = (uint64_t)check_counters(frame), then = now, count;

	if (were_on)
		then -= entering(frame);
	if (were_on && events_before(frame, &count)) {
		if (run.calibrations) {
			calibrate(now, count);
			then = run.start + count;
		}
		expect(frame, "count", then, run.start + count);
	}
	if (is_pmi(frame))
		check_pmi(frame, (int64_t)then);
	serve(frame, then);
	if (is_pmi(frame) || then != now)
		write_counters(then - (were_on ? run.leaving : 0));
}

static void on_trap(struct frame *frame)
{
	bool were_on = counters_are_on();

	counters_stop();
	look(frame, were_on);
	if (were_on)
		counters_start(COUNTERS);
}

static void prepare(void)
{
	for (unsigned int page = 0; page < PAGES_USED; page++)
		window_unmap(page);
	if (run.row->setting == WATCH)
		__asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7"
				 :
				 : "r"(buffer + 64), "r"(DR7_WRITE));
	if (run.row->setting == TIMER) {
		apic_write(APIC_TIMER_DIVIDE, 0xb);
		apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
		apic_write(APIC_TIMER_COUNT, TIMER_PERIOD);
	}
}

static void clean_up(void)
{
	apic_write(APIC_TIMER_COUNT, 0);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	/* What is waiting comes now. */
	__asm__ volatile("sti\n\tnop\n\tnop\n\tcli" ::: "memory");
	__asm__ volatile("mov %0, %%dr7" : : "r"(0ul));
}

static void run_sequence(void)
{
	if (!run.setup->in_user) {
		const struct measure measure = {
			.enable = COUNTERS,
			.function = run.row->function,
			.argument = buffer,
			.msr = pmu.global_ctrl,
		};

		measured_call(&measure);
		return;
	}
	counters_start(COUNTERS);
	user_call((uint64_t(*)(void *))(uintptr_t)run.row->function, buffer);
	counters_stop();
}

static void run_once(uint64_t period)
{
	run.period = period;
	run.armed = 0;
	pmu_clear();
	prepare();
	counter_program(0, run.kind->event, run.setup->levels | SEL_EN | SEL_INT);
	counter_program(1, run.kind->event, run.setup->levels | SEL_EN);
	write_counters(0);
	apic_write(APIC_LVTPC, run.setup->lvtpc);
	interrupts_on();
	run_sequence();
	interrupts_off();
	expect(NULL, "overflow without a PMI at the end", overflowed(check_counters(NULL)), 0);
	clean_up();
}

/* What level 0 counts of a handler, with breakpoints, which are there in any case. */
static void run_calibration(const struct setup *setup)
{
	static const struct row traps = { "calibration", cuts_traps, cuts_traps_steps, PLAIN, 0 };

	run.row = &traps;
	run.setup = setup;
	run.leaving = 0;
	run.calibrations = 2;
	run_once(NO_PERIOD);
}

static void prepare_kind(const struct kind *kind, const struct setup *setup)
{
	run.kind = kind;
	run.entering = run.leaving = 0;
	run.start = kind->calling;
	if (setup->levels & SEL_OS)
		run_calibration(&setups[2]);
	if (setup->in_user && (setup->levels & SEL_OS))
		run_calibration(setup);
}

/* Without global control handlers cannot stop both counters at one instruction of level 0. */
static bool can_count(const struct row *row, const struct setup *setup)
{
	return !(setup->levels & ~row->levels) && (pmu.global_ctrl || setup->levels == SEL_USR);
}

static bool fits(const struct row *row, unsigned int period)
{
	return row->function != cuts_timer || period >= 97;
}

static void test_row(const struct row *row, const struct setup *setup)
{
	run.wrong = 0;
	run.pmis = run.traps = 0;
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (!event_exists(kinds[k].event))
			continue;
		prepare_kind(&kinds[k], setup);
		run.row = row;
		run.setup = setup;
		for (unsigned int i = 0; i < ARRAY_SIZE(periods); i++)
			if (fits(row, periods[i]))
				run_once(periods[i]);
	}
	if (run.wrong)
		print("# %u times of %lu PMIs and %lu other traps\n", run.wrong, run.pmis,
		      run.traps);
	ok(!run.wrong && run.pmis && run.traps,
	   "%s, %s: counts, overflows and PMIs agree with the registers", row->name, setup->name);
}

void test_main(void)
{
	static const unsigned int vectors[] = { VECTOR_DB, VECTOR_NMI, VECTOR_BP,   VECTOR_UD,
						VECTOR_PF, VECTOR_PMI, VECTOR_TIMER };

	pmu_need();
	allow_syscall(cuts_syscall_entry);
	write_cr4(read_cr4() | CR4_PCE);
	window_map(DEVICE_PAGE, (const void *)APIC_ADDRESS);
	for (unsigned int i = 0; i < ARRAY_SIZE(vectors); i++)
		trap_hook[vectors[i]] = on_trap;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned int s = 0; s < ARRAY_SIZE(setups); s++)
			if (can_count(&rows[i], &setups[s]))
				test_row(&rows[i], &setups[s]);
}
