/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A virtual machine of KVM's with one vCPU, by KVM's ioctls alone, for a guest of guest.h.
 * Functions return NULL, or one line that says what went wrong.
 */
#ifndef VPMU_BENCH_VMEXIT_VM_H
#define VPMU_BENCH_VMEXIT_VM_H

#include "guest.h"

#include <linux/kvm.h>

/* One that is not there is all zero. */
struct vm {
	int vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *memory;
};

struct vm_plan {
	int kvm; /* /dev/kvm */
	const struct kvm_cpuid2 *cpuid;
	const char *code, *end;
	const struct guest_write *writes; /* until one of MSR 0 */
	bool no_irqchip;                  /* no interrupt controller of KVM's */
	bool pmu_off;
	uint32_t leaf; /* of CPUID */
};

/* What KVM offers its guests; the caller frees it. */
const char *vm_supported_cpuid(int kvm, struct kvm_cpuid2 **cpuid);

/* On the thread that runs it. The guest has written its MSRs then. */
const char *vm_start(struct vm *vm, const struct vm_plan *plan);
/* As many turns, at most GUEST_TURNS_MAX. */
const char *vm_run(struct vm *vm, uint32_t turns);
/* Ticks that a turn of the last run took. */
uint32_t vm_ticks(const struct vm *vm, uint32_t turn);
const char *vm_read_msr(struct vm *vm, uint32_t msr, uint64_t *value);
const char *vm_write_msr(struct vm *vm, uint32_t msr, uint64_t value);
void vm_end(struct vm *vm);

#endif
