/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For a bed of tests/bed.py: a guest counts in one virtual machine, and the same guest in one after
 * the other, whose PMU gets by KVM's ioctls what the one before had while it counted. All registers
 * agree in the end, and two counters have overflown, or the status is 1. 2: it cannot be tried
 * here.
 */
#include "bench/vmexit/pmu.h"
#include "bench/vmexit/vm.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpmu/msr.h>

#define COUNTERS 6
#define STRIDE   2
#define RUNS     4
#define TURNS    1000 /* a run; each has one branch, and more than ten instructions */
#define CONTROL  VPMU_AMD_MSR_PERF_CNTR_GLOBAL_CTL
#define STATUS   VPMU_AMD_MSR_PERF_CNTR_GLOBAL_STATUS

#define LEVELS       (VPMU_EVTSEL_OS | VPMU_EVTSEL_USR)
#define INSTRUCTIONS 0xc0
#define BRANCHES     0xc2
#define CYCLES       0x76

/* Some overflow, in different runs. */
static const struct {
	uint64_t select, value;
} counters[COUNTERS] = {
	{ INSTRUCTIONS | LEVELS | VPMU_EVTSEL_EN, 0 },
	{ BRANCHES | LEVELS | VPMU_EVTSEL_EN, -(uint64_t)(TURNS * 5 / 2) },
	{ CYCLES | LEVELS | VPMU_EVTSEL_EN, 123 },
	{ INSTRUCTIONS | LEVELS | VPMU_EVTSEL_EN | VPMU_EVTSEL_INT, -(uint64_t)(TURNS * 5) },
	{ INSTRUCTIONS | VPMU_EVTSEL_USR | VPMU_EVTSEL_EN, 7 },
	{ INSTRUCTIONS | LEVELS, 77 },
};
#define OVERFLOWN (1u << 1 | 1u << 3)

/* The state; what makes the counters count comes last. */
static uint32_t registers[2 * COUNTERS + 2];
#define REGISTERS (sizeof(registers) / sizeof(registers[0]))

static struct guest_write writes[2 * COUNTERS + 2];

static void plan_write(unsigned int at, uint32_t msr, uint64_t value)
{
	const uint64_t kept = value & ((UINT64_C(1) << 48) - 1);

	writes[at] = (struct guest_write){ msr, (uint32_t)kept, (uint32_t)(kept >> 32) };
}

static void plan(void)
{
	for (uint32_t i = 0; i < COUNTERS; i++) {
		registers[2 * i] = VPMU_AMD_MSR_PERF_CTL0 + STRIDE * i;
		registers[2 * i + 1] = VPMU_AMD_MSR_PERF_CTR0 + STRIDE * i;
		plan_write(2 * i, registers[2 * i], counters[i].select);
		plan_write(2 * i + 1, registers[2 * i + 1], counters[i].value);
	}
	registers[2 * COUNTERS] = STATUS;
	registers[2 * COUNTERS + 1] = CONTROL;
	plan_write(2 * COUNTERS, CONTROL, (1u << COUNTERS) - 1);
}

static void must(const char *error)
{
	if (!error)
		return;
	printf("%s\n", error);
	exit(2);
}

static void write_msr(struct vm *vm, uint32_t msr, uint64_t value)
{
	const char *error = vm_write_msr(vm, msr, value);

	if (!error)
		return;
	printf("%#" PRIx64 " for register %#" PRIx32 ": %s\n", value, msr, error);
	exit(1);
}

/* Its virtual machine goes, and with it the machine's counters that it has. */
static void take(struct vm *vm, uint64_t state[REGISTERS])
{
	for (unsigned int i = 0; i < REGISTERS; i++)
		must(vm_read_msr(vm, registers[i], &state[i]));
	vm_end(vm);
}

static void run_in_one(const struct vm_plan *how, uint64_t state[REGISTERS])
{
	struct vm vm;

	must(vm_start(&vm, how));
	for (unsigned int i = 0; i < RUNS; i++)
		must(vm_run(&vm, TURNS));
	take(&vm, state);
}

/* Each begins as the one before did, and is where that one was. */
static void run_in_several(const struct vm_plan *how, uint64_t state[REGISTERS])
{
	for (unsigned int run = 0; run < RUNS; run++) {
		struct vm vm;

		must(vm_start(&vm, how));
		for (unsigned int i = 0; run > 0 && i < REGISTERS; i++)
			write_msr(&vm, registers[i], state[i]);
		must(vm_run(&vm, TURNS));
		take(&vm, state);
	}
}

static int compare(const uint64_t one[REGISTERS], const uint64_t several[REGISTERS])
{
	int status = one[2 * COUNTERS] != OVERFLOWN;

	for (unsigned int i = 0; i < REGISTERS; i++) {
		printf("register %#" PRIx32 ": %#" PRIx64 ", in several machines %#" PRIx64 "\n",
		       registers[i], one[i], several[i]);
		status |= one[i] != several[i];
	}
	return status;
}

int main(void)
{
	struct vm_plan how = { .kvm = open("/dev/kvm", O_RDWR),
			       .code = guest_exits[0].code,
			       .end = guest_exits[0].end,
			       .writes = writes };
	struct kvm_cpuid2 *cpuid;
	uint64_t one[REGISTERS], several[REGISTERS];

	if (how.kvm < 0)
		must("there is no /dev/kvm");
	must(vm_supported_cpuid(how.kvm, &cpuid));
	if (strcmp(pmu_of(how.kvm, cpuid).name, "AMD PerfMonV2, 6 counters") != 0)
		must("its guests have no PerfMonV2 with six counters");
	how.cpuid = cpuid;
	plan();
	run_in_one(&how, one);
	run_in_several(&how, several);
	return compare(one, several);
}
