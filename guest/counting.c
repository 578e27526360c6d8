/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counts of known code, exactly: instructions, cycles, branches, loads and
 * stores, by privilege level, however the counter is switched on and off, and
 * read in the middle. One cycle is one instruction (cpi=1).
 */
#include "pmu.h"

typedef void sequence(void *);
sequence seq_empty, seq_nops, seq_long, seq_loop, seq_loop_instruction, seq_branches, seq_loads,
	seq_stores, seq_memory, seq_addresses, seq_operands, seq_unknown, seq_invalid, seq_repeat,
	seq_devices, seq_odd, seq_far, seq_self_modifying, seq_reads, seq_fault, seq_toggle;

/* What a sequence holds, its RET and the call to it included. */
struct known {
	const char *name;
	sequence *function;
	unsigned int instructions, branches, conditional, calls, returns, loads, stores;
};

static const struct known sequences[] = {
	{ "an empty function", seq_empty, 2, 2, 0, 1, 1, 1, 1 },
	{ "straight code", seq_nops, 102, 2, 0, 1, 1, 1, 1 },
	{ "several pages of straight code", seq_long, 3002, 2, 0, 1, 1, 1, 1 },
	{ "a loop", seq_loop, 2003, 1002, 1000, 1, 1, 1, 1 },
	{ "LOOP and JRCXZ", seq_loop_instruction, 54, 53, 51, 1, 1, 1, 1 },
	{ "branches of all kinds", seq_branches, 16, 13, 2, 4, 4, 4, 4 },
	{ "loads", seq_loads, 12, 2, 0, 1, 1, 11, 1 },
	{ "stores", seq_stores, 12, 2, 0, 1, 1, 1, 11 },
	{ "PUSH, POP, INC of memory, and LEA", seq_memory, 42, 2, 0, 1, 1, 21, 21 },
	{ "INVLPG, CLFLUSH and their like", seq_addresses, 12, 2, 0, 1, 1, 1, 1 },
	{ "memory operands of all kinds", seq_operands, 26, 2, 0, 1, 1, 16, 14 },
	{ "code with unknown instructions", seq_unknown, 13, 5, 1, 2, 2, 4, 4 },
	{ "device registers", seq_devices, 33, 2, 0, 1, 1, 6, 1 },
};

/* Instructions and branches only: what such code loads and stores is its own affair. */
static const struct known odd_sequences[] = {
	{ "REP MOVSB and REP STOSB", seq_repeat, 9, 2, 0, 0, 0, 0, 0 },
	{ "privileged, locked and serializing instructions", seq_odd, 17, 2, 0, 0, 0, 0, 0 },
	{ "a far return", seq_far, 7, 3, 0, 0, 0, 0, 0 },
	{ "code that changes itself", seq_self_modifying, 10, 2, 0, 0, 0, 0, 0 },
};

/* What measure_all() adds to the sequence and its call. */
#define AROUND (measure_instructions() - 1)

static uint64_t data[128] __attribute__((aligned(64)));

static void measure(const struct known *known)
{
	for (unsigned int i = 0; i < pmu.general; i++)
		counter_write(i, 0);
	for (unsigned int i = 0; i < pmu.fixed; i++)
		counter_write(32 + i, 0);
	measure_all(known->function, data);
}

static void program_all(const enum event events[4])
{
	for (unsigned int i = 0; i < 4; i++)
		counter_program(i, events[i], SEL_ALL);
	for (unsigned int i = 0; i < pmu.fixed; i++)
		counter_program(32 + i, 0, SEL_ALL);
}

/* A second run finds the code translated already, and must count the same. */
#define RUNS 3

/* An event that this PMU has not is left out. */
static bool shows(unsigned int counter, enum event event, const char *what, uint64_t wanted)
{
	uint64_t got = counter_read(counter);

	if (got == wanted || (counter < 32 && !event_exists(event)))
		return true;
	print("# %s: got %lu, wanted %lu\n", what, got, wanted);
	return false;
}

static void test_instructions(const struct known *known)
{
	static const enum event events[] = { EVENT_INSTRUCTIONS, EVENT_CYCLES, EVENT_REF_CYCLES,
					     EVENT_BRANCHES };
	uint64_t wanted = known->instructions + AROUND;
	bool general = true, cycles = true, fixed = true, branches = true;

	program_all(events);
	for (unsigned int run = 0; run < RUNS; run++) {
		measure(known);
		general = shows(0, events[0], "instructions", wanted) && general;
		cycles = is_kvm_guest() ||
			 (shows(1, events[1], "cycles", wanted) &&
			  shows(2, events[2], "reference cycles", wanted) && cycles);
		branches = shows(3, events[3], "branches", known->branches) && branches;
		for (unsigned int i = 0; i < pmu.fixed; i++)
			fixed = shows(32 + i, 0, "a fixed counter", wanted) && fixed;
	}
	ok(general, "instructions of %s are counted exactly by a general counter", known->name);
	if (pmu.fixed)
		ok(fixed, "and by the fixed ones");
	if (!is_kvm_guest())
		ok(cycles, "and so are cycles%s",
		   event_exists(EVENT_REF_CYCLES) ? " and reference cycles" : "");
	ok(branches, "branches of %s are counted exactly", known->name);
}

static void test_branch_kinds(const struct known *known)
{
	static const enum event events[] = { EVENT_CONDITIONAL, EVENT_CALLS, EVENT_RETURNS,
					     EVENT_SKYLAKE_ALL_BRANCHES };
	bool same = true;

	program_all(events);
	for (unsigned int run = 0; run < RUNS; run++) {
		measure(known);
		same = shows(0, events[0], "conditional", known->conditional) && same;
		same = shows(1, events[1], "calls", known->calls) && same;
		same = shows(2, events[2], "returns", known->returns) && same;
		same = shows(3, events[3], "all branches", known->branches) && same;
	}
	ok(same, "conditional branches, %sreturns of %s are counted exactly",
	   event_exists(EVENT_CALLS) ? "calls and " : "", known->name);
}

static void test_memory(const struct known *known)
{
	static const enum event events[] = { EVENT_LOADS, EVENT_STORES, EVENT_INSTRUCTIONS,
					     EVENT_CYCLES };
	bool same = true;

	if (!event_exists(EVENT_LOADS))
		return;
	program_all(events);
	for (unsigned int run = 0; run < RUNS; run++) {
		measure(known);
		same = shows(0, events[0], "loads", known->loads) && same;
		same = shows(1, events[1], "stores", known->stores) && same;
	}
	ok(same, "instructions of %s that load and that store are counted exactly", known->name);
}

static void test_switches(void)
{
	struct measure measure = { .function = seq_nops };
	uint64_t wanted = 102 + MEASURE_INSTRUCTIONS - 1;

	pmu_clear();
	if (pmu.global_ctrl)
		counters_start(pmu_all());
	for (unsigned int i = 0; i < pmu.general; i++) {
		measure.msr = select_msr(i);
		measure.enable = event_select(EVENT_INSTRUCTIONS, SEL_ALL);
		measure.disable = event_select(EVENT_INSTRUCTIONS, 0);
		measured_call(&measure);
		is(counter_read(i), wanted, "general counter %u switched by its PERFEVTSEL", i);
	}
	for (unsigned int i = 0; i < pmu.fixed; i++) {
		measure.msr = MSR_FIXED_CTR_CTRL;
		measure.enable = FIXED_FIELD(i, FIXED_ALL);
		measure.disable = 0;
		measured_call(&measure);
		is(counter_read(32 + i), wanted, "fixed counter %u switched by FIXED_CTR_CTRL", i);
	}
	if (pmu.frozen) {
		counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL);
		wrmsr(pmu.status_set, pmu.frozen);
		counter_write(0, 0);
		seq_nops(NULL);
		is(counter_read(0), 0, "nothing is counted while the status shows frozen counters");
	}
}

/* Where Intel's are reserved AMD's select has its upper part. */
static void test_wide_select(void)
{
	pmu_clear();
	wrmsr(select_msr(0), event_select(EVENT_INSTRUCTIONS, 1ull << 32));
	wrmsr(select_msr(1), event_select(EVENT_INSTRUCTIONS, SEL_PC | SEL_ANY | 1ull << 63));
	for (unsigned int i = 0; i < 2; i++)
		wrmsr(select_msr(i),
		      rdmsr(select_msr(i)) | SEL_USR | SEL_OS | (pmu.global_ctrl ? SEL_EN : 0));
	measure_all(seq_nops, NULL);
	is(counter_read(0), 0, "an event select's bits 35 to 32 are of the event");
	is(counter_read(1), 102 + AROUND, "and its reserved bits of nothing");
}

/* AMD's: EFER.SVME is clear. */
static void test_without_svme(void)
{
	static const uint64_t modes[] = { SEL_HOST_ONLY, SEL_GUEST_ONLY,
					  SEL_HOST_ONLY | SEL_GUEST_ONLY };

	pmu_clear();
	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++)
		counter_program(i, EVENT_INSTRUCTIONS, SEL_ALL | modes[i]);
	counter_program(3, EVENT_INSTRUCTIONS, SEL_ALL);
	measure_all(seq_nops, NULL);
	ok(!counter_read(0) && !counter_read(1) && !counter_read(2),
	   "with EFER.SVME clear a counter with HostOnly or GuestOnly counts nothing");
	is(counter_read(3), 102 + AROUND, "and one without them counts as ever");
}

static void test_toggle(void)
{
	struct {
		uint32_t msr, on, off;
	} toggle = { pmu.global_ctrl, (uint32_t)pmu_general_mask(), 0 };

	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL);
	if (!pmu.global_ctrl) {
		toggle.msr = select_msr(0);
		toggle.on = (uint32_t)event_select(EVENT_INSTRUCTIONS, SEL_ALL);
	}
	for (unsigned int run = 0; run < RUNS; run++) {
		counter_write(0, 0);
		measure_all(seq_toggle, &toggle);
		if (counter_read(0) != 1 + 15 + 11 + AROUND)
			break;
	}
	is(counter_read(0), 1 + 15 + 11 + AROUND,
	   "a counter stopped and started again misses just what runs between");
}

static void test_continues(void)
{
	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL);
	counter_write(0, 1000);
	measure_all(seq_nops, NULL);
	measure_all(seq_nops, NULL);
	is(counter_read(0), 1000 + 2 * (102 + AROUND), "a counter goes on from its value");
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN);
	measure_all(seq_nops, NULL);
	is(counter_read(0), 1000 + 2 * (102 + AROUND), "without USR and OS it stands still");
	counter_program(0, EVENT_BRANCH_MISSES, SEL_ALL);
	counter_program(1, EVENT_LLC_MISSES, SEL_ALL);
	counter_program(2, EVENT_LLC_REFERENCES, SEL_ALL);
	counter_write(0, 0);
	measure_all(seq_loop, NULL);
	ok(!counter_read(0) && !counter_read(1) && !counter_read(2),
	   "an event that is not advertised counts nothing");
}

#define VECTOR_SELF 0x50
#define INTERRUPTS  7

static void interrupt_self(void *unused)
{
	(void)unused;
	interrupts_on();
	for (unsigned int i = 0; i < INTERRUPTS; i++) {
		apic_icr(0, ICR_ASSERT | VECTOR_SELF);
		cpu_relax();
	}
	interrupts_off();
}

/* Each is received, and left by an IRET. */
static void test_interrupts(void)
{
	if (!event_exists(EVENT_INTERRUPTS))
		return;
	pmu_clear();
	counter_program(0, EVENT_INTERRUPTS, SEL_ALL);
	counter_program(1, EVENT_FAR_BRANCHES, SEL_ALL);
	for (unsigned int run = 0; run < RUNS; run++) {
		counter_write(0, 0);
		counter_write(1, 0);
		measure_all(interrupt_self, NULL);
		is(counter_read(0), INTERRUPTS, "interrupts are counted");
		is(counter_read(1), INTERRUPTS, "and so are their handlers' far branches");
	}
}

#define VIDEO_MEMORY 0xb8000ul

/* QEMU runs each instruction there alone, and translates it anew each time. */
static void test_device_code(void)
{
	/* Two PUSH, two POP, MOV $3 to ECX, two REP STOSB, RET. */
	static const uint8_t code[] = { 0x50, 0x50, 0x58, 0x58, 0xb9, 3,    0,
					0,    0,    0xf3, 0xaa, 0xf3, 0xaa, 0xc3 };
	volatile uint8_t *to = (volatile uint8_t *)VIDEO_MEMORY;

	if (!option("video", 0))
		return;
	for (unsigned int i = 0; i < sizeof(code); i++)
		to[i] = code[i];
	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL);
	for (unsigned int run = 0; run < RUNS; run++) {
		counter_write(0, 0);
		measure_all((sequence *)VIDEO_MEMORY, data);
		is(counter_read(0), 9 + AROUND, "code in a device's memory is counted exactly");
	}
}

static void test_reads(unsigned int counter, const char *name)
{
	struct {
		uint32_t msr, index, seen[6];
	} reads = { .index = counter_index(counter) };
	static const uint32_t wanted[] = { 9, 13, 15, 20, 24, 27 };
	bool same = true;

	reads.msr = counter_msr(counter);
	pmu_clear();
	counter_program(counter, EVENT_INSTRUCTIONS, SEL_ALL);
	for (unsigned int run = 0; run < RUNS; run++) {
		counter_write(counter, 0);
		measure_all(seq_reads, &reads);
		for (unsigned int i = 0; i < ARRAY_SIZE(wanted); i++) {
			uint32_t before = wanted[i] + measure_instructions_before(counter) - 1;

			same = same && reads.seen[i] == before;
			if (reads.seen[i] != before)
				print("# read: %u, wanted %u\n", reads.seen[i], before);
		}
	}
	ok(same, "RDMSR and RDPMC in straight code read what %s counted before them", name);
	is(counter_read(counter), 30 + AROUND, "and are counted themselves");
}

static void test_masks(void)
{
	static const struct {
		uint64_t flags;
		unsigned int per_instruction;
		const char *sentence;
	} masks[] = {
		{ SEL_CMASK(1), 1, "cmask=1 counts cycles in which an instruction retires" },
		{ SEL_CMASK(2), 0, "cmask=2 counts nothing: one instruction is one cycle" },
		{ SEL_CMASK(16) | SEL_INV, 1, "cmask=16 inverted counts all cycles" },
		{ SEL_CMASK(1) | SEL_INV, 0, "cmask=1 inverted counts nothing" },
		{ SEL_INV, 1, "without a cmask there is nothing to invert" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(masks); i++) {
		pmu_clear();
		counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL | masks[i].flags);
		measure_all(seq_nops, NULL);
		is(counter_read(0), masks[i].per_instruction * (102 + AROUND), "%s",
		   masks[i].sentence);
	}
	pmu_clear();
	counter_program(0, EVENT_BRANCHES, SEL_ALL | SEL_CMASK(1));
	counter_program(1, EVENT_BRANCHES, SEL_ALL | SEL_CMASK(1) | SEL_INV);
	measure_all(seq_loop, NULL);
	is(counter_read(0), 1002, "cmask=1 counts cycles in which a branch retires");
	is(counter_read(1), 2003 + AROUND - 1002, "and inverted those in which none does");
}

static uint64_t user_sequence(void *function)
{
	((sequence *)function)(data);
	return 0;
}

static void run_in_user(void *function)
{
	user_call(user_sequence, function);
}

struct levels {
	uint64_t user, kernel, both, fixed_user, fixed_kernel;
};

static struct levels measure_levels(sequence *function)
{
	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR);
	counter_program(1, EVENT_INSTRUCTIONS, SEL_EN | SEL_OS);
	counter_program(2, EVENT_INSTRUCTIONS, SEL_ALL);
	if (pmu.fixed) {
		counter_program(32, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR);
		counter_program(33, EVENT_CYCLES, SEL_EN | SEL_OS);
	}
	measure_all(run_in_user, (void *)(uintptr_t)function);
	return (struct levels){ counter_read(0), counter_read(1), counter_read(2),
				pmu.fixed ? counter_read(32) : 0,
				pmu.fixed ? counter_read(33) : 0 };
}

static void test_levels(void)
{
	struct levels warm = measure_levels(seq_empty), base = measure_levels(seq_empty);
	struct levels nops = measure_levels(seq_nops), loop = measure_levels(seq_loop);
	struct levels fault;

	ok(warm.user == base.user && warm.kernel == base.kernel,
	   "the way to ring 3 and back counts the same each time");
	is(nops.user - base.user, 100, "USR counts code in ring 3 exactly");
	is(loop.user - base.user, 2001, "also a loop");
	is(nops.kernel - base.kernel, 0, "OS does not count code in ring 3");
	is(nops.user + nops.kernel, nops.both, "USR and OS together are both");
	if (pmu.fixed)
		ok(nops.fixed_user == nops.user && nops.fixed_kernel == nops.kernel,
		   "fixed counters filter alike");
	fault = measure_levels(seq_fault);
	is(fault.user - base.user, 4, "an instruction that faults is not counted");
	is(fault.user + fault.kernel, fault.both, "and its handler is, once");
	fault = measure_levels(seq_fault);
	is(fault.user - base.user, 4, "nor when it faults again");
	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR);
	counter_program(1, EVENT_BRANCHES, SEL_EN | SEL_USR);
	measure_all(seq_loop, NULL);
	ok(!counter_read(0) && !counter_read(1), "USR does not count code in ring 0");
}

/* In ring 3, less what the way there loads and stores. */
static void test_invalid(void)
{
	uint64_t loads = 0, stores = 0;

	for (unsigned int run = 0; run < 2; run++) {
		pmu_clear();
		counter_program(0, EVENT_LOADS, SEL_EN | SEL_USR);
		counter_program(1, EVENT_STORES, SEL_EN | SEL_USR);
		measure_all(run_in_user, (void *)(uintptr_t)(run ? seq_invalid : seq_empty));
		loads = counter_read(0) - loads;
		stores = counter_read(1) - stores;
	}
	is(loads, 2, "what comes before an invalid instruction loads");
	is(stores, 3, "and stores, but not what comes behind it in its block");
}

void test_main(void)
{
	pmu_need();
	pmu_clear();
	for (unsigned int i = 0; i < ARRAY_SIZE(sequences); i++) {
		test_instructions(&sequences[i]);
		test_branch_kinds(&sequences[i]);
		test_memory(&sequences[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(odd_sequences); i++)
		test_instructions(&odd_sequences[i]);
	test_switches();
	test_toggle();
	if (pmu.amd) {
		test_wide_select();
		test_without_svme();
	}
	test_continues();
	test_interrupts();
	test_device_code();
	test_reads(0, "a general counter");
	test_reads(pmu.general - 1, "the last general counter");
	if (pmu.fixed)
		test_reads(32, "a fixed counter");
	if (!is_kvm_guest())
		test_masks();
	test_levels();
	if (event_exists(EVENT_LOADS))
		test_invalid();
	is(this_cpu()->traps[VECTOR_UD], event_exists(EVENT_LOADS) ? 3 : 2,
	   "no #UD has been seen but those that were asked for");
}
