/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All processors run random code around random PMU instructions, in ring 0 and
 * 3, at odd places, through several mappings, with single step, interrupts and
 * NMIs, from a random stream each. Every piece runs twice, once with NOPs in
 * the instructions' places: all that they are not to touch has to be the same.
 * Judges no count but its direction.
 *
 * "seed=" begins the streams, "seconds=" says how long.
 */
#include "fuzz.h"

#define VECTOR_PMI     0x50
#define VECTOR_OTHER   0x51
#define VECTOR_NOTHING 15
#define FLAG_DF        0x400
#define FLAG_RF        0x10000
#define PAGES_EACH     4 /* of the window */
#define BETWEEN_LOOKS  50

struct worker workers[MAX_CPUS];
static uint8_t code[MAX_CPUS][CODE_SIZE] __attribute__((aligned(4096)));
static volatile bool stop;
static unsigned int cpus_count;

/* Traps */

static _Noreturn void unexpected(const struct worker *worker, const struct frame *frame)
{
	print_lock();
	print("# processor %u, turn %lu: exception %lu, error %lx, at %lx:%lx, rflags %lx, rsp "
	      "%lx\n",
	      (unsigned int)(worker - workers), worker->turns, frame->vector, frame->error,
	      frame->cs, frame->rip, frame->rflags, frame->rsp);
	print_snippet(worker);
	bail_out("an exception where none may come");
}

/* Of the access that has faulted, which is skipped. */
static void on_fault(struct frame *frame)
{
	struct worker *worker = &workers[this_cpu()->index];
	const struct snippet *snippet = &worker->snippet;

	for (unsigned int i = 0; i < snippet->accesses; i++) {
		if (frame->rip != worker->entry + snippet->at[i] || frame->error ||
		    !worker->outcome || worker->outcome->faults[i] ||
		    !(frame->rflags & FLAG_TF) != !worker->step)
			continue;
		worker->outcome->faults[i] = (uint8_t)frame->vector;
		worker->faults++;
		frame->rip += snippet->access[i].length;
		return;
	}
	unexpected(worker, frame);
}

static unsigned int first_page(const struct worker *worker)
{
	return (unsigned int)(worker - workers) * PAGES_EACH;
}

static void on_page_fault(struct frame *frame)
{
	struct worker *worker = &workers[this_cpu()->index];
	unsigned int page = first_page(worker) + 1;
	uint64_t address;

	__asm__ volatile("mov %%cr2, %0" : "=r"(address));
	if (address - (uintptr_t)window_page(page) >= PAGE || window_is_mapped(page))
		unexpected(worker, frame);
	window_map(page, code[worker - workers] + PAGE);
	worker->outcome->page_faults++;
	worker->page_faults++;
}

static void on_debug(struct frame *frame)
{
	struct worker *worker = &workers[this_cpu()->index];
	struct outcome *outcome = worker->outcome;
	uint64_t offset = frame->rip - worker->entry;

	if (!worker->step || !outcome)
		unexpected(worker, frame);
	if (offset >= worker->snippet.size || outcome->stops == STOPS_MAX)
		return;
	outcome->stop_at[outcome->stops] = (uint16_t)offset;
	outcome->stop_flags[outcome->stops] =
		(uint16_t)(frame->rflags & (FLAG_STATUS | FLAG_DF | FLAG_IF));
	outcome->stops++;
	worker->stops++;
}

static void on_pmi(struct frame *frame)
{
	struct worker *worker = &workers[this_cpu()->index];
	uint32_t index = below(&worker->handler_state, pmu.general + pmu.fixed);
	uint64_t value;

	counters_stop();
	worker->pmis++;
	value = rdpmc(index < pmu.general ? index : RDPMC_FIXED + index - pmu.general);
	if (value & ~pmu_value_mask())
		bail_out("RDPMC of a PMI handler reads more than a counter's width");
	pmu_acknowledge(frame->vector == VECTOR_PMI ? VECTOR_PMI : LVT_NMI);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
}

/*
 * The old interrupt controller's way to say that there is nothing: asked for an
 * interrupt that went when the local APIC was switched off.
 */
static void on_nothing(struct frame *frame)
{
	(void)frame;
}

/* One run */

static uint64_t run_here(void *argument)
{
	struct worker *worker = argument;

	fuzz_run(&worker->in, &worker->outcome->registers);
	return 0;
}

static void run(struct worker *worker, struct outcome *outcome, bool accesses)
{
	unsigned int index = (unsigned int)(worker - workers);

	memset(outcome, 0, sizeof(*outcome));
	snippet_write(&worker->snippet, code[index] + worker->place, accesses);
	if (worker->missing)
		window_unmap(first_page(worker) + 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(worker->memory); i++)
		worker->memory[i] = worker->in.r8 * (i + 3);
	worker->in.rbp = (uintptr_t)outcome->results;
	worker->outcome = outcome;
	barrier();
	if (worker->user)
		user_call(run_here, worker);
	else
		run_here(worker);
	barrier();
	worker->outcome = NULL;
	for (unsigned int i = 0; i < ARRAY_SIZE(worker->memory); i++)
		outcome->memory[i] = worker->memory[i];
}

/* What goes round the runs */

static void choose_place(struct worker *worker)
{
	unsigned int index = (unsigned int)(worker - workers);
	const struct snippet *snippet = &worker->snippet;
	unsigned int k = below(&worker->state, snippet->accesses);
	unsigned int into = snippet->at[k] + below(&worker->state, snippet->access[k].length + 1u);
	unsigned int at = below(&worker->state, CODE_SIZE - 2 * SNIPPET_MAX) + SNIPPET_MAX;

	/* The access crosses, ends or begins at a page's or a cache line's end. */
	if (chance(&worker->state, 3))
		at = PAGE - into;
	else if (chance(&worker->state, 3))
		at = (at & ~63u) - into;
	worker->place = at;
	worker->missing = false;
	switch (below(&worker->state, 4)) {
	case 0:
		worker->entry = (uintptr_t)code[index] + at;
		break;
	case 1:
		worker->entry = (uintptr_t)code[index] + ALIAS + at;
		break;
	case 2:
		worker->missing = true;
		/* fallthrough */
	default:
		window_map(first_page(worker), code[index]);
		window_map(first_page(worker) + 1, code[index] + PAGE);
		worker->entry = (uintptr_t)window_page(first_page(worker)) + at;
		break;
	}
}

static void choose_registers(struct worker *worker)
{
	uint64_t *registers = &worker->in.rax;

	for (unsigned int i = 0; i < 15; i++)
		registers[i] = next_random(&worker->state);
	worker->in.rax = worker->snippet.access[0].rax;
	worker->in.rcx = worker->snippet.access[0].rcx;
	worker->in.rdx = worker->snippet.access[0].rdx;
	worker->in.rsi = (uintptr_t)worker->memory;
	worker->in.target = worker->entry;
	worker->step = chance(&worker->state, 6);
	worker->in.rflags = (next_random(&worker->state) & (FLAG_STATUS | FLAG_DF)) | FLAG_ALWAYS |
			    FLAG_IF | (worker->step ? FLAG_TF : 0);
}

static void write_msr(struct worker *worker, uint32_t msr, uint64_t value)
{
	const struct access access = {
		.kind = ACCESS_WRMSR, .rcx = msr, .rax = (uint32_t)value, .rdx = value >> 32
	};
	const struct results none = { 0 };

	wrmsr(msr, value);
	shadow_follow(&worker->shadow, &access, &none);
}

/* Chance alone seldom makes a counter that interrupts. */
static void sample(struct worker *worker)
{
	static const uint64_t flags[] = { SEL_USR, SEL_OS, SEL_USR | SEL_OS };
	unsigned int i = below(&worker->state, pmu.general);
	unsigned int period = 1 + below(&worker->state, 2000);

	apic_write(APIC_LVTPC, chance(&worker->state, 2) ? LVT_NMI : VECTOR_PMI);
	write_msr(worker, counter_msr(i), pmu_value_mask() + 1 - period);
	write_msr(worker, select_msr(i),
		  event_select(EVENT_INSTRUCTIONS,
			       SEL_INT | SEL_EN | flags[below(&worker->state, ARRAY_SIZE(flags))]));
	if (pmu.global_ctrl)
		write_msr(worker, pmu.global_ctrl, pmu_all());
}

static void change_apic_mode(void)
{
	if (apic_is_x2())
		apic_leave_x2();
	else
		apic_enable_x2();
}

static void disturb(struct worker *worker)
{
	static const uint32_t lvtpc[] = { LVT_NMI, VECTOR_PMI, LVT_NMI | LVT_MASKED, VECTOR_PMI };

	if (chance(&worker->state, 4))
		apic_write(APIC_LVTPC, lvtpc[below(&worker->state, ARRAY_SIZE(lvtpc))]);
	if (chance(&worker->state, 16)) {
		worker->pce = !worker->pce;
		write_cr4(worker->pce ? read_cr4() | CR4_PCE : read_cr4() & ~CR4_PCE);
	}
	if (chance(&worker->state, 16))
		apic_icr(below(&worker->state, cpus_count),
			 ICR_ASSERT | (chance(&worker->state, 2) ? LVT_NMI : VECTOR_OTHER));
	if (chance(&worker->state, 6))
		sample(worker);
	if (chance(&worker->state, 200))
		change_apic_mode();
}

static void one_turn(struct worker *worker)
{
	bool first = chance(&worker->state, 2);
	uint64_t rbx;

	disturb(worker);
	worker->user = chance(&worker->state, 3);
	snippet_make(&worker->snippet, &worker->state, worker->user);
	choose_place(worker);
	choose_registers(worker);
	rbx = worker->in.rbx;
	run(worker, first ? &worker->with : &worker->without, first);
	run(worker, first ? &worker->without : &worker->with, !first);
	judge_registers(worker);
	judge_stops(worker);
	for (unsigned int i = 0; i < worker->snippet.accesses; i++) {
		/* One may have come between any two accesses. */
		if (worker->pmis != worker->pmis_before)
			shadow_forget_control(&worker->shadow);
		rbx = judge_access(worker, i, rbx);
	}
	worker->turns++;
	if (worker->pmis == worker->pmis_before)
		return;
	shadow_forget_control(&worker->shadow);
	worker->pmis_before = worker->pmis;
}

static void begin(struct worker *worker, uint64_t seed)
{
	unsigned int index = (unsigned int)(worker - workers);

	worker->state = (seed + index + 1) * 0x9e3779b97f4a7c15;
	worker->handler_state = worker->state ^ 0x5555555555555555;
	shadow_reset(&worker->shadow);
	write_cr4(read_cr4() & ~CR4_PCE);
	for (unsigned int i = 0; i < BETWEEN_LOOKS; i++)
		next_random(&worker->state);
	interrupts_on();
}

static void end(void)
{
	interrupts_off();
	apic_write(APIC_LVTPC, LVT_MASKED);
	counters_stop();
}

static uint64_t seed;

static void fuzz(void *unused)
{
	struct worker *worker = &workers[this_cpu()->index];

	(void)unused;
	begin(worker, seed);
	while (!stop)
		one_turn(worker);
	end();
}

struct sum {
	uint64_t turns, accesses, faults, pmis, steps, page_faults;
};

static struct sum add_up(void)
{
	struct sum sum = { 0 };

	for (unsigned int i = 0; i < cpus_count; i++) {
		sum.turns += workers[i].turns;
		sum.accesses += workers[i].accesses;
		sum.faults += workers[i].faults;
		sum.pmis += workers[i].pmis;
		sum.steps += workers[i].stops;
		sum.page_faults += workers[i].page_faults;
	}
	return sum;
}

static bool all_seen(void)
{
	struct sum sum = add_up();

	return sum.faults && sum.pmis && sum.steps && sum.page_faults;
}

static bool all_get_on(const uint64_t before[MAX_CPUS])
{
	bool all = true;

	for (unsigned int i = 0; i < cpus_count; i++)
		all = all && workers[i].turns > before[i];
	return all;
}

/* The first processor does so too, and looks at the clock between. */
static void fuzz_half(const char *half)
{
	struct stretch stretch = stretch_begin(((unsigned int)option("seconds", 5) + 1) / 2);
	uint64_t before[MAX_CPUS];

	for (unsigned int i = 0; i < MAX_CPUS; i++)
		before[i] = workers[i].turns;
	while (stretch_goes_on(&stretch, all_get_on(before) && all_seen()))
		for (unsigned int i = 0; i < BETWEEN_LOOKS; i++)
			one_turn(&workers[0]);
	print_lock();
	ok(all_get_on(before), "every processor gets on in the %s half", half);
	print_unlock();
}

static void conclude(void)
{
	struct sum sum = add_up();

	print("# %lu turns, %lu accesses, %lu faults, %lu page faults, %lu PMIs and NMIs, "
	      "%lu single steps\n",
	      sum.turns, sum.accesses, sum.faults, sum.page_faults, sum.pmis, sum.steps);
	ok(all_seen(), "faults, PMIs and single steps have been seen");
	is(findings, 0,
	   "all that the instructions are not to touch is as it was, their results fit");
}

void test_main(void)
{
	cpus_count = (unsigned int)option("cpus", 4);
	seed = option("seed", 20180901);
	pmu_need();
	pmu_registers_find();
	shadow_prepare();
	print("# seed=%lu\n", seed);
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	trap_hook[VECTOR_GP] = on_fault;
	trap_hook[VECTOR_UD] = on_fault;
	trap_hook[VECTOR_PF] = on_page_fault;
	trap_hook[VECTOR_DB] = on_debug;
	trap_hook[VECTOR_NOTHING] = on_nothing;
	if (!ok(cpus_start(cpus_count), "%u processors start", cpus_count))
		return;
	/* A page without any NOP loses single steps over RDPMC: docs/architecture.md, Limits. */
	memset(code, 0x90, sizeof(code));
	begin(&workers[0], seed);
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_run(i, fuzz, NULL);
	fuzz_half("first");
	fuzz_half("second");
	stop = true;
	end();
	for (unsigned int i = 1; i < cpus_count; i++)
		cpu_wait(i);
	conclude();
}
