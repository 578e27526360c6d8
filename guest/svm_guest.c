/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See svm.h.
 */
#include "svm.h"

#define MSR_VM_HSAVE_PA 0xc0010117

static uint8_t vmcb[PAGE] __attribute__((aligned(PAGE)));
static uint8_t hsave[PAGE] __attribute__((aligned(PAGE)));
uint8_t msrpm[2 * PAGE] __attribute__((aligned(PAGE)));
static char guest_stack[STACK_SIZE] __attribute__((aligned(16)));
struct svm_run run;

void vmcb_set(unsigned int field, uint64_t value)
{
	memcpy(vmcb + field, &value, sizeof(value));
}

uint64_t vmcb_get(unsigned int field)
{
	uint64_t value;

	memcpy(&value, vmcb + field, sizeof(value));
	return value;
}

static void set_segment(unsigned int field, uint16_t selector, uint16_t attributes)
{
	vmcb_set(field, selector | (uint64_t)attributes << 16 | 0xffffffffull << 32);
	vmcb_set(field + 8, 0);
}

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void set_tables(void)
{
	struct table_pointer table;

	__asm__ volatile("sgdt %0" : "=m"(table));
	vmcb_set(VMCB_GDTR, (uint64_t)table.limit << 32);
	vmcb_set(VMCB_GDTR + 8, table.base);
	__asm__ volatile("sidt %0" : "=m"(table));
	vmcb_set(VMCB_IDTR, (uint64_t)table.limit << 32);
	vmcb_set(VMCB_IDTR + 8, table.base);
}

static void set_control_registers(void)
{
	uint64_t cr0, cr3;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	vmcb_set(VMCB_CR0, cr0);
	vmcb_set(VMCB_CR3, cr3);
	vmcb_set(VMCB_CR4, read_cr4());
	vmcb_set(VMCB_EFER, rdmsr(MSR_EFER));
	vmcb_set(VMCB_DR6, 0xffff0ff0);
	vmcb_set(VMCB_DR7, 0x400);
}

void hypervisor_begin(void)
{
	wrmsr(MSR_VM_HSAVE_PA, (uintptr_t)hsave);
}

void guest_new(const char *program, uint64_t intercepts, uint32_t exceptions)
{
	memset(vmcb, 0, sizeof(vmcb));
	memset(&run, 0, sizeof(run));
	set_segment(VMCB_ES, SEL_DATA, 0xc93);
	set_segment(VMCB_CS, SEL_CODE, 0xa9b);
	set_segment(VMCB_SS, SEL_DATA, 0xc93);
	set_segment(VMCB_DS, SEL_DATA, 0xc93);
	set_tables();
	set_control_registers();
	vmcb_set(VMCB_RFLAGS, FLAG_ALWAYS);
	vmcb_set(VMCB_RIP, (uintptr_t)program);
	vmcb_set(VMCB_RSP, (uintptr_t)guest_stack + STACK_SIZE);
	vmcb_set(VMCB_ASID, 1);
	vmcb_set(VMCB_MSRPM, (uintptr_t)msrpm);
	vmcb_set(VMCB_EXCEPTIONS, exceptions);
	vmcb_set(VMCB_INTERCEPTS, intercepts | INTERCEPT(EXIT_VMRUN) | INTERCEPT(EXIT_VMMCALL));
	run.vmcb = (uintptr_t)vmcb;
	run.msr = select_msr(0);
}

void guest_at_level_3(void)
{
	set_segment(VMCB_CS, SEL_USER_CODE, 0xafb);
	set_segment(VMCB_SS, SEL_USER_DATA, 0xcf3);
	vmcb[VMCB_CPL] = 3;
}

uint64_t guest_run(uint64_t flags)
{
	run.on = flags;
	run.off = flags & ~(uint64_t)SEL_EN;
	svm_enter(&run);
	return vmcb_get(VMCB_EXIT_CODE);
}

void take_interrupts(void)
{
	interrupts_on();
	cpu_relax();
	interrupts_off();
}

uint64_t count(void)
{
	return counter_read(0);
}

void count_clear(void)
{
	wrmsr(select_msr(0), 0);
	counter_write(0, 0);
}
