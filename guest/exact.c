/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The counting rules of docs/counting.md: what counts when a block is left
 * early, an instruction is entered more than once, or an interrupt comes in
 * between. And whole programs, whose counts tests/e2e_exact.py compares with
 * those of a QEMU that runs one instruction at a time.
 */
#include "pmu.h"
#include "programs.h"

#define VECTOR_TIMER 0x51
#define VECTOR_SELF  0x50
#define TIMER_PERIOD 20000
#define WINDOW_PAGES 20
#define DR7_EXECUTE  0x1ul
#define DR7_WRITE    0xd0001ul /* 8 bytes would be b: this is 4 */

typedef void sequence(void *);
sequence exact_empty, exact_rep_0, exact_rep_1, exact_rep_2, exact_rep_255, exact_rep_256,
	exact_rep_257, exact_rep_1000, exact_rep_3000, exact_rep_8192, exact_repe_cmps,
	exact_rep_addr32, exact_repne_scas, exact_rep_rep, exact_rep_loop, exact_rep_long,
	exact_straight, exact_rep_faults, exact_faults, exact_step, exact_step_rep, exact_step_loop,
	exact_break, exact_watch, exact_watch_rep, exact_watch_step, exact_syscalls, exact_int3,
	exact_int_n, exact_icebp, exact_bad, exact_cpuid, exact_atomics, exact_pause,
	exact_rep_modifies, exact_sti_nop, exact_sti_hlt, exact_sti_pause, exact_sti_mov_ss,
	exact_int_50;
extern const char exact_break_at[], exact_syscall_entry[];

static char buffer[0x20000] __attribute__((aligned(4096)));
static volatile uint64_t came; /* traps of the kind that a row asks for */

struct counts {
	uint64_t user, kernel, branches, conditional;
};

static uint64_t in_user(void *function)
{
	((sequence *)function)(buffer);
	return 0;
}

static void run_user(void *function)
{
	user_call(in_user, function);
}

static void program_counters(uint64_t branch_levels)
{
	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR);
	counter_program(1, EVENT_INSTRUCTIONS, SEL_EN | SEL_OS);
	counter_program(2, EVENT_BRANCHES, SEL_EN | branch_levels);
	counter_program(3, EVENT_CONDITIONAL, SEL_EN | branch_levels);
}

static struct counts read_counters(void)
{
	return (struct counts){ counter_read(0), counter_read(1), counter_read(2),
				counter_read(3) };
}

static struct counts measure_user(sequence *function)
{
	program_counters(SEL_USR);
	measure_all(run_user, (void *)(uintptr_t)function);
	return read_counters();
}

static struct counts measure_kernel(sequence *function)
{
	program_counters(SEL_OS);
	measure_all(function, buffer);
	return read_counters();
}

static void set_breakpoint(const void *at, uint64_t control)
{
	__asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7" : : "r"(at), "r"(control));
}

static void map_page(struct frame *frame)
{
	unsigned int page = (unsigned int)((read_cr2() - WINDOW) / PAGE);

	(void)frame;
	if (page >= WINDOW_PAGES)
		bail_out("a page fault outside the window");
	window_map(page, buffer + page % 16 * PAGE);
	came++;
}

static void on_debug(struct frame *frame)
{
	__asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ul));
	frame->rflags |= FLAG_RF;
	came++;
}

static void on_trap(struct frame *frame)
{
	(void)frame;
	came++;
}

static void on_timer(struct frame *frame)
{
	(void)frame;
	came++;
	apic_write(APIC_EOI, 0);
}

/* What a row wants before it runs. */
enum setting { PLAIN, PAGES, TIMER, EXECUTE, WRITE };

static void prepare(enum setting setting)
{
	came = 0;
	switch (setting) {
	case PLAIN:
		break;
	case PAGES:
		for (unsigned int i = 0; i < WINDOW_PAGES; i++)
			window_unmap(i);
		break;
	case TIMER:
		apic_write(APIC_TIMER_DIVIDE, 0xb);
		apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
		apic_write(APIC_TIMER_COUNT, TIMER_PERIOD);
		interrupts_on();
		break;
	case EXECUTE:
		set_breakpoint(exact_break_at, DR7_EXECUTE);
		break;
	case WRITE:
		set_breakpoint(buffer + 64, DR7_WRITE);
		break;
	}
}

static void clean_up(enum setting setting)
{
	if (setting == TIMER) {
		apic_write(APIC_TIMER_COUNT, 0);
		apic_write(APIC_LVT_TIMER, LVT_MASKED);
		/* One that is waiting comes now, not into what is measured next. */
		__asm__ volatile("sti\n\tnop\n\tnop" ::: "memory");
	}
	interrupts_off();
	set_breakpoint(NULL, 0);
}

/*
 * In ring 3: what it holds, its RET but not the call to it; traps: at least so many in
 * each run, and of the timer's interrupts, which come when the host has time, in one run.
 */
struct row {
	const char *name;
	sequence *function;
	unsigned int instructions, branches, conditional, traps;
	enum setting setting;
};

static const struct row rows[] = {
	{ "REP of no iteration", exact_rep_0, 4, 1, 0, 0, PLAIN },
	{ "REP of one iteration", exact_rep_1, 4, 1, 0, 0, PLAIN },
	{ "REP of two iterations", exact_rep_2, 4, 1, 0, 0, PLAIN },
	{ "REP of 255 iterations", exact_rep_255, 4, 1, 0, 0, PLAIN },
	{ "REP of 256 iterations", exact_rep_256, 4, 1, 0, 0, PLAIN },
	{ "REP of 257 iterations", exact_rep_257, 4, 1, 0, 0, PLAIN },
	{ "REP of 1000 iterations", exact_rep_1000, 4, 1, 0, 0, PLAIN },
	{ "REP MOVS over several pages", exact_rep_3000, 4, 1, 0, 0, PLAIN },
	{ "REP STOS over many pages", exact_rep_8192, 4, 1, 0, 0, PLAIN },
	{ "REPE CMPS", exact_repe_cmps, 4, 1, 0, 0, PLAIN },
	{ "REP with 32-bit addresses", exact_rep_addr32, 4, 1, 0, 0, PLAIN },
	{ "REPNE SCAS that ends early", exact_repne_scas, 5, 1, 0, 0, PLAIN },
	{ "REPs one behind the other", exact_rep_rep, 8, 2, 0, 0, PLAIN },
	{ "REP at the start of a loop", exact_rep_loop, 504, 101, 100, 0, PLAIN },
	{ "REP that interrupts come into", exact_rep_long, 2002, 401, 400, 2, TIMER },
	{ "code that interrupts come into", exact_straight, 120002, 20001, 20000, 0, TIMER },
	{ "REP with page faults", exact_rep_faults, 5, 1, 0, 3, PAGES },
	{ "blocks with page faults", exact_faults, 83, 17, 16, 16, PAGES },
	{ "code that is single-stepped", exact_step, 9, 1, 0, 5, PLAIN },
	{ "REP that is single-stepped", exact_step_rep, 9, 1, 0, 13, PLAIN },
	{ "a loop that is single-stepped", exact_step_loop, 70, 21, 20, 60, PLAIN },
	{ "code with a breakpoint", exact_break, 202, 51, 50, 50, EXECUTE },
	{ "code with a watchpoint", exact_watch, 302, 51, 50, 50, WRITE },
	{ "REP over a watchpoint", exact_watch_rep, 3, 1, 0, 1, WRITE },
	{ "watchpoints, single-stepped", exact_watch_step, 9, 1, 0, 5, WRITE },
	{ "SYSCALL", exact_syscalls, 152, 61, 30, 0, PLAIN },
	{ "INT3", exact_int3, 52, 21, 10, 10, PLAIN },
	{ "INT n", exact_int_n, 52, 21, 10, 10, PLAIN },
	{ "INT1", exact_icebp, 52, 21, 10, 10, PLAIN },
	{ "instructions that fault", exact_bad, 13, 1, 0, 0, PLAIN },
	{ "CPUID", exact_cpuid, 124, 31, 30, 0, PLAIN },
	{ "locked, unaligned instructions", exact_atomics, 902, 101, 100, 0, PLAIN },
	{ "PAUSE", exact_pause, 402, 101, 100, 0, PLAIN },
	{ "REP that changes what follows it", exact_rep_modifies, 9, 1, 0, 0, PLAIN },
};

#define RUNS      3
#define MOST_RUNS 1000

static void show(const char *what, uint64_t got, uint64_t wanted)
{
	if (got != wanted)
		print("# %s: got %lu, wanted %lu\n", what, got, wanted);
}

static void test_row(const struct row *row)
{
	struct counts base, got;
	bool same = true, branches = true, timer = row->setting == TIMER;
	uint64_t traps = timer ? 0 : UINT64_MAX;

	measure_user(exact_empty);
	base = measure_user(exact_empty);
	for (unsigned int run = 0; run < RUNS || (timer && traps < row->traps && run < MOST_RUNS);
	     run++) {
		prepare(row->setting);
		got = measure_user(row->function);
		clean_up(row->setting);
		/* The empty one's RET is in base. */
		same = same && got.user - base.user == row->instructions - 1;
		branches = branches && got.branches - base.branches == row->branches - 1 &&
			   got.conditional == row->conditional;
		if (timer ? came > traps : came < traps)
			traps = came;
		show("instructions", got.user - base.user + 1, row->instructions);
		show("branches", got.branches - base.branches + 1, row->branches);
		show("conditional branches", got.conditional, row->conditional);
	}
	ok(same, "%s: instructions are counted exactly", row->name);
	ok(branches, "%s: so are branches", row->name);
	if (row->traps)
		ok(traps >= row->traps, "%s: the traps have come (%lu)", row->name, traps);
}

/* An interrupt is its handler: what INT to the same handler adds, less the INT itself. */
static void test_interrupt(const char *name, sequence *function, unsigned int instructions)
{
	uint64_t empty, handler, got;
	bool same = true;

	for (unsigned int run = 0; run < RUNS; run++) {
		empty = measure_kernel(exact_empty).kernel;
		handler = measure_kernel(exact_int_50).kernel - empty - 1;
		came = 0;
		got = measure_kernel(function).kernel - empty;
		same = same && came == 1 && got == instructions - 1 + handler;
		show("interrupts", came, 1);
		show("instructions", got, instructions - 1 + handler);
	}
	ok(same, "%s with an interrupt waiting: instructions are counted exactly", name);
}

static void test_interrupts(void)
{
	trap_hook[VECTOR_SELF] = on_timer;
	test_interrupt("STI, NOP", exact_sti_nop, 8);
	test_interrupt("STI, HLT", exact_sti_hlt, 8);
	test_interrupt("STI, PAUSE", exact_sti_pause, 8);
	test_interrupt("STI, MOV SS", exact_sti_mov_ss, 8);
}

static void test_syscall_kernel(void)
{
	struct counts base = measure_user(exact_empty), got;

	got = measure_user(exact_syscalls);
	is(got.kernel - base.kernel, 60, "SYSRET and what comes before it count at level 0");
}

static struct counts measure_program(const struct program *program)
{
	struct counts got;

	/* What the program leaves in memory would be another start for the next. */
	memset(buffer, 0, sizeof(buffer));
	program_counters(SEL_USR | SEL_OS);
	measure_all(run_user, (void *)(uintptr_t)program->run);
	got = read_counters();
	return got;
}

static bool equal(const struct counts *a, const struct counts *b)
{
	return a->user == b->user && a->kernel == b->kernel && a->branches == b->branches &&
	       a->conditional == b->conditional;
}

static struct counts of_cpu[MAX_CPUS];

static void measure_job(void *argument)
{
	of_cpu[this_cpu()->index] = measure_program(argument);
}

static void test_program(const struct program *program, unsigned int cpus_count)
{
	struct counts first = measure_program(program), again = measure_program(program);
	bool same = equal(&first, &again);

	print("# program %s: %lu %lu %lu %lu\n", program->name, first.user, first.kernel,
	      first.branches, first.conditional);
	ok(same, "%s counts the same twice", program->name);
	for (unsigned int i = 1; i < cpus_count; i++) {
		cpu_run(i, measure_job, (void *)(uintptr_t)program);
		cpu_wait(i);
		same = same && equal(&first, &of_cpu[i]);
		show("instructions", of_cpu[i].user, first.user);
	}
	if (cpus_count > 1)
		ok(same, "and the same on every processor");
}

void test_main(void)
{
	unsigned int cpus_count = (unsigned int)option("cpus", 1);

	pmu_need();
	if (!ok(cpus_start(cpus_count), "%u processors start", cpus_count))
		return;
	allow_syscall(exact_syscall_entry);
	trap_hook[VECTOR_PF] = map_page;
	trap_hook[VECTOR_DB] = on_debug;
	trap_hook[3] = on_trap;
	trap_hook[VECTOR_TIMER] = on_timer;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		test_row(&rows[i]);
	test_interrupts();
	test_syscall_kernel();
	trap_hook[VECTOR_PF] = NULL;
	for (unsigned int i = 0; i < programs_count; i++)
		test_program(&programs[i], cpus_count);
}
