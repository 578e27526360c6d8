/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Guests of svm.c's hypervisor with random programs, levels, operands, intercepts and injected
 * events, under a timer: host mode and guest mode together are all, to the unit.
 */
#include "svm.h"

#define GUESTS 20000

static uint64_t state;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(next_random(&state) >> 32) % n;
}

/* Whatever it is and whoever takes it, the guest ends: program_nops ends with VMMCALL. */
static void end_guest(struct frame *frame)
{
	frame->rip = (uintptr_t)program_nops + 10;
}

static void hook_exceptions(void (*hook)(struct frame *frame))
{
	for (unsigned int vector = 0; vector < 32; vector++)
		if (vector != VECTOR_NMI)
			trap_hook[vector] = hook;
	trap_hook[0x41] = hook; /* program_int's */
}

static const char *random_program(void)
{
	const char *const programs[] = {
		program_nops, program_cpuid, program_rdmsr, program_rdpmc,
		program_ud,   program_load,  program_store, program_int,
		program_rep,  program_flags, program_loop,  program_cpuids
	};

	return programs[below(ARRAY_SIZE(programs))];
}

/* Of an interrupt, an NMI, or an exception. */
static uint64_t random_injection(void)
{
	static const uint64_t events[] = {
		0x80000000 | VECTOR_TIMER,
		0x80000200 | VECTOR_NMI,
		0x80000300 | VECTOR_UD,
		0x80000b00 | VECTOR_GP,
	};

	return below(4) ? 0 : events[below(ARRAY_SIZE(events))];
}

/* Small numbers, for programs that loop; but where they are addresses or MSRs, others, too. */
static void random_operands(const char *program)
{
	bool is_access = program == program_load || program == program_store;

	run.rbx = run.rsi = below(50) + 1;
	run.rcx = below(8);
	run.rdi = (uintptr_t)msrpm;
	if (is_access && below(2))
		run.rsi = WINDOW; /* not mapped */
	if (program != program_rep && below(2))
		run.rcx = counter_msr(3);
}

static void random_guest(void)
{
	const uint64_t intercepts = INTERCEPT(EXIT_RDPMC) | INTERCEPT(EXIT_CPUID) |
				    INTERCEPT(EXIT_INT) | INTERCEPT(EXIT_MSR) |
				    INTERCEPT(EXIT_INTR) | INTERCEPT(EXIT_NMI);
	const uint32_t exceptions = 1u << VECTOR_UD | 1u << VECTOR_GP | 1u << VECTOR_PF;
	const char *program = random_program();

	guest_new(program, next_random(&state) & intercepts,
		  (uint32_t)next_random(&state) & exceptions);
	if (!below(3))
		guest_at_level_3();
	vmcb_set(VMCB_RFLAGS, FLAG_ALWAYS | (below(2) ? FLAG_IF : 0));
	vmcb_set(VMCB_EVENT_INJECTION, random_injection());
	if (below(2))
		vmcb_set(VMCB_CR4, read_cr4() | CR4_PCE);
	memset(msrpm, below(2) ? 0xff : 0, sizeof(msrpm));
	random_operands(program);
	run.msr = select_msr(5); /* a counter that nothing is measured by */
}

static void run_guests(void)
{
	for (unsigned int i = 0; i < GUESTS; i++) {
		random_guest();
		for (unsigned int exits = below(4); exits < 5; exits++) {
			uint64_t exit = guest_run(0);

			if (exit == EXIT_VMMCALL)
				break;
			take_interrupts();
		}
	}
}

void test_random(void)
{
	const uint64_t modes[] = { 0, SEL_HOST_ONLY, SEL_GUEST_ONLY };
	uint64_t counts[3];

	state = option("seed", 0) + 1;
	hook_exceptions(end_guest);
	apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_TIMER_COUNT, 300000);
	counters_stop();
	for (unsigned int i = 0; i < 3; i++) {
		counter_write(i, 0);
		wrmsr(select_msr(i), COUNT | modes[i]);
	}
	counters_start(7);
	run_guests();
	counters_stop();
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	hook_exceptions(NULL);
	for (unsigned int i = 0; i < 3; i++)
		counts[i] = counter_read(i);
	ok(counts[0] == counts[1] + counts[2] && counts[2] > GUESTS,
	   "of random guests, host mode and guest mode count all together (%lu + %lu, %lu)",
	   counts[1], counts[2], counts[0]);
}
