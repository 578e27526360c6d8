/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For a bed of tests/bed.py: virtual machines come and go, and the CPUID of their vCPUs gives them
 * one PMU after the other, and none; user space writes random values to all registers that a PMU
 * may have, also while counters count. What is refused is refused: nothing but KVM is looked
 * at, by whoever runs this.
 *
 * usage: kvm_cpuid SECONDS SEED. 2: it cannot be tried here.
 */
#include "bench/vmexit/pmu.h"
#include "bench/vmexit/vm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <vpmu/msr.h>

#define CHANGES 8 /* of CPUID, before a vCPU's first run */
#define WRITES  30
#define TURNS   200
#define RUNS    3

#define BIT(n) (UINT32_C(1) << (n))

enum kind { KIND_NONE, KIND_K7, KIND_CORE, KIND_V2, KIND_INTEL, KINDS };

struct leaf {
	uint32_t function, eax, ebx, ecx, edx;
};

#define LEAF_PERFMON_V2 0x80000022
#define CORE_EXTENSION  BIT(23) /* leaf 80000001H, ECX */

/* "GenuineIntel", and version 2 with four general counters and three fixed ones. */
static const struct leaf intel_vendor = { 0, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 };
static const struct leaf intel_pmu = { 0xa, 0x07300402, 0, 0, 0x603 };

/* First register, and how many. */
static const uint32_t ranges[][2] = {
	{ VPMU_AMD_MSR_K7_EVNTSEL0, 8 },
	{ VPMU_AMD_MSR_PERF_CTL0, 12 },
	{ VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS, 4 },
	{ VPMU_MSR_PMC0, 8 },
	{ VPMU_MSR_PERFEVTSEL0, 8 },
	{ VPMU_MSR_FIXED_CTR0, 4 },
	{ VPMU_MSR_FIXED_CTR_CTRL, 4 },
};

static uint64_t state;

/* xorshift64 */
static uint64_t chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)(chance() % n);
}

static void must(const char *error)
{
	if (!error)
		return;
	printf("%s\n", error);
	exit(2);
}

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function)
			return &cpuid->entries[i];
	return NULL;
}

static void put(struct kvm_cpuid2 *cpuid, const struct leaf *leaf)
{
	struct kvm_cpuid_entry2 *entry = find(cpuid, leaf->function);

	if (!entry)
		return;
	entry->eax = leaf->eax;
	entry->ebx = leaf->ebx;
	entry->ecx = leaf->ecx;
	entry->edx = leaf->edx;
}

/* What KVM supports, with another PMU. The caller frees it. */
static struct kvm_cpuid2 *cpuid_of(const struct kvm_cpuid2 *supported, enum kind kind)
{
	const size_t size = sizeof(*supported) + supported->nent * sizeof(supported->entries[0]);
	struct kvm_cpuid2 *cpuid = malloc(size);
	struct kvm_cpuid_entry2 *features;

	if (!cpuid)
		exit(2);
	memcpy(cpuid, supported, size);
	features = find(cpuid, 0x80000001);
	if (kind == KIND_V2)
		return cpuid;
	put(cpuid, &(struct leaf){ .function = LEAF_PERFMON_V2 });
	if (kind != KIND_CORE && features)
		features->ecx &= ~CORE_EXTENSION;
	if (kind == KIND_NONE || kind == KIND_INTEL)
		put(cpuid, &intel_vendor);
	if (kind == KIND_INTEL)
		put(cpuid, &intel_pmu);
	return cpuid;
}

static uint32_t random_msr(void)
{
	const uint32_t *range = ranges[below(sizeof(ranges) / sizeof(ranges[0]))];

	return range[0] + below(range[1]);
}

static bool is_select(uint32_t msr)
{
	return msr - VPMU_AMD_MSR_K7_EVNTSEL0 < 4 || msr - VPMU_MSR_PERFEVTSEL0 < 8 ||
	       (msr - VPMU_AMD_MSR_PERF_CTL0 < 12 && msr % 2 == 0);
}

/* A select that counts does so of instructions: of other events the machine may tell. */
static uint64_t random_select(void)
{
	const uint64_t how = VPMU_EVTSEL_OS | VPMU_EVTSEL_USR | VPMU_EVTSEL_INT;

	return below(2) ? 0xc0 | VPMU_EVTSEL_EN | (chance() & how) : chance() & ~VPMU_EVTSEL_EN;
}

/* Often near a counter's overflow, or that of a register that starts counters. */
static uint64_t random_value(uint32_t msr)
{
	if (is_select(msr))
		return random_select();
	switch (below(3)) {
	case 0:
		return -(uint64_t)below(1000);
	case 1:
		return chance() & 0x3f;
	default:
		return chance();
	}
}

static void disturb(struct vm *vm)
{
	uint64_t value;

	for (unsigned int n = below(WRITES); n; n--) {
		uint32_t msr = random_msr();

		(void)vm_write_msr(vm, msr, random_value(msr));
		(void)vm_read_msr(vm, random_msr(), &value);
	}
}

/* A vCPU that never runs: its CPUID may change as often as it likes. */
static void change(int kvm, struct kvm_cpuid2 *const cpuids[KINDS])
{
	struct vm vm = { .vm = ioctl(kvm, KVM_CREATE_VM, 0), .vcpu = -1 };

	if (vm.vm < 0 || ioctl(vm.vm, KVM_CREATE_IRQCHIP, 0) < 0)
		must("KVM_CREATE_VM");
	vm.vcpu = ioctl(vm.vm, KVM_CREATE_VCPU, 0);
	if (vm.vcpu < 0)
		must("KVM_CREATE_VCPU");
	for (unsigned int n = below(CHANGES); n; n--) {
		if (ioctl(vm.vcpu, KVM_SET_CPUID2, cpuids[below(KINDS)]))
			must("KVM_SET_CPUID2");
		disturb(&vm);
	}
	vm_end(&vm);
}

/* One that runs, whose CPUID stays. */
static void run(int kvm, struct kvm_cpuid2 *const cpuids[KINDS], const struct pmu *pmu)
{
	const enum kind kind = (enum kind)below(KINDS);
	struct guest_write writes[PMU_WRITES] = { 0 };
	struct vm vm;

	if (kind == KIND_V2)
		pmu_writes(pmu, (enum pmu_state)below(PMU_STATES), writes);
	must(vm_start(&vm, &(struct vm_plan){ .kvm = kvm,
					      .cpuid = cpuids[kind],
					      .code = guest_exits[0].code,
					      .end = guest_exits[0].end,
					      .writes = writes,
					      .pmu_off = below(8) == 0 && kind != KIND_V2 }));
	for (unsigned int i = 0; i < RUNS; i++) {
		disturb(&vm);
		must(vm_run(&vm, TURNS));
	}
	disturb(&vm);
	vm_end(&vm);
}

int main(int argc, char **argv)
{
	const int kvm = open("/dev/kvm", O_RDWR);
	struct kvm_cpuid2 *supported, *cpuids[KINDS];
	unsigned long rounds = 0;
	struct pmu pmu;
	time_t end;

	if (argc != 3)
		must("usage: kvm_cpuid SECONDS SEED");
	if (kvm < 0)
		must("there is no /dev/kvm");
	state = strtoull(argv[2], NULL, 10) * 2 + 1;
	must(vm_supported_cpuid(kvm, &supported));
	pmu = pmu_of(kvm, supported);
	if (pmu.none || !find(supported, LEAF_PERFMON_V2))
		must("its guests have no PerfMonV2");
	for (unsigned int kind = 0; kind < KINDS; kind++)
		cpuids[kind] = cpuid_of(supported, (enum kind)kind);
	end = time(NULL) + (time_t)strtoul(argv[1], NULL, 10);
	for (; time(NULL) < end; rounds++) {
		change(kvm, cpuids);
		run(kvm, cpuids, &pmu);
	}
	printf("%lu rounds\n", rounds);
	return rounds == 0;
}
