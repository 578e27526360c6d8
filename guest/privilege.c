/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who may do what: ring 3 has no MSRs, and RDPMC only with CR4.PCE. What is
 * refused changes nothing. SDM vol. 2, RDMSR, WRMSR, RDPMC.
 */
#include "pmu_registers.h"

#define FLAG_RF       0x10000
#define FLAGS_PATTERN (FLAG_ALWAYS | FLAG_PF | FLAG_ZF | FLAG_OF)

struct
try {
	probe_function *function;
	struct probe probe;
};

static uint64_t run_try(void *argument)
{
	struct try *try = argument;

	return try->function(&try->probe);
}

static bool in_user(probe_function *function, uint32_t rcx, uint64_t value, struct try *try)
{
	*try = (struct try){ function, { (uint32_t)value, 0x33, rcx, value >> 32, FLAGS_PATTERN } };
	return user_call(run_try, try);
}

static bool is_fault(const struct try *try, unsigned int vector, const char *at)
{
	const struct frame *fault = &this_cpu()->fault;

	return fault->vector == vector && fault->error == 0 && fault->rip == (uintptr_t)at &&
	       fault->rax == try->probe.rax && fault->rcx == try->probe.rcx &&
	       fault->rdx == try->probe.rdx && fault->rbx == try->probe.rbx &&
	       (fault->rflags & ~(uint64_t)(FLAG_RF | FLAG_IF)) == FLAGS_PATTERN;
}

static void test_msrs(void)
{
	bool reads = true, writes = true, same = true;
	struct try try;

	for (unsigned int i = 0; i < pmu_register_rows; i++) {
		uint32_t msr = pmu_registers[i].first;
		uint64_t before = 0;

		try_rdmsr(msr, &before);
		reads = reads && !in_user(probe_rdmsr, msr, 0x1234, &try) &&
			is_fault(&try, VECTOR_GP, probe_rdmsr_at) &&
			this_cpu()->fault.cs == SEL_USER_CODE;
		writes = writes && !in_user(probe_wrmsr, msr, 1, &try) &&
			 is_fault(&try, VECTOR_GP, probe_wrmsr_at);
		same = same && (!pmu_registers[i].there || rdmsr(msr) == before);
	}
	ok(reads, "RDMSR of each PMU register in ring 3 is a #GP, whether it is there or not");
	ok(writes, "so is WRMSR");
	ok(same, "and changes nothing");
}

static void test_rdpmc(void)
{
	unsigned int last = pmu.fixed ? 32 : pmu.general - 1;
	uint64_t value;
	struct try try;

	counter_write(0, 0x123456789abc);
	counter_write(last, 0xcba987654321);
	write_cr4(read_cr4() & ~CR4_PCE);
	ok(!in_user(probe_rdpmc, 0, 0, &try) && is_fault(&try, VECTOR_GP, probe_rdpmc_at),
	   "RDPMC in ring 3 with CR4.PCE clear is a #GP");
	ok(!in_user(probe_rdpmc, 99, 0, &try) && is_fault(&try, VECTOR_GP, probe_rdpmc_at),
	   "also with a bad index");
	ok(try_rdpmc(0, &value) && value == 0x123456789abc, "in ring 0 it works");
	write_cr4(read_cr4() | CR4_PCE);
	ok(in_user(probe_rdpmc, 0, 0, &try) && try.probe.rax == 0x56789abc &&
		   try.probe.rdx == 0x1234,
	   "RDPMC in ring 3 with CR4.PCE set reads a general counter");
	ok((try.probe.rflags & ~(uint64_t)FLAG_IF) == FLAGS_PATTERN, "and keeps the flags");
	ok(in_user(probe_rdpmc, counter_index(last), 0, &try) && try.probe.rax == 0x87654321 &&
		   try.probe.rdx == 0xcba9,
	   "and a fixed one, or the last");
	ok(!in_user(probe_rdpmc, pmu.general, 0, &try) && is_fault(&try, VECTOR_GP, probe_rdpmc_at),
	   "RDPMC in ring 3 of a bad index is a #GP");
	ok(!in_user(probe_rdpmc, RDPMC_FIXED + pmu.fixed, 0, &try) &&
		   is_fault(&try, VECTOR_GP, probe_rdpmc_at),
	   "also of a fixed counter that is not there");
	ok(read_cr4() & CR4_PCE, "CR4.PCE is as it was");
	ok(in_user(probe_data16_rdpmc, 0, 0, &try) && try.probe.rax == 0x56789abc &&
		   in_user(probe_rexw_rdpmc, 0, 0, &try) && try.probe.rax == 0x56789abc,
	   "prefixes without a meaning change nothing");
	ok(try_rdpmc(0, &value) && value == 0x123456789abc, "in ring 0 it works still");
	write_cr4(read_cr4() & ~CR4_PCE);
}

static void test_lock(void)
{
	static const struct {
		probe_function *function;
		const char *at, *name;
	} locked[] = {
		{ probe_lock_rdmsr, probe_lock_rdmsr_at, "RDMSR" },
		{ probe_lock_wrmsr, probe_lock_wrmsr_at, "WRMSR" },
		{ probe_lock_rdpmc, probe_lock_rdpmc_at, "RDPMC" },
		{ probe_lock_cpuid, probe_lock_cpuid_at, "CPUID" },
	};
	uint32_t msr = counter_msr(1);
	uint64_t before = rdmsr(msr);

	for (unsigned int i = 0; i < ARRAY_SIZE(locked); i++) {
		struct try try = { locked[i].function, { 1, 0x33, msr, 0, FLAGS_PATTERN } };

		ok(!run_try(&try) && is_fault(&try, VECTOR_UD, locked[i].at),
		   "LOCK %s is a #UD in ring 0", locked[i].name);
		ok(!user_call(run_try, &try) && is_fault(&try, VECTOR_UD, locked[i].at),
		   "LOCK %s is a #UD in ring 3", locked[i].name);
	}
	is(rdmsr(msr), before, "and changes nothing");
}

static void test_prefixes(void)
{
	struct probe probe = { 3, 0, counter_msr(1), 0, FLAGS_PATTERN };

	ok(probe_rexw_wrmsr(&probe) && counter_read(1) == 3, "WRMSR with REX.W writes");
	probe.rax = ~0ull;
	ok(probe_rexw_rdmsr(&probe) && probe.rax == 3, "RDMSR with REX.W reads");
	counter_write(1, 0);
}

void test_main(void)
{
	pmu_need();
	pmu_registers_find();
	pmu_clear();
	test_msrs();
	test_rdpmc();
	test_lock();
	test_prefixes();
}
