/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vm.h. Documentation/virt/kvm/api.rst has the ioctls, the APM (vol. 2, "Long Mode") the state
 * that 64-bit code needs.
 */
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEAVES 512

#define PAGE_PRESENT  UINT64_C(1)
#define PAGE_WRITABLE UINT64_C(2)
#define PAGE_LARGE    UINT64_C(0x80)
#define LARGE_PAGE    UINT64_C(0x200000)

#define CR0_PE   UINT64_C(1)
#define CR0_NE   UINT64_C(0x20)
#define CR0_PG   UINT64_C(0x80000000)
#define CR4_PAE  UINT64_C(0x20)
#define EFER_LME UINT64_C(0x100)
#define EFER_LMA UINT64_C(0x400)

#define RFLAGS_ALWAYS 2

static const char *failed(const char *what)
{
	return g_strdup_printf("%s: %s", what, strerror(errno));
}

const char *vm_supported_cpuid(int kvm, struct kvm_cpuid2 **cpuid)
{
	struct kvm_cpuid2 *leaves =
		g_malloc0(sizeof(*leaves) + LEAVES * sizeof(struct kvm_cpuid_entry2));

	leaves->nent = LEAVES;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, leaves) < 0) {
		g_free(leaves);
		return failed("KVM_GET_SUPPORTED_CPUID");
	}
	*cpuid = leaves;
	return NULL;
}

static const char *switch_pmu_off(const struct vm *vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_PMU_CAPABILITY,
				      .args = { KVM_PMU_CAP_DISABLE } };

	/* A KVM without it has no PMU, or the benchmark has not come here. */
	if (ioctl(vm->vm, KVM_CHECK_EXTENSION, KVM_CAP_PMU_CAPABILITY) <= 0)
		return NULL;
	return ioctl(vm->vm, KVM_ENABLE_CAP, &cap) < 0 ? failed("KVM_CAP_PMU_CAPABILITY") : NULL;
}

/* One large page of memory, and one behind it where there is none. */
static void write_page_tables(uint8_t *memory)
{
	const uint64_t table = PAGE_PRESENT | PAGE_WRITABLE;
	const uint64_t pml4 = GUEST_PDPT | table;
	const uint64_t pdpt = GUEST_PD | table;
	const uint64_t pd[] = { table | PAGE_LARGE, LARGE_PAGE | table | PAGE_LARGE };

	memcpy(memory + GUEST_PML4, &pml4, sizeof(pml4));
	memcpy(memory + GUEST_PDPT, &pdpt, sizeof(pdpt));
	memcpy(memory + GUEST_PD, pd, sizeof(pd));
}

static void write_msrs(uint8_t *memory, const struct guest_write *writes)
{
	uint8_t *to = memory + GUEST_WRITES;

	for (; writes->msr; writes++, to += sizeof(*writes))
		memcpy(to, writes, sizeof(*writes));
}

static const char *add_memory(struct vm *vm, const struct vm_plan *plan)
{
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_MEMORY };
	void *memory = mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		return failed("the guest's memory");
	vm->memory = memory;
	memcpy(vm->memory + GUEST_CODE, plan->code, (size_t)(plan->end - plan->code));
	write_page_tables(vm->memory);
	write_msrs(vm->memory, plan->writes);
	region.userspace_addr = (uintptr_t)vm->memory;
	return ioctl(vm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0
		       ? failed("KVM_SET_USER_MEMORY_REGION")
		       : NULL;
}

static const char *make_vm(struct vm *vm, const struct vm_plan *plan)
{
	vm->vm = ioctl(plan->kvm, KVM_CREATE_VM, 0);
	if (vm->vm < 0)
		return failed("KVM_CREATE_VM");
	/* A mediated PMU needs it. */
	if (!plan->no_irqchip && ioctl(vm->vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return failed("KVM_CREATE_IRQCHIP");
	return plan->pmu_off ? switch_pmu_off(vm) : NULL;
}

static const char *make_vcpu(struct vm *vm, const struct vm_plan *plan)
{
	int size = ioctl(plan->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	vm->vcpu = ioctl(vm->vm, KVM_CREATE_VCPU, 0);
	if (vm->vcpu < 0 || size < 0)
		return failed("KVM_CREATE_VCPU");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (run == MAP_FAILED)
		return failed("the vCPU's memory");
	vm->run = run;
	vm->run_size = (size_t)size;
	return ioctl(vm->vcpu, KVM_SET_CPUID2, plan->cpuid) < 0 ? failed("KVM_SET_CPUID2") : NULL;
}

static struct kvm_segment flat(uint16_t selector, bool code)
{
	return (struct kvm_segment){ .limit = 0xffffffff,
				     .selector = selector,
				     .type = code ? 0xb : 3, /* accessed; readable, writable */
				     .present = 1,
				     .s = 1,
				     .l = code,
				     .db = !code,
				     .g = 1 };
}

static const char *set_registers(struct vm *vm, const struct vm_plan *plan)
{
	struct kvm_regs regs = { .rip = GUEST_CODE, .rflags = RFLAGS_ALWAYS, .rbp = plan->leaf };
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return failed("KVM_GET_SREGS");
	sregs.cs = flat(8, true);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat(16, false);
	sregs.cr0 = CR0_PE | CR0_NE | CR0_PG;
	sregs.cr3 = GUEST_PML4;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) < 0)
		return failed("KVM_SET_SREGS");
	return ioctl(vm->vcpu, KVM_SET_REGS, &regs) < 0 ? failed("KVM_SET_REGS") : NULL;
}

static const char *unexpected(struct vm *vm)
{
	struct kvm_regs regs = { .rip = 0 };

	ioctl(vm->vcpu, KVM_GET_REGS, &regs);
	return g_strdup_printf("the guest came to exit reason %u at %llx", vm->run->exit_reason,
			       (unsigned long long)regs.rip);
}

/* Until it is at its next turn. */
static const char *run_until_done(struct vm *vm)
{
	for (;;) {
		if (ioctl(vm->vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			return failed("KVM_RUN");
		}
		switch (vm->run->exit_reason) {
		case KVM_EXIT_IO:
			if (vm->run->io.port == GUEST_DONE_PORT)
				return NULL;
			break;
		case KVM_EXIT_MMIO:
		case KVM_EXIT_HLT:
			break;
		default:
			return unexpected(vm);
		}
	}
}

const char *vm_start(struct vm *vm, const struct vm_plan *plan)
{
	const char *error;

	*vm = (struct vm){ .vm = -1, .vcpu = -1 };
	error = make_vm(vm, plan);
	if (!error)
		error = add_memory(vm, plan);
	if (!error)
		error = make_vcpu(vm, plan);
	if (!error)
		error = set_registers(vm, plan);
	return error ? error : run_until_done(vm);
}

const char *vm_run(struct vm *vm, uint32_t turns)
{
	memcpy(vm->memory + GUEST_TURNS, &turns, sizeof(turns));
	return run_until_done(vm);
}

uint32_t vm_ticks(const struct vm *vm, uint32_t turn)
{
	uint32_t ticks;

	memcpy(&ticks, vm->memory + GUEST_TICKS + turn * sizeof(ticks), sizeof(ticks));
	return ticks;
}

/* KVM_GET_MSRS or KVM_SET_MSRS of one. */
static bool access_msr(struct vm *vm, unsigned long request, uint32_t msr, uint64_t *value)
{
	struct kvm_msrs *msrs = g_malloc0(sizeof(*msrs) + sizeof(struct kvm_msr_entry));
	int count;

	msrs->nmsrs = 1;
	msrs->entries[0] = (struct kvm_msr_entry){ .index = msr, .data = *value };
	count = ioctl(vm->vcpu, request, msrs);
	*value = msrs->entries[0].data;
	g_free(msrs);
	return count == 1;
}

const char *vm_read_msr(struct vm *vm, uint32_t msr, uint64_t *value)
{
	*value = 0;
	return access_msr(vm, KVM_GET_MSRS, msr, value) ? NULL : failed("KVM_GET_MSRS");
}

const char *vm_write_msr(struct vm *vm, uint32_t msr, uint64_t value)
{
	return access_msr(vm, KVM_SET_MSRS, msr, &value) ? NULL : failed("KVM_SET_MSRS");
}

void vm_end(struct vm *vm)
{
	if (vm->run)
		munmap(vm->run, vm->run_size);
	if (vm->vcpu >= 0)
		close(vm->vcpu);
	if (vm->vm >= 0)
		close(vm->vm);
	if (vm->memory)
		munmap(vm->memory, GUEST_MEMORY);
}
