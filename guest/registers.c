/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What CPUID says of the PMU, and every PMU register's bits: those that are
 * there, those that are reserved, those that come with a version. No counting.
 * SDM vol. 3, "Performance Monitoring"; vol. 4, "Model-Specific Registers".
 */
#include "pmu.h"

#define CPUID_1_ECX_DTES64  (1u << 2)
#define CPUID_1_ECX_PDCM    (1u << 15)
#define CPUID_1_EDX_DS      (1u << 21)
#define MISC_ENABLE_EMON    (1u << 7)
#define MISC_ENABLE_NO_BTS  (1u << 11)
#define MISC_ENABLE_NO_PEBS (1u << 12)
/* Cache references and misses, branch misses: nothing counts them under TCG. */
#define NOT_COUNTED         (1u << 3 | 1u << 4 | 1u << 6)
#define NOT_COUNTED_TOPDOWN (1u << 7)
#define ALL_GENERAL         8
#define ALL_FIXED           4
#define FLAG_RF             0x10000

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

static void test_cpuid(void)
{
	struct cpuid one = cpuid(1, 0), ten = cpuid(0xa, 0);
	unsigned int length = ten.eax >> 24;
	uint32_t missing = NOT_COUNTED | (length > 7 ? NOT_COUNTED_TOPDOWN : 0);

	is(pmu.version, option("version", pmu.version), "CPUID.0AH shows the version asked for");
	is(pmu.general, pmu.version >= 5 ? 8 : 4, "CPUID.0AH shows the general counters");
	is(pmu.general_width, 48, "general counters are 48 bits wide");
	is(pmu.fixed, 3, "CPUID.0AH shows three fixed counters");
	is(pmu.fixed_width, 48, "fixed counters are 48 bits wide");
	ok(length == 7 || (pmu.version >= 5 && length == 8),
	   "CPUID.0AH's vector of events has a length that fits the version");
	is(ten.ebx, missing, "CPUID.0AH advertises exactly the events that are counted");
	is(ten.ecx, pmu.version >= 5 ? 7 : 0,
	   "CPUID.0AH:ECX lists fixed counters from version 5 on");
	is(ten.edx & ~(0x1fffu | 1u << 15), 0, "CPUID.0AH:EDX has no other bit set");
	ok(one.ecx & CPUID_1_ECX_PDCM, "CPUID.01H shows PDCM");
	ok(!(one.ecx & CPUID_1_ECX_DTES64) && !(one.edx & CPUID_1_EDX_DS),
	   "CPUID.01H shows no debug store");
}

static void test_reset_values(void)
{
	bool zero = true;

	is(rdmsr(MSR_GLOBAL_CTRL), pmu_general_mask(),
	   "GLOBAL_CTRL has the general counters' bits set after power-up");
	for (unsigned int i = 0; i < pmu.general; i++)
		zero = zero && !rdmsr(MSR_PMC0 + i) && !rdmsr(MSR_PERFEVTSEL0 + i);
	for (unsigned int i = 0; i < pmu.fixed; i++)
		zero = zero && !rdmsr(MSR_FIXED_CTR0 + i);
	ok(zero && !rdmsr(MSR_FIXED_CTR_CTRL) && !rdmsr(MSR_GLOBAL_STATUS) &&
		   !rdmsr(MSR_GLOBAL_OVF_CTRL) && !rdmsr(MSR_DEBUGCTL),
	   "all other registers are zero after power-up");
}

/* Each bit alone: 0: it behaves as it should; else a mask of those that do not. */
static uint64_t misbehaving_bits(uint32_t msr, uint64_t allowed)
{
	uint64_t wrong = 0;

	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t value = 1ull << bit, kept = rdmsr(msr);

		if (value & allowed) {
			if (!try_wrmsr(msr, value) || rdmsr(msr) != value)
				wrong |= value;
		} else if (!write_faults(msr, value) || rdmsr(msr) != kept) {
			wrong |= value;
		}
	}
	wrmsr(msr, 0);
	return wrong;
}

static void test_event_selects(void)
{
	uint64_t allowed = 0xffffffff & ~(uint64_t)SEL_ANY;
	uint64_t wrong = 0;

	if (pmu.version >= 3 && !pmu.any_thread_gone)
		allowed |= SEL_ANY;
	for (unsigned int i = 0; i < pmu.general; i++)
		wrong |= misbehaving_bits(MSR_PERFEVTSEL0 + i, allowed);
	is(wrong, 0, "PERFEVTSEL keeps its bits; a reserved one is a #GP and changes nothing");
}

static void test_fixed_control(void)
{
	uint64_t field = FIXED_OS | FIXED_USR | FIXED_PMI, allowed = 0;

	if (pmu.version >= 3 && !pmu.any_thread_gone)
		field |= FIXED_ANY;
	for (unsigned int i = 0; i < pmu.fixed; i++)
		allowed |= FIXED_FIELD(i, field);
	is(misbehaving_bits(MSR_FIXED_CTR_CTRL, allowed), 0,
	   "FIXED_CTR_CTRL keeps its bits; a reserved one is a #GP and changes nothing");
}

static void test_counters(void)
{
	uint64_t wrong = 0;

	for (unsigned int i = 0; i < pmu.fixed; i++)
		wrong |= misbehaving_bits(MSR_FIXED_CTR0 + i, pmu_value_mask());
	is(wrong, 0, "a fixed counter keeps its 48 bits; a bit above is a #GP");
	wrong = 0;
	for (unsigned int i = 0; i < pmu.general; i++)
		wrong |= misbehaving_bits(MSR_A_PMC0 + i, pmu_value_mask());
	is(wrong, 0, "A_PMC keeps its 48 bits; a bit above is a #GP");
}

static void test_legacy_writes(void)
{
	bool extended = true, positive = true, same = true;

	for (unsigned int i = 0; i < pmu.general; i++) {
		wrmsr(MSR_PMC0 + i, 0x1234567880000001);
		extended = extended && rdmsr(MSR_PMC0 + i) == 0xffff80000001;
		same = same && rdmsr(MSR_A_PMC0 + i) == 0xffff80000001;
		wrmsr(MSR_PMC0 + i, 0xffffffff7ffffffe);
		positive = positive && rdmsr(MSR_PMC0 + i) == 0x7ffffffe;
		wrmsr(MSR_A_PMC0 + i, 0x123456789abc);
		same = same && rdmsr(MSR_PMC0 + i) == 0x123456789abc;
		wrmsr(MSR_PMC0 + i, 0);
	}
	ok(extended, "a write to PMC is sign-extended from bit 31 to the counter's width");
	ok(positive, "a positive write to PMC drops its upper half");
	ok(same, "PMC and A_PMC are the same counter");
}

static void test_global_control(void)
{
	is(misbehaving_bits(MSR_GLOBAL_CTRL, pmu_all()), 0,
	   "GLOBAL_CTRL keeps the counters' bits; another one is a #GP and changes nothing");
}

static uint64_t reserved_status(void)
{
	/* Bits of features that a PMU may have or lack are left out: trace, SGX, uncore. */
	uint64_t known = pmu_all() | STATUS_BUFFER | STATUS_CHANGED | STATUS_TOPA | STATUS_ASCI |
			 STATUS_UNCORE;

	return ~(known | STATUS_LBR_FRZ | STATUS_CTR_FRZ);
}

static uint64_t bits_without_fault(uint32_t msr, uint64_t bits)
{
	uint64_t silent = 0;

	for (unsigned int bit = 0; bit < 64; bit++)
		if ((bits & 1ull << bit) && !write_faults(msr, 1ull << bit))
			silent |= 1ull << bit;
	return silent;
}

static void test_status(void)
{
	uint64_t frozen = STATUS_LBR_FRZ | STATUS_CTR_FRZ;

	is(bits_without_fault(MSR_GLOBAL_STATUS, ~0ull), 0, "a write to GLOBAL_STATUS is a #GP");
	ok(write_faults(MSR_GLOBAL_STATUS, 0), "so is a write of zero");
	is(bits_without_fault(MSR_GLOBAL_OVF_CTRL, reserved_status()), 0,
	   "a reserved bit of GLOBAL_OVF_CTRL is a #GP");
	ok(try_wrmsr(MSR_GLOBAL_OVF_CTRL, pmu_all() | STATUS_BUFFER | STATUS_CHANGED),
	   "GLOBAL_OVF_CTRL takes the counters' bits, the buffer's and \"changed\"");
	is(rdmsr(MSR_GLOBAL_OVF_CTRL), 0, "GLOBAL_OVF_CTRL reads as zero");
	if (pmu.version < 4) {
		is(bits_without_fault(MSR_GLOBAL_OVF_CTRL, frozen), 0,
		   "before version 4 GLOBAL_OVF_CTRL has no freeze bits");
		ok(is_absent(MSR_GLOBAL_STATUS_SET),
		   "GLOBAL_STATUS_SET is absent before version 4");
		ok(is_absent(MSR_GLOBAL_INUSE), "GLOBAL_INUSE is absent before version 4");
		return;
	}
	is(bits_without_fault(MSR_GLOBAL_STATUS_SET, reserved_status() | STATUS_CHANGED), 0,
	   "a reserved bit of GLOBAL_STATUS_SET is a #GP");
	wrmsr(MSR_GLOBAL_STATUS_SET, pmu_all() | frozen);
	is(rdmsr(MSR_GLOBAL_STATUS), pmu_all() | frozen, "GLOBAL_STATUS_SET sets status bits");
	wrmsr(MSR_GLOBAL_STATUS_SET, 0);
	is(rdmsr(MSR_GLOBAL_STATUS), pmu_all() | frozen, "and clears none");
	wrmsr(MSR_GLOBAL_OVF_CTRL, 1 | STATUS_CTR_FRZ);
	is(rdmsr(MSR_GLOBAL_STATUS), (pmu_all() | frozen) & ~(1 | STATUS_CTR_FRZ),
	   "GLOBAL_STATUS_RESET clears just the bits written");
	wrmsr(MSR_GLOBAL_OVF_CTRL, pmu_all() | frozen);
	is(rdmsr(MSR_GLOBAL_STATUS), 0, "and all of them");
}

static void test_inuse(void)
{
	bool each = true;

	if (pmu.version < 4)
		return;
	is(bits_without_fault(MSR_GLOBAL_INUSE, ~0ull), 0, "a write to GLOBAL_INUSE is a #GP");
	is(rdmsr(MSR_GLOBAL_INUSE), 0, "GLOBAL_INUSE is zero with nothing programmed");
	for (unsigned int i = 0; i < pmu.general; i++) {
		wrmsr(MSR_PERFEVTSEL0 + i, 0xc0);
		each = each && rdmsr(MSR_GLOBAL_INUSE) == 1ull << i;
		wrmsr(MSR_PERFEVTSEL0 + i, 0);
	}
	ok(each, "GLOBAL_INUSE shows a general counter whose event select is not zero");
	each = true;
	for (unsigned int i = 0; i < pmu.fixed; i++) {
		wrmsr(MSR_FIXED_CTR_CTRL, FIXED_FIELD(i, FIXED_USR));
		each = each && rdmsr(MSR_GLOBAL_INUSE) == FIXED_BIT(i);
	}
	ok(each, "GLOBAL_INUSE shows a fixed counter that is enabled at any level");
	wrmsr(MSR_FIXED_CTR_CTRL, FIXED_FIELD(0, FIXED_PMI));
	is(rdmsr(MSR_GLOBAL_INUSE), INUSE_PMI, "GLOBAL_INUSE shows a fixed counter's PMI");
	wrmsr(MSR_FIXED_CTR_CTRL, 0);
	wrmsr(MSR_PERFEVTSEL0, SEL_INT);
	is(rdmsr(MSR_GLOBAL_INUSE), INUSE_PMI, "GLOBAL_INUSE shows a general counter's PMI");
	wrmsr(MSR_PERFEVTSEL0, 0);
}

static void test_capabilities(void)
{
	uint64_t value = rdmsr(MSR_PERF_CAPABILITIES);

	ok(value & CAPABILITIES_FW_WRITE, "PERF_CAPABILITIES shows full-width writes");
	is(value & ~CAPABILITIES_FW_WRITE, 0, "PERF_CAPABILITIES shows neither LBR nor PEBS");
	is(bits_without_fault(MSR_PERF_CAPABILITIES, ~0ull), 0,
	   "a write to PERF_CAPABILITIES is a #GP");
	value = rdmsr(MSR_MISC_ENABLE);
	ok(value & MISC_ENABLE_EMON, "MISC_ENABLE shows performance monitoring");
	ok((value & MISC_ENABLE_NO_BTS) && (value & MISC_ENABLE_NO_PEBS),
	   "MISC_ENABLE shows BTS and PEBS as unavailable");
	ok(value & 1, "MISC_ENABLE keeps the bits of others");
}

static void test_debugctl(void)
{
	wrmsr(MSR_DEBUGCTL, DEBUGCTL_FREEZE_PERFMON_ON_PMI);
	is(rdmsr(MSR_DEBUGCTL), DEBUGCTL_FREEZE_PERFMON_ON_PMI, "DEBUGCTL keeps freeze-on-PMI");
	wrmsr(MSR_DEBUGCTL, 0);
	is(rdmsr(MSR_DEBUGCTL), 0, "and lets it go");
	is(bits_without_fault(MSR_DEBUGCTL, ~0xffffull | 0x3c), 0,
	   "a reserved bit of DEBUGCTL is a #GP");
	is(rdmsr(MSR_DEBUGCTL), 0, "and changes nothing");
}

static void test_absent(void)
{
	bool absent = true;

	for (unsigned int i = pmu.general; i < ALL_GENERAL; i++)
		absent = absent && is_absent(MSR_PMC0 + i) && is_absent(MSR_PERFEVTSEL0 + i) &&
			 is_absent(MSR_A_PMC0 + i);
	for (unsigned int i = pmu.fixed; i < ALL_FIXED; i++)
		absent = absent && is_absent(MSR_FIXED_CTR0 + i);
	ok(absent, "registers of counters that are not there are absent");
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
	ok(faults && index_faults(pmu.general), "RDPMC of any other index is a #GP");
}

/* Upper halves of RAX and RDX are cleared, as by the native instructions. */
static void test_upper_halves(void)
{
	struct probe probe = { ~0ull, 1, 0x5555555500000000 | MSR_GLOBAL_CTRL, ~0ull,
			       FLAGS_PATTERN };

	wrmsr(MSR_GLOBAL_CTRL, 1);
	ok(probe_rdmsr(&probe) && probe.rax == 1 && probe.rdx == 0 &&
		   probe.rcx == (0x5555555500000000 | MSR_GLOBAL_CTRL) && probe.rbx == 1,
	   "RDMSR clears the upper halves of RAX and RDX and leaves RCX");
	probe = (struct probe){ ~0ull, 1, 0, ~0ull, FLAGS_PATTERN };
	ok(probe_rdpmc(&probe) && probe.rax == 0 && probe.rdx == 0 && probe.rbx == 1,
	   "so does RDPMC");
	probe = (struct probe){ 0x777777770000000a, ~0ull, ~0ull, ~0ull, FLAGS_PATTERN };
	ok(probe_cpuid(&probe) && (probe.rax & 0xff) == pmu.version && probe.rax >> 32 == 0 &&
		   probe.rbx >> 32 == 0 && probe.rcx >> 32 == 0 && probe.rdx >> 32 == 0,
	   "so does CPUID");
	wrmsr(MSR_GLOBAL_CTRL, 0);
}

/* The ways to fault must not show in the APIC, whose registers are near. */
static void test_apic(const char *mode)
{
	uint32_t before = apic_errors(), lvtpc = apic_read(APIC_LVTPC);
	bool faults =
		read_faults(MSR_FIXED_CTR0 + pmu.fixed) && write_faults(MSR_GLOBAL_CTRL, ~0ull);

	ok(faults, "a #GP comes as it should in %s mode", mode);
	ok(before == 0 && apic_errors() == 0, "and the local APIC has no error in %s mode", mode);
	ok(apic_read(APIC_LVTPC) == lvtpc, "nor has LVTPC changed in %s mode", mode);
}

void test_main(void)
{
	pmu_need();
	test_reset_values();
	test_cpuid();
	pmu_clear();
	test_event_selects();
	test_fixed_control();
	test_counters();
	test_legacy_writes();
	test_global_control();
	test_status();
	test_inuse();
	test_capabilities();
	test_debugctl();
	test_absent();
	test_rdpmc();
	test_upper_halves();
	test_apic("xAPIC");
	apic_enable_x2();
	test_apic("x2APIC");
	is(this_cpu()->traps[VECTOR_UD], 0, "no #UD has been seen");
}
