/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RDMSR, WRMSR, RDPMC and CPUID must leave no trace beside their results:
 * flags, single-step traps, code that is mapped twice, instructions at the end
 * of a page. Each with the PMU idle and counting.
 */
#include "transparent.h"

#define DR6_BS   (1ul << 14)
#define DR6_NONE 0xffff0ff0ul

const char *const names[] = { "nothing", "RDMSR", "WRMSR", "RDPMC", "CPUID" };

/* transparent.S knows the offsets. */
struct inputs {
	uint32_t ecx, eax, edx, unused;
	uint64_t a, b, memory;
};

typedef uint64_t flag_case(struct inputs *);
extern flag_case *const flag_table[][2][INSTRUCTIONS], *const flag_table_end[][2][INSTRUCTIONS];

static const uint64_t values[][2] = {
	{ 0, 0 },
	{ 1, ~0ull },
	{ 0x7fffffffffffffff, 1 },
	{ 0x8000000000000000, 0x8000000000000000 },
	{ 0x0f, 0x01 },
	{ 0x7f7f7f7f7f7f7f7f, 0x0101010101010101 },
	{ 0xfedcba9876543210, 0x0123456789abcdef },
	{ 3, 0x8080808080808080 },
	{ 0x80, 0x7f },
};

/* A register that switches a counter on and off, and its value when that is on. */
static uint32_t switching_msr(void)
{
	return pmu.fixed ? MSR_FIXED_CTR_CTRL : select_msr(pmu.general - 1);
}

static uint32_t switched_on(void)
{
	return pmu.fixed ? FIXED_ALL : (uint32_t)event_select(EVENT_INSTRUCTIONS, SEL_ALL);
}

static struct inputs inputs_of(enum instruction instruction)
{
	struct inputs inputs = { 0 };

	inputs.ecx = instruction == RDPMC ? 0 : switching_msr();
	inputs.eax = instruction == CPUID ? pmu.leaf : 0;
	return inputs;
}

struct flags_run {
	enum instruction instruction;
	bool toggle; /* WRMSR switches counting on and off */
	uint64_t set, clear;
	unsigned int wrong;
};

static uint64_t flags_of(flag_case *function, enum instruction instruction, unsigned int pair,
			 uint32_t eax)
{
	struct inputs inputs = inputs_of(instruction);

	if (instruction == WRMSR)
		inputs.eax = eax;
	inputs.a = values[pair][0];
	inputs.b = values[pair][1];
	return function(&inputs) & FLAG_STATUS;
}

static uint64_t run_flags(void *argument)
{
	struct flags_run *run = argument;
	size_t rows = (size_t)(flag_table_end - flag_table);

	for (size_t i = 0; i < rows * 2 * ARRAY_SIZE(values); i++) {
		size_t row = i / (2 * ARRAY_SIZE(values)), use = i / ARRAY_SIZE(values) % 2;
		unsigned int pair = (unsigned int)(i % ARRAY_SIZE(values));
		uint32_t eax = run->toggle && i % 2 ? switched_on() : 0;
		uint64_t wanted = flags_of(flag_table[row][use][NONE], NONE, pair, 0);
		uint64_t got = flags_of(flag_table[row][use][run->instruction], run->instruction,
					pair, eax);

		run->set |= got;
		run->clear |= ~got & FLAG_STATUS;
		run->wrong += got != wanted;
	}
	return 0;
}

static void test_flags(enum instruction instruction, bool toggle, bool user, const char *when)
{
	struct flags_run run = { .instruction = instruction, .toggle = toggle };

	if (user)
		user_call(run_flags, &run);
	else
		run_flags(&run);
	if (!is(run.wrong, 0, "flags survive %s, %s", names[instruction], when))
		print("# of %lu cases\n",
		      (uint64_t)(flag_table_end - flag_table) * 2 * ARRAY_SIZE(values));
	ok(run.set == FLAG_STATUS && run.clear == FLAG_STATUS,
	   "each of the six flags has been seen set and clear");
}

/* Single step */

typedef uint64_t step_case(struct inputs *);
extern step_case step_rdmsr, step_wrmsr, step_rdpmc, step_cpuid;
extern const char step_rdmsr_add[], step_rdmsr_at[], step_rdmsr_next[], step_rdmsr_end[],
	step_wrmsr_add[], step_wrmsr_at[], step_wrmsr_next[], step_wrmsr_end[], step_rdpmc_add[],
	step_rdpmc_at[], step_rdpmc_next[], step_rdpmc_end[], step_cpuid_add[], step_cpuid_at[],
	step_cpuid_next[], step_cpuid_end[];

static const struct {
	step_case *function;
	const char *stops[4];
} steps[] = {
	[RDMSR] = { step_rdmsr,
		    { step_rdmsr_add, step_rdmsr_at, step_rdmsr_next, step_rdmsr_end } },
	[WRMSR] = { step_wrmsr,
		    { step_wrmsr_add, step_wrmsr_at, step_wrmsr_next, step_wrmsr_end } },
	[RDPMC] = { step_rdpmc,
		    { step_rdpmc_add, step_rdpmc_at, step_rdpmc_next, step_rdpmc_end } },
	[CPUID] = { step_cpuid,
		    { step_cpuid_add, step_cpuid_at, step_cpuid_next, step_cpuid_end } },
};

static struct {
	unsigned int count;
	uint64_t rip[16], flags[16], dr6[16];
} stops;

static void on_debug(struct frame *frame)
{
	uint64_t dr6;

	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	__asm__ volatile("mov %0, %%dr6" : : "r"(DR6_NONE));
	if (stops.count < ARRAY_SIZE(stops.rip)) {
		stops.rip[stops.count] = frame->rip;
		stops.flags[stops.count] = frame->rflags & FLAG_STATUS;
		stops.dr6[stops.count] = dr6;
	}
	stops.count++;
}

static uint64_t run_step(void *argument)
{
	enum instruction instruction = *(enum instruction *)argument;
	struct inputs inputs = inputs_of(instruction);

	inputs.a = 0x7fffffffffffffff;
	inputs.b = 1;
	return steps[instruction].function(&inputs);
}

static void test_step(enum instruction instruction, bool user, const char *when)
{
	bool rip = true, bs = true;

	memset(&stops, 0, sizeof(stops));
	if (user)
		user_call(run_step, &instruction);
	else
		run_step(&instruction);
	for (unsigned int i = 0; i < 4; i++) {
		rip = rip && stops.rip[i] == (uintptr_t)steps[instruction].stops[i];
		bs = bs && (stops.dr6[i] & DR6_BS);
	}
	if (!ok(rip, "single step stops once behind %s, %s", names[instruction], when))
		for (unsigned int i = 0; i < stops.count && i < 8; i++)
			print("# stop at %lx\n", stops.rip[i]);
	ok(bs, "each time with DR6.BS set");
	is(stops.flags[2], stops.flags[1], "and with the flags from before it");
}

/* Two mappings of the same code */

static bool good_accesses(uintptr_t offset)
{
	probe_function *rd = (probe_function *)((uintptr_t)probe_rdmsr + offset);
	probe_function *wr = (probe_function *)((uintptr_t)probe_wrmsr + offset);
	probe_function *pmc = (probe_function *)((uintptr_t)probe_rdpmc + offset);
	probe_function *id = (probe_function *)((uintptr_t)probe_cpuid + offset);
	static uint32_t number;
	struct probe probe = { ++number, 0, counter_msr(1), 0x1234, FLAG_ALWAYS };

	if (!wr(&probe))
		return false;
	probe.rax = probe.rdx = 0x5555;
	if (!rd(&probe) || probe.rax != number || probe.rdx != 0x1234)
		return false;
	probe = (struct probe){ 0, 0, 1, 0, FLAG_ALWAYS };
	if (!pmc(&probe) || probe.rax != number || probe.rdx != 0x1234)
		return false;
	probe = (struct probe){ pmu.leaf, 0, 0, 0, FLAG_ALWAYS };
	return id(&probe) && probe.rax == cpuid(pmu.leaf, 0).eax &&
	       probe.rcx == cpuid(pmu.leaf, 0).ecx;
}

static bool faults_at(probe_function *function, const char *at, uint32_t ecx, uintptr_t offset)
{
	struct probe probe = { 0, 0, ecx, 1 << 24, FLAG_ALWAYS };
	const struct frame *fault = &this_cpu()->fault;

	function = (probe_function *)((uintptr_t)function + offset);
	return !function(&probe) && fault->vector == VECTOR_GP && fault->rcx == ecx &&
	       fault->rip == (uintptr_t)at + offset && fault->error == 0;
}

static bool bad_accesses(uintptr_t offset)
{
	uint32_t absent = pmu_absent_msr(), refusing = pmu.amd ? absent : MSR_GLOBAL_CTRL;

	return (!absent || (faults_at(probe_rdmsr, probe_rdmsr_at, absent, offset) &&
			    faults_at(probe_wrmsr, probe_wrmsr_at, refusing, offset))) &&
	       faults_at(probe_rdpmc, probe_rdpmc_at, 77, offset);
}

static void test_aliases(const char *when)
{
	bool good = true, bad = true;

	ok(good_accesses(ALIAS), "accesses work in a second mapping of their code, %s", when);
	for (unsigned int i = 0; i < 8; i++)
		good = good && good_accesses(i % 2 ? ALIAS : 0);
	ok(good, "and through both by turns, %s", when);
	for (unsigned int i = 0; i < 8; i++)
		bad = bad && bad_accesses(i % 2 ? ALIAS : 0);
	ok(bad, "a #GP has the RIP of the mapping that it comes from, %s", when);
}

/* Interrupts between an instruction and what completes it */

#define ROUNDS       2000
#define LEAST_NMIS   100
#define SAMPLED      (pmu.fixed ? 32u : pmu.general - 1)
#define LEAST_PERIOD 80 /* longer than the handler's own end, or nothing else would run */

static struct {
	volatile unsigned int nmis;
	volatile unsigned int inside, stepped; /* of those at the end of a page */
	volatile bool stop;
	bool sampling;
} interrupted;

static void on_nmi(struct frame *frame)
{
	unsigned int n = ++interrupted.nmis;

	if (frame->rip - WINDOW < 2 * PAGE) {
		interrupted.inside++;
		interrupted.stepped += (frame->rflags & FLAG_TF) != 0;
	}
	if (!interrupted.sampling)
		return;
	counters_stop();
	counter_write(SAMPLED, 0 - (uint64_t)(LEAST_PERIOD + n % 101));
	pmu_acknowledge(LVT_NMI);
	counters_start(1ull << SAMPLED);
}

static void access_under_interrupts(const char *when)
{
	bool good = true, bad = true;

	for (unsigned int i = 0; i < ROUNDS || interrupted.nmis <= LEAST_NMIS; i++) {
		good = good && good_accesses(i % 2 ? ALIAS : 0);
		bad = bad && bad_accesses(i % 2 ? ALIAS : 0);
	}
	ok(good, "accesses are right %s", when);
	ok(bad, "and so are their faults");
	test_flags(RDMSR, false, false, when);
	test_flags(RDPMC, false, false, when);
	test_flags(CPUID, false, false, when);
}

static void page_end_under_interrupts(enum instruction instruction)
{
	bool good = true;

	write_page_end(instruction, false);
	interrupted.inside = interrupted.stepped = 0;
	for (unsigned int i = 0; i < ROUNDS || interrupted.inside <= LEAST_NMIS; i++)
		good = good && run_page_end(instruction, 0, 1);
	ok(good, "%s at the end of a page is, too", names[instruction]);
	is(interrupted.stepped, 0, "and no NMI finds TF set there");
}

static void test_sampled(void)
{
	pmu_clear();
	interrupted.nmis = 0;
	interrupted.sampling = true;
	apic_write(APIC_LVTPC, LVT_NMI);
	counter_write(SAMPLED, ~0ull);
	counter_program(SAMPLED, EVENT_INSTRUCTIONS, SEL_ALL | SEL_INT);
	counters_start(1ull << SAMPLED);
	access_under_interrupts("while PMIs come");
	apic_write(APIC_LVTPC, LVT_MASKED);
	pmu_clear();
	interrupted.sampling = false;
}

static void send_nmis(void *unused)
{
	(void)unused;
	while (!interrupted.stop)
		apic_icr(0, ICR_ASSERT | LVT_NMI);
}

static void test_disturbed(void)
{
	if (!ok(cpus_start(2), "a second processor starts"))
		return;
	interrupted.nmis = 0;
	cpu_run(1, send_nmis, NULL);
	while (interrupted.nmis == 0)
		cpu_relax();
	access_under_interrupts("while another processor sends NMIs");
	map_page_end();
	page_end_under_interrupts(RDMSR);
	page_end_under_interrupts(CPUID);
	interrupted.stop = true;
	cpu_wait(1);
}

static void test_all(const char *when)
{
	for (enum instruction i = RDMSR; i < INSTRUCTIONS; i++) {
		test_flags(i, false, false, when);
		test_step(i, false, when);
		test_page_end(i, false, when);
		test_page_end(i, true, when);
	}
	test_aliases(when);
	test_breakpoints(when);
}

static void test_user(void)
{
	write_cr4(read_cr4() | CR4_PCE);
	test_flags(RDPMC, false, true, "in ring 3");
	test_flags(CPUID, false, true, "in ring 3");
	test_step(RDPMC, true, "in ring 3");
	test_step(CPUID, true, "in ring 3");
	write_cr4(read_cr4() & ~CR4_PCE);
}

void test_main(void)
{
	pmu_need();
	trap_hook[VECTOR_DB] = on_debug;
	trap_hook[VECTOR_PF] = on_page_fault;
	trap_hook[VECTOR_NMI] = on_nmi;
	pmu_clear();
	test_all("PMU idle");
	test_user();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL);
	counters_start(pmu_all());
	test_flags(WRMSR, true, false, "switching counters");
	test_all("counting");
	test_user();
	test_sampled();
	if (option("cpus", 1) > 1)
		test_disturbed();
	is(this_cpu()->traps[VECTOR_UD], 0, "no #UD has been seen");
}
