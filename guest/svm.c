/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small hypervisor: what its guest does, what it intercepts, and what it counts by
 * HostOnly and GuestOnly. AMD's PMU, APM vol. 2, "Secure Virtual Machine" and "Performance
 * Event-Select Registers".
 */
#include "svm.h"

#define CPUID_SVM      (1u << 2)  /* 80000001H, ECX */
#define CPUID_CORE_PMU (1u << 23) /* the same */

static const struct {
	uint64_t flags;
	bool host, guest;
	const char *name;
} modes[] = {
	{ 0, true, true, "neither bit" },
	{ SEL_HOST_ONLY, true, false, "HostOnly" },
	{ SEL_GUEST_ONLY, false, true, "GuestOnly" },
	{ SEL_HOST_ONLY | SEL_GUEST_ONLY, true, true, "both bits" },
};

/* EFER is written while the counter is enabled. */
static void test_svme_starts(void)
{
	uint64_t before, first, second;

	count_clear();
	wrmsr(select_msr(0), COUNT | SEL_HOST_ONLY);
	before = count();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	first = count();
	second = count();
	wrmsr(select_msr(0), 0);
	ok(before == 0 && first > 0 && first < 40 && second > first && second < first + 20,
	   "a HostOnly counter starts when EFER.SVME is set (%lu, %lu, %lu)", before, first,
	   second);
}

/* Each mode's counter, from before VMRUN until behind it. */
static void test_modes(const char *program, uint64_t instructions, const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		uint64_t wanted = (modes[i].host ? HOST_INSTRUCTIONS : 0) +
				  (modes[i].guest ? instructions : 0);
		uint64_t exit;

		guest_new(program, 0, 0);
		run.rcx = counter_msr(2);
		count_clear();
		exit = guest_run(COUNT | modes[i].flags);
		ok(exit == EXIT_VMMCALL && count() == wanted,
		   "%s, %s: %lu instructions (%lu, exit %lx)", name, modes[i].name, wanted, count(),
		   exit);
	}
}

struct cut {
	const char *name, *program, *at;
	uint64_t exit;
	uint64_t before; /* instructions that retire before the exit */
};

/* The exit comes at an instruction in the middle of straight code. */
static void test_cut(const struct cut *cut)
{
	uint32_t exceptions = cut->exit < EXIT_INTR ? 1u << (cut->exit - 0x40) : 0;
	uint64_t intercepts = cut->exit < EXIT_INTR ? 0 : INTERCEPT(cut->exit);
	uint64_t exit;

	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		uint64_t wanted = (modes[i].host ? HOST_INSTRUCTIONS : 0) +
				  (modes[i].guest ? cut->before : 0);

		guest_new(cut->program, intercepts, exceptions);
		run.rsi = run.rdi = WINDOW + 511 * PAGE; /* not mapped */
		run.rcx = counter_msr(1);
		count_clear();
		exit = guest_run(COUNT | modes[i].flags);
		ok(exit == cut->exit && vmcb_get(VMCB_RIP) == (uintptr_t)cut->at &&
			   count() == wanted,
		   "%s, %s: left at the instruction, %lu have retired (%lu, exit %lx)", cut->name,
		   modes[i].name, wanted, count(), exit);
	}
}

static void test_cuts(void)
{
	static const struct cut cuts[] = {
		{ "CPUID", program_cpuid, program_cpuid_at, EXIT_CPUID, 5 },
		{ "RDPMC", program_rdpmc, program_rdpmc_at, EXIT_RDPMC, 5 },
		{ "HLT", program_hlt, program_hlt_at, EXIT_HLT, 5 },
		{ "INT n", program_int, program_int_at, EXIT_INT, 5 },
		{ "#UD", program_ud, program_ud_at, EXIT_UD, 5 },
		{ "#PF of a load", program_load, program_load_at, EXIT_PF, 5 },
		{ "#PF of a store", program_store, program_store_at, EXIT_PF, 5 },
		{ "#PF of a REP", program_rep, program_rep_at, EXIT_PF, 5 },
		{ "RDPMC behind ADD", program_flags, program_flags_at, EXIT_RDPMC, 5 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cuts); i++)
		test_cut(&cuts[i]);
}

/* The hypervisor maps the page, and the REP goes on. */
static void test_rep(void)
{
	static char pages[2][PAGE] __attribute__((aligned(PAGE)));
	uint64_t exit;

	window_map(510, pages[0]);
	guest_new(program_rep, 0, 1u << VECTOR_PF);
	run.rdi = WINDOW + 511 * PAGE - 8;
	run.rcx = 16;
	count_clear();
	exit = guest_run(COUNT | SEL_GUEST_ONLY);
	ok(exit == EXIT_PF && run.rcx == 8 && count() == 5,
	   "a REP whose #PF is intercepted has not retired (%lu, exit %lx)", count(), exit);
	window_map(511, pages[1]);
	exit = guest_run(COUNT | SEL_GUEST_ONLY);
	ok(exit == EXIT_VMMCALL && run.rcx == 0 && count() == 10,
	   "and counts once when it has come to its end (%lu, exit %lx)", count(), exit);
}

/* All of an MSR's bits in the map, from C0010000H on. */
static void intercept_msr(uint32_t msr, unsigned int bits)
{
	uint32_t bit = 2 * (msr - 0xc0010000);

	msrpm[0x1000 + bit / 8] = (uint8_t)(bits << bit % 8);
}

/* An intercepted instruction has done nothing, and the hypervisor sees its operands. */
static void test_intercepted_msrs(void)
{
	const uint32_t msr = counter_msr(1);
	uint64_t exit;

	wrmsr(msr, 0x1234);
	intercept_msr(msr, 3);
	guest_new(program_rdmsr, INTERCEPT(EXIT_MSR), 0);
	run.rcx = msr;
	run.rdx = 0x77;
	vmcb_set(VMCB_RAX, 0x66);
	exit = guest_run(0);
	ok(exit == EXIT_MSR && vmcb_get(VMCB_EXIT_INFO_1) == 0 &&
		   vmcb_get(VMCB_RIP) == (uintptr_t)program_rdmsr_at &&
		   vmcb_get(VMCB_RAX) == 0x66 && run.rdx == 0x77 && run.rcx == msr,
	   "an intercepted RDMSR of a counter is a #VMEXIT, and changes nothing");
	guest_new(program_wrmsr, INTERCEPT(EXIT_MSR), 0);
	run.rcx = msr;
	exit = guest_run(0);
	ok(exit == EXIT_MSR && vmcb_get(VMCB_EXIT_INFO_1) == 1 &&
		   vmcb_get(VMCB_RIP) == (uintptr_t)program_wrmsr_at && rdmsr(msr) == 0x1234,
	   "so is an intercepted WRMSR");
	intercept_msr(msr, 2);
	guest_new(program_rdmsr, INTERCEPT(EXIT_MSR), 0);
	run.rcx = msr;
	exit = guest_run(0);
	ok(exit == EXIT_VMMCALL && vmcb_get(VMCB_RAX) == 0x1234 && run.rdx == 0,
	   "the map has reads and writes apart");
	intercept_msr(msr, 0);
}

static void test_intercepted_cpuid(void)
{
	uint64_t exit;

	guest_new(program_cpuid, INTERCEPT(EXIT_CPUID), 0);
	vmcb_set(VMCB_RAX, 0x80000001);
	run.rbx = 1, run.rcx = 2, run.rdx = 3;
	exit = guest_run(0);
	ok(exit == EXIT_CPUID && vmcb_get(VMCB_RAX) == 0x80000001 && run.rbx == 1 && run.rcx == 2 &&
		   run.rdx == 3,
	   "an intercepted CPUID is a #VMEXIT, and changes nothing");
	/* The hypervisor answers, and the guest goes on. */
	vmcb_set(VMCB_RIP, vmcb_get(VMCB_RIP) + 2);
	vmcb_set(VMCB_RAX, 5);
	run.rcx = 0;
	exit = guest_run(0);
	ok(exit == EXIT_VMMCALL && vmcb_get(VMCB_RAX) == 5 && run.rcx == 0,
	   "what the hypervisor answers in its place is not changed");
}

static void test_served(void)
{
	const uint32_t msr = counter_msr(2);

	guest_new(program_wrmsr, 0, 0);
	run.rcx = msr;
	vmcb_set(VMCB_RAX, 0x4321);
	ok(guest_run(0) == EXIT_VMMCALL && rdmsr(msr) == 0x4321,
	   "a WRMSR that is not intercepted writes the counter");
	guest_new(program_rdmsr, 0, 0);
	run.rcx = msr;
	ok(guest_run(0) == EXIT_VMMCALL && vmcb_get(VMCB_RAX) == 0x4321 && run.rdx == 0,
	   "RDMSR reads it");
	guest_new(program_rdpmc, 0, 0);
	run.rcx = 2;
	ok(guest_run(0) == EXIT_VMMCALL && vmcb_get(VMCB_RAX) == 0x4321 && run.rdx == 0,
	   "RDPMC reads it");
	guest_new(program_flags, 0, 0);
	run.rcx = 2;
	run.rbx = ~0ull;
	ok(guest_run(0) == EXIT_VMMCALL && vmcb_get(VMCB_RAX) == 0x4321 && (run.rbx & 0xff) == 1,
	   "so does RDPMC behind code that uses the flags, which stay");
	guest_new(program_cpuid, 0, 0);
	vmcb_set(VMCB_RAX, 0x80000001);
	ok(guest_run(0) == EXIT_VMMCALL &&
		   (run.rcx & CPUID_CORE_PMU) == (pmu.general > 4 ? CPUID_CORE_PMU : 0),
	   "CPUID shows the PMU");
	guest_new(program_rdpmc, 0, 1u << VECTOR_GP);
	run.rcx = 77;
	ok(guest_run(0) == EXIT_GP && vmcb_get(VMCB_RIP) == (uintptr_t)program_rdpmc_at,
	   "RDPMC of an absent counter is a #GP, which the hypervisor can intercept");
}

/* At level 3 the fault is made by CR4.PCE, which the hypervisor does not see clear. */
static void test_level_3_fault(void)
{
	uint64_t exit;

	guest_new(program_rdpmc, 0, 1u << VECTOR_GP);
	guest_at_level_3();
	vmcb_set(VMCB_CR4, read_cr4() | CR4_PCE);
	run.rcx = 77;
	exit = guest_run(0);
	ok(exit == EXIT_GP && vmcb_get(VMCB_RIP) == (uintptr_t)program_rdpmc_at &&
		   vmcb_get(VMCB_CR4) == (read_cr4() | CR4_PCE),
	   "so is one at level 3, and CR4 is the guest's (exit %lx, CR4 %lx)", exit,
	   vmcb_get(VMCB_CR4));
}

static void skip_rdpmc(struct frame *frame)
{
	this_cpu()->fault = *frame;
	frame->rip += 2;
}

/* The guest's own handler takes it. */
static void test_guests_own_fault(void)
{
	uint64_t exit;

	for (unsigned int i = 0; i < 2; i++) {
		trap_hook[VECTOR_GP] = skip_rdpmc;
		this_cpu()->fault.rip = 0;
		guest_new(program_flags, 0, i ? 1u << VECTOR_UD : 0);
		run.rcx = 77;
		exit = guest_run(0);
		trap_hook[VECTOR_GP] = NULL;
		ok(exit == EXIT_VMMCALL && this_cpu()->fault.rip == (uintptr_t)program_flags_at &&
			   this_cpu()->fault.error == 0,
		   "a #GP that is not intercepted is the guest's%s (exit %lx)",
		   i ? ", if #UD is intercepted, too" : "", exit);
	}
}

/* The plugin makes RDPMC of a #UD, and a #GP of another register's. The hypervisor sees neither. */
static void test_served_behind_intercepts(void)
{
	const uint32_t absent = pmu_absent_msr();
	uint64_t exit;

	counter_write(2, 0x4321);
	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		guest_new(program_flags, 0, 1u << VECTOR_UD);
		run.rcx = 2;
		run.rbx = ~0ull;
		count_clear();
		exit = guest_run(COUNT | modes[i].flags);
		ok(exit == EXIT_VMMCALL && vmcb_get(VMCB_RAX) == 0x4321 && (run.rbx & 0xff) == 1 &&
			   count() == (modes[i].host ? HOST_INSTRUCTIONS : 0u) +
					      (modes[i].guest ? 10u : 0u),
		   "RDPMC behind code that uses the flags, with #UD intercepted, %s (%lu, exit "
		   "%lx)",
		   modes[i].name, count(), exit);
	}
	guest_new(program_flags, 0, 1u << VECTOR_UD | 1u << VECTOR_GP);
	run.rcx = 77;
	exit = guest_run(0);
	ok(exit == EXIT_GP && vmcb_get(VMCB_RIP) == (uintptr_t)program_flags_at &&
		   vmcb_get(VMCB_EXIT_INFO_1) == 0,
	   "there, too, that of an absent counter is a #GP (exit %lx)", exit);
	if (!absent)
		return;
	memset(msrpm, 0xff, 0x800);
	guest_new(program_rdmsr, INTERCEPT(EXIT_MSR), 1u << VECTOR_GP);
	run.rcx = absent;
	exit = guest_run(0);
	ok(exit == EXIT_GP && run.rcx == absent &&
		   vmcb_get(VMCB_RIP) == (uintptr_t)program_rdmsr_at,
	   "RDMSR of an absent register is a #GP, whatever others are intercepted (exit %lx)",
	   exit);
	memset(msrpm, 0, 0x800);
}

static void test_levels(void)
{
	uint64_t exit;

	for (unsigned int user = 0; user < 2; user++) {
		guest_new(program_nops, 0, 1u << VECTOR_UD);
		guest_at_level_3();
		count_clear();
		exit = guest_run((COUNT & ~(uint64_t)(user ? SEL_OS : SEL_USR)) | SEL_GUEST_ONLY);
		/* VMMCALL at level 3 is intercepted as well. */
		ok(exit == EXIT_VMMCALL && count() == (user ? 10 : 0),
		   "a guest's %s instructions count apart (%lu, exit %lx)",
		   user ? "level 3" : "level 0", count(), exit);
	}
}

/* Both are armed, and the host runs more than the guest between. */
static void test_two_counters(void)
{
	const uint64_t flags = COUNT | SEL_INT | SEL_GUEST_ONLY;
	uint64_t exit;

	guest_new(program_nops, 0, 0);
	count_clear();
	counter_write(1, 0);
	wrmsr(select_msr(1), flags);
	for (volatile unsigned int i = 0; i < 1000; i++)
		barrier();
	exit = guest_run(flags);
	wrmsr(select_msr(1), 0);
	ok(exit == EXIT_VMMCALL && count() == 10 && counter_read(1) == 10,
	   "two counters of the guest count the same, whatever the host does (%lu, %lu)", count(),
	   counter_read(1));
}

/* An address space of 0 is refused. */
static void test_other_ways(void)
{
	uint64_t exit;

	guest_new(program_nops, 0, 0);
	vmcb_set(VMCB_ASID, 0);
	count_clear();
	exit = guest_run(COUNT | SEL_HOST_ONLY);
	ok(exit == ~0ull && count() == HOST_INSTRUCTIONS,
	   "a VMRUN that is refused counts as one in the host (exit %lx, %lu)", exit, count());
	guest_new(program_nops, 0, 0);
	count_clear();
	exit = guest_run(COUNT | SEL_GUEST_ONLY);
	ok(exit == EXIT_VMMCALL && count() == 10, "the next one is not");
}

void test_main(void)
{
	if (!(cpuid(0x80000001, 0).ecx & CPUID_SVM))
		bail_out("the CPU has no SVM");
	pmu_need();
	apic_enable();
	counters_start(pmu_all());
	test_svme_starts();
	hypervisor_begin();
	test_modes(program_nops, 10, "straight code");
	test_cuts();
	test_intercepted_msrs();
	test_intercepted_cpuid();
	test_served();
	test_served_behind_intercepts();
	test_level_3_fault();
	test_guests_own_fault();
	test_modes(program_wrmsr, 10, "with a WRMSR that is served");
	test_modes(program_cpuid, 10, "with a CPUID that is served");
	test_levels();
	test_rep();
	test_two_counters();
	test_other_ways();
	test_pmis();
	if (is_kvm_guest())
		return;
	test_nested_paging();
	if (pmu.global_ctrl)
		test_random();
}
