/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What CPUID says of the PMU, and every PMU register's bits: those that are
 * there, those that are reserved, those that come with a version. No counting.
 * SDM vol. 3, "Performance Monitoring"; vol. 4, "Model-Specific Registers". APM vol. 2,
 * "Performance Monitoring Counters".
 */
#include "registers.h"

/* A fault leaves these as they were; any pattern that is not all zero or one will do. */
#define FLAGS_PATTERN (FLAG_ALWAYS | FLAG_CF | FLAG_AF | FLAG_SF)

/* Whether the probe's fault is a #GP(0) at the instruction with nothing changed. */
static bool is_clean_fault(const struct probe *before, const char *at)
{
	const struct frame *fault = &this_cpu()->fault;

	return fault->vector == VECTOR_GP && fault->error == 0 && fault->rip == (uintptr_t)at &&
	       fault->rax == before->rax && fault->rbx == before->rbx &&
	       fault->rcx == before->rcx && fault->rdx == before->rdx &&
	       (fault->rflags & ~(uint64_t)FLAG_RF) == before->rflags;
}

static bool read_faults(uint32_t msr)
{
	/* The high halves have to be ignored on the way in, and kept. */
	struct probe probe = { 0x1111111122222222, 0x33, 0x4444444400000000 | msr,
			       0x5555555566666666, FLAGS_PATTERN };
	struct probe before = probe;

	return !probe_rdmsr(&probe) && is_clean_fault(&before, probe_rdmsr_at);
}

static bool write_faults(uint32_t msr, uint64_t value)
{
	struct probe probe = { 0x1111111100000000 | (uint32_t)value, 0x33, 0x4444444400000000 | msr,
			       0x5555555500000000 | value >> 32, FLAGS_PATTERN };
	struct probe before = probe;

	return !probe_wrmsr(&probe) && is_clean_fault(&before, probe_wrmsr_at);
}

static bool index_faults(uint32_t index)
{
	struct probe probe = { 0x1111111122222222, 0x33, index, 0x5555555566666666, FLAGS_PATTERN };
	struct probe before = probe;

	return !probe_rdpmc(&probe) && is_clean_fault(&before, probe_rdpmc_at);
}

/* Neither to be read nor to be written. */
static bool is_absent(uint32_t msr)
{
	return read_faults(msr) && write_faults(msr, 0);
}

static bool bit_behaves(const struct pmu_register *row, uint32_t msr, uint64_t bit)
{
	uint64_t before = rdmsr(msr);

	if (row->writes == WRITES_FAULT || (bit & ~(row->kept | row->ignored)))
		return write_faults(msr, bit) && rdmsr(msr) == before;
	if (!try_wrmsr(msr, bit))
		return false;
	switch (row->writes) {
	case WRITES_KEPT:
		return rdmsr(msr) == (bit & row->kept);
	case WRITES_ACT:
		return rdmsr(msr) == 0;
	case WRITES_SIGNED: /* test_legacy_writes() */
		return true;
	case WRITES_IGNORED:
	case WRITES_FAULT:
		break;
	}
	return rdmsr(msr) == before;
}

/* Each bit alone. Those that do not behave. */
static uint64_t misbehaving_bits(const struct pmu_register *row, uint32_t msr)
{
	uint64_t wrong = 0;

	for (unsigned int bit = 0; bit < 64; bit++)
		if (!bit_behaves(row, msr, 1ull << bit))
			wrong |= 1ull << bit;
	try_wrmsr(msr, 0);
	return wrong;
}

static void test_bits(const struct pmu_register *row)
{
	uint64_t wrong = 0, zero_refused = true;

	for (unsigned int n = 0; n < row->there; n++) {
		wrong |= misbehaving_bits(row, pmu_register_msr(row, n));
		zero_refused &= write_faults(pmu_register_msr(row, n), 0);
	}
	is(wrong, 0, "%s: each bit is kept, acts, is ignored, or is a #GP that changes nothing",
	   row->name);
	if (row->writes == WRITES_FAULT)
		ok(zero_refused, "%s: a write of zero is a #GP, too", row->name);
}

static void test_row(const struct pmu_register *row)
{
	bool absent = true;

	if (row->there && row->kind != REGISTER_OTHERS)
		test_bits(row);
	for (unsigned int n = row->there; n < row->numbers; n++)
		absent = absent && is_absent(pmu_register_msr(row, n));
	if (row->there < row->numbers)
		ok(absent, "%s: those that are not there are a #GP", row->name);
}

static void test_rows(void)
{
	for (unsigned int i = 0; i < pmu_register_rows; i++) {
		test_row(&pmu_registers[i]);
		if (pmu_registers[i].kind == REGISTER_STATUS_CHANGE && pmu.status)
			pmu_clear_status(pmu_registers[i].kept);
	}
}

static void test_reset_values(void)
{
	for (unsigned int i = 0; i < pmu_register_rows; i++) {
		const struct pmu_register *row = &pmu_registers[i];

		if (row->there)
			ok(pmu_register_is_reset(row), "%s is as after power-up%s", row->name,
			   row->kind == REGISTER_GLOBAL_CONTROL ? ": the general counters' bits"
								: "");
	}
}

/* Intel's from version 4 on, and AMD's PerfMonV2. */
static void test_status(void)
{
	uint64_t all = pmu_all() | STATUS_LBR_FRZ | STATUS_CTR_FRZ;

	if (!pmu.status_set)
		return;
	wrmsr(pmu.status_set, all);
	is(pmu_status(), all, "status bits can be set");
	wrmsr(pmu.status_set, 0);
	is(pmu_status(), all, "a zero clears none");
	pmu_clear_status(1 | STATUS_CTR_FRZ);
	is(pmu_status(), all & ~(1 | STATUS_CTR_FRZ), "just the bits written are cleared");
	pmu_clear_status(all);
	is(pmu_status(), 0, "and all of them");
}

static void test_rdpmc(void)
{
	static const uint32_t bad[] = { 8,
					31,
					32,
					0xffff,
					0x10000,
					0x20000000,
					RDPMC_FIXED + 3,
					RDPMC_FIXED + 4,
					RDPMC_FIXED + 32,
					0x80000000,
					0xc0000000,
					0xffffffff };
	bool equal = true, faults = true;
	uint64_t value;

	for (unsigned int i = 0; i < pmu.general; i++) {
		counter_write(i, 0x8123456789a0 + i);
		equal = equal && try_rdpmc(i, &value) && value == 0x8123456789a0u + i;
		counter_write(i, 0);
	}
	for (unsigned int i = 0; i < pmu.fixed; i++) {
		counter_write(32 + i, 0xfedcba987650 + i);
		equal = equal && try_rdpmc(RDPMC_FIXED + i, &value) && value == 0xfedcba987650u + i;
		counter_write(32 + i, 0);
	}
	ok(equal, "RDPMC reads each counter at its full width");
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		if (index_faults(bad[i]))
			continue;
		print("# RDPMC of %x\n", bad[i]);
		faults = false;
	}
	ok(faults && index_faults(pmu.general) && (pmu.fixed || index_faults(RDPMC_FIXED)),
	   "RDPMC of any other index is a #GP");
}

/* Upper halves of RAX and RDX are cleared, as by the native instructions. */
static void test_upper_halves(void)
{
	const uint64_t msr = 0x5555555500000000 | counter_msr(1);
	struct probe probe = { ~0ull, 1, msr, ~0ull, FLAGS_PATTERN };

	counter_write(1, 1);
	ok(probe_rdmsr(&probe) && probe.rax == 1 && probe.rdx == 0 && probe.rcx == msr &&
		   probe.rbx == 1,
	   "RDMSR clears the upper halves of RAX and RDX and leaves RCX");
	probe = (struct probe){ ~0ull, 1, 0, ~0ull, FLAGS_PATTERN };
	ok(probe_rdpmc(&probe) && probe.rax == 0 && probe.rdx == 0 && probe.rbx == 1,
	   "so does RDPMC");
	probe = (struct probe){ 0x7777777700000000 | pmu.leaf, ~0ull, ~0ull, ~0ull, FLAGS_PATTERN };
	ok(probe_cpuid(&probe) && probe.rax == cpuid(pmu.leaf, 0).eax && probe.rbx >> 32 == 0 &&
		   probe.rcx >> 32 == 0 && probe.rdx >> 32 == 0,
	   "so does CPUID");
	counter_write(1, 0);
}

/* The ways to fault must not show in the APIC, whose registers are near. */
static void test_apic(const char *mode)
{
	uint32_t before = apic_errors(), lvtpc = apic_read(APIC_LVTPC), msr = pmu_absent_msr();
	bool faults = index_faults(pmu.general) &&
		      (!msr || (read_faults(msr) && write_faults(msr, ~0ull)));

	ok(faults, "a #GP comes as it should in %s mode", mode);
	ok(before == 0 && apic_errors() == 0, "and the local APIC has no error in %s mode", mode);
	ok(apic_read(APIC_LVTPC) == lvtpc, "nor has LVTPC changed in %s mode", mode);
}

void test_main(void)
{
	pmu_need();
	pmu_registers_find();
	test_reset_values();
	pmu_clear();
	test_rows();
	test_status();
	if (pmu.amd)
		test_amd();
	else
		test_intel();
	test_rdpmc();
	test_upper_halves();
	test_apic("xAPIC");
	apic_enable_x2();
	test_apic("x2APIC");
	is(this_cpu()->traps[VECTOR_UD], 0, "no #UD has been seen");
}
