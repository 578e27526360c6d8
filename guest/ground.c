/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ground the other test guests stand on: faults, ring 3, mappings, the
 * APIC's two modes, other processors. It needs no PMU and touches none.
 */
#include "guest.h"

#define VECTOR_TEST 0x41
#define SELF_VECTOR (ICR_ASSERT | VECTOR_TEST)
#define SELF_NMI    (ICR_ASSERT | LVT_NMI)
#define ABSENT_MSR  0x8ff

static void test_faults(void)
{
	struct probe probe = {
		.rcx = ABSENT_MSR, .rax = 0x11, .rdx = 0x22, .rflags = FLAG_ALWAYS | FLAG_CF
	};
	const struct frame *fault = &this_cpu()->fault;

	ok(!probe_rdmsr(&probe), "RDMSR of an absent x2APIC register faults");
	is(fault->vector, VECTOR_GP, "it is a #GP");
	is(fault->rip, (uintptr_t)probe_rdmsr_at, "RIP is the instruction's");
	ok(fault->rax == 0x11 && fault->rdx == 0x22 && fault->rcx == ABSENT_MSR,
	   "registers are kept");
	ok(!probe_ud2(&probe) && fault->vector == VECTOR_UD, "UD2 is a #UD");
	ok(!ALIAS_OF(probe_ud2)(&probe) && fault->rip == (ALIAS + (uintptr_t)probe_ud2_at),
	   "a fault in the second mapping of the code has that mapping's RIP");
}

static uint64_t read_cs(void *argument)
{
	uint64_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	*(uint64_t *)argument = cs;
	return cs;
}

static uint64_t call_probe(void *argument)
{
	return probe_ud2(argument);
}

static void test_user(void)
{
	struct probe probe = { .rflags = FLAG_ALWAYS };
	uint64_t stored = 0;

	is(user_call(read_cs, &stored), SEL_USER_CODE, "code runs in ring 3 and returns a value");
	is(stored, SEL_USER_CODE, "ring 3 can write memory");
	ok(!user_call(call_probe, &probe) && this_cpu()->fault.cs == SEL_USER_CODE,
	   "a fault in ring 3 is seen as one");
}

static void test_window(void)
{
	static char pages[2][4096] __attribute__((aligned(4096)));

	window_map(0, pages[0]);
	window_map(1, pages[1]);
	*(volatile char *)(window_page(0) + 5) = 1;
	*(volatile char *)(window_page(1) + 5) = 2;
	window_map(0, pages[1]);
	ok(*(volatile char *)&pages[0][5] == 1 && *(volatile char *)&pages[1][5] == 2 &&
		   *(volatile char *)(window_page(0) + 5) == 2,
	   "pages of the window can be mapped and mapped again");
}

static void test_interrupts(const char *mode)
{
	struct cpu *cpu = this_cpu();
	uint64_t vectors = cpu->traps[VECTOR_TEST], nmis = cpu->traps[VECTOR_NMI];

	interrupts_on();
	apic_icr(0, SELF_VECTOR);
	while (cpu->traps[VECTOR_TEST] == vectors)
		cpu_relax();
	interrupts_off();
	ok(true, "an interrupt to itself arrives in %s mode", mode);
	apic_icr(0, SELF_NMI);
	while (cpu->traps[VECTOR_NMI] == nmis)
		cpu_relax();
	ok(true, "an NMI to itself arrives in %s mode with interrupts off", mode);
	is(apic_errors(), 0, "the local APIC has no error in %s mode", mode);
}

static void store_index(void *argument)
{
	((volatile unsigned int *)argument)[this_cpu()->index] = this_cpu()->index + 1;
}

static void test_processors(unsigned int count)
{
	volatile unsigned int seen[MAX_CPUS] = { 0 };
	bool all = true;

	if (!ok(cpus_start(count), "%u processors start", count))
		return;
	for (unsigned int i = 1; i < count; i++)
		cpu_run(i, store_index, (void *)seen);
	for (unsigned int i = 1; i < count; i++) {
		cpu_wait(i);
		all = all && seen[i] == i + 1;
	}
	ok(all, "each of %u processors runs its own work", count);
	cpu_init_sipi(1);
	while (!cpus[1].online)
		cpu_relax();
	ok(true, "a processor starts again after INIT");
}

void test_main(void)
{
	unsigned int count = (unsigned int)option("cpus", 1);

	test_faults();
	test_user();
	test_window();
	test_interrupts("xAPIC");
	if (count > 1)
		test_processors(count);
	apic_enable_x2();
	ok(apic_is_x2(), "x2APIC mode can be entered");
	test_interrupts("x2APIC");
	apic_leave_x2();
	test_interrupts("xAPIC again");
}
