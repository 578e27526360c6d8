/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PMIs and other interrupts while a guest of svm.c's hypervisor runs.
 */
#include "svm.h"

#define VECTOR_PMI      0x40
#define VECTOR_INJECTED 0x43

/* The guest counter overflows in the guest's loop. */
static uint64_t run_to_overflow(uint64_t intercepts, uint64_t period)
{
	guest_new(program_loop, intercepts, 0);
	vmcb_set(VMCB_RFLAGS, FLAG_ALWAYS | FLAG_IF);
	run.rbx = 100000;
	count_clear();
	counter_write(0, -period);
	return guest_run(COUNT | SEL_INT | SEL_GUEST_ONLY);
}

/* What the loop has run, by its registers. */
static uint64_t loop_instructions(void)
{
	return 2 * (100000 - run.rbx) - (vmcb_get(VMCB_RIP) != (uintptr_t)program_loop);
}

static void test_nmi(void)
{
	uint64_t nmis = this_cpu()->traps[VECTOR_NMI], exit, ran;

	apic_write(APIC_LVTPC, LVT_NMI);
	exit = run_to_overflow(INTERCEPT(EXIT_NMI), 1000);
	ran = loop_instructions();
	ok(exit == EXIT_NMI && ran >= 1000 && ran < 1010 && count() == ran - 1000,
	   "a PMI while the guest runs is a #VMEXIT of an NMI (exit %lx, %lu, %lu)", exit, ran,
	   count());
	is(this_cpu()->traps[VECTOR_NMI] - nmis, 1, "and then an NMI of the hypervisor's own");
	/* The guest goes on. */
	wrmsr(select_msr(0), 0);
	exit = guest_run(COUNT | SEL_GUEST_ONLY);
	ok(exit == EXIT_VMMCALL && count() == 200000 - 1000,
	   "the guest's count goes on where it was (exit %lx, %lu)", exit, count());
	exit = run_to_overflow(0, 1000);
	is(this_cpu()->traps[VECTOR_NMI] - nmis, 2,
	   "an NMI that is not intercepted is the guest's");
	is(exit, EXIT_VMMCALL, "and the guest goes on");
}

static void test_vector(void)
{
	uint64_t pmis = this_cpu()->traps[VECTOR_PMI], exit, ran;

	apic_write(APIC_LVTPC, VECTOR_PMI);
	exit = run_to_overflow(INTERCEPT(EXIT_INTR), 5000);
	ran = loop_instructions();
	ok(exit == EXIT_INTR && ran >= 5000 && ran < 5010 && count() == ran - 5000,
	   "a PMI of a vector is a #VMEXIT of an interrupt (exit %lx, %lu, %lu)", exit, ran,
	   count());
	is(this_cpu()->traps[VECTOR_PMI] - pmis, 0, "which the guest does not see");
	take_interrupts();
	is(this_cpu()->traps[VECTOR_PMI] - pmis, 1, "and the hypervisor takes when it lets it");
	apic_write(APIC_LVTPC, LVT_MASKED);
}

/* The host's own counter does not overflow by what the guest does. */
static void test_host_overflow(void)
{
	uint64_t nmis = this_cpu()->traps[VECTOR_NMI], exit;

	apic_write(APIC_LVTPC, LVT_NMI);
	guest_new(program_loop, INTERCEPT(EXIT_NMI), 0);
	run.rbx = 50000;
	count_clear();
	counter_write(0, -(uint64_t)HOST_INSTRUCTIONS);
	exit = guest_run(COUNT | SEL_INT | SEL_HOST_ONLY);
	ok(exit == EXIT_VMMCALL && count() == 0,
	   "a HostOnly counter stands still in the guest, however near its overflow");
	is(this_cpu()->traps[VECTOR_NMI] - nmis, 1, "and its PMI comes in the host");
	apic_write(APIC_LVTPC, LVT_MASKED);
}

#define INJECTION_VALID (1ull << 31)
#define PERIODS         60

static uint64_t handled; /* by their RDPMC */

static void on_injected(struct frame *frame)
{
	(void)frame;
	handled += rdpmc(0) <= pmu_value_mask();
}

/* Returns how many PMIs have left the guest; -1: something else is not as it should be. */
static int inject(uint64_t period, uint64_t flags, uint64_t virtual_interrupt)
{
	const uint64_t intercepts = INTERCEPT(EXIT_NMI) | INTERCEPT(EXIT_INTR);
	int nmis = 0;
	uint64_t exit;

	guest_new(program_loop, intercepts, 0);
	run.rbx = 100;
	vmcb_set(VMCB_RFLAGS, flags);
	vmcb_set(VMCB_VIRTUAL_INTERRUPT, virtual_interrupt);
	vmcb_set(VMCB_EVENT_INJECTION, INJECTION_VALID | VECTOR_INJECTED);
	count_clear();
	counter_write(0, -period);
	for (;;) {
		exit = guest_run(COUNT | SEL_INT | SEL_GUEST_ONLY);
		if (vmcb_get(VMCB_VIRTUAL_INTERRUPT) != virtual_interrupt ||
		    (vmcb_get(VMCB_INTERCEPTS) & intercepts) != intercepts)
			return -1;
		if (exit != EXIT_NMI)
			return exit == EXIT_VMMCALL ? nmis : -1;
		nmis++;
	}
}

/* The overflow comes before, in and behind the handler of an interrupt that VMRUN injects. */
static void test_injected(uint64_t flags, uint64_t virtual_interrupt, const char *how)
{
	uint64_t injected = this_cpu()->traps[VECTOR_INJECTED], wrong = 0;

	trap_hook[VECTOR_INJECTED] = on_injected;
	handled = 0;
	apic_write(APIC_LVTPC, LVT_NMI);
	for (uint64_t period = 1; period <= PERIODS; period++)
		wrong += inject(period, flags, virtual_interrupt) != 1 || handled != period ||
			 this_cpu()->traps[VECTOR_INJECTED] - injected != period;
	is(wrong, 0, "an interrupt injected %s comes once, and so does a PMI in its handler", how);
	apic_write(APIC_LVTPC, LVT_MASKED);
}

/*
 * An interrupt waits for the hypervisor when VMRUN injects one. Either may come first; each
 * comes, and once.
 */
static void test_injected_while_one_waits(void)
{
	uint64_t injected = this_cpu()->traps[VECTOR_INJECTED];
	uint64_t waited = this_cpu()->traps[VECTOR_PMI], exit;
	uint64_t turns = 0;

	guest_new(program_loop, INTERCEPT(EXIT_INTR), 0);
	run.rbx = 100;
	vmcb_set(VMCB_RFLAGS, FLAG_ALWAYS | FLAG_IF);
	vmcb_set(VMCB_VIRTUAL_INTERRUPT, V_MASKING);
	vmcb_set(VMCB_EXIT_EVENT, INJECTION_VALID | VECTOR_INJECTED);
	do {
		vmcb_set(VMCB_EVENT_INJECTION, vmcb_get(VMCB_EXIT_EVENT));
		__asm__ volatile("clgi");
		interrupts_on();
		apic_write(APIC_ICR, ICR_SELF | VECTOR_PMI);
		exit = guest_run(COUNT | SEL_GUEST_ONLY); /* ends by STGI */
		interrupts_off();
		turns++;
	} while (exit == EXIT_INTR && vmcb_get(VMCB_EXIT_EVENT) & INJECTION_VALID && turns < 10);
	ok(exit == EXIT_INTR && turns <= 2 && this_cpu()->traps[VECTOR_PMI] - waited == turns,
	   "an interrupt that waits keeps an injected one back once at most (%lu turns, exit %lx)",
	   turns, exit);
	exit = guest_run(COUNT | SEL_GUEST_ONLY);
	ok(exit == EXIT_VMMCALL && this_cpu()->traps[VECTOR_INJECTED] - injected == 1,
	   "which then comes once (exit %lx)", exit);
}

#define TURNS 300000

/* Interrupts leave a guest that runs CPUIDs, wherever they come. */
static void test_storm(void)
{
	uint64_t exit, exits = 0;

	guest_new(program_cpuids, INTERCEPT(EXIT_INTR), 0);
	vmcb_set(VMCB_RFLAGS, FLAG_ALWAYS | FLAG_IF);
	run.rsi = TURNS;
	run.r9 = cpuid(0x80000001, 0).ecx;
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_TIMER_COUNT, 300000);
	count_clear();
	for (;;) {
		exit = guest_run(COUNT | SEL_GUEST_ONLY);
		if (exit != EXIT_INTR)
			break;
		exits++;
		take_interrupts();
	}
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	ok(exit == EXIT_VMMCALL && run.rbp == 0,
	   "whenever an interrupt leaves the guest, its CPUIDs show the same (%lu wrong)", run.rbp);
	is(count(), 9ull * TURNS, "and its instructions are counted to the unit");
	ok(exits > 5, "%lu interrupts have left it", exits);
}

void test_pmis(void)
{
	test_nmi();
	test_vector();
	test_host_overflow();
	/* A QEMU that stops in the handler delivers it again. */
	if (option("stops", 0) == 0)
		test_injected(FLAG_ALWAYS, 0, "with interrupts off");
	test_injected(FLAG_ALWAYS | FLAG_IF, 0, "with interrupts on");
	test_injected(FLAG_ALWAYS | FLAG_IF, V_MASKING, "while the hypervisor has the others");
	test_injected_while_one_waits();
	/* KVM takes minutes for so many exits. */
	if (!is_kvm_guest())
		test_storm();
}
