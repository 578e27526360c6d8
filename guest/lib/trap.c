/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What happens on a trap: a test's hook, or a fault that a probe expects, or
 * the end of the guest. Also GDT, IDT and TSS. SDM vol. 3, "Interrupt and
 * Exception Handling".
 */
#include "guest.h"

#define MSR_GS_BASE 0xc0000101
#define MSR_STAR    0xc0000081
#define MSR_LSTAR   0xc0000082
#define MSR_FMASK   0xc0000084
#define EFER_SCE    1
#define EXCEPTIONS  32

struct gate {
	uint16_t offset_low, selector;
	uint8_t stack, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
} __attribute__((packed));

struct task_state {
	uint32_t reserved;
	uint64_t rsp[3];
	uint8_t rest[76];
} __attribute__((packed));

struct table_pointer {
	uint16_t limit;
	const void *base;
} __attribute__((packed));

struct fault_entry {
	uintptr_t at, go_to;
};

extern const char trap_stubs[], user_return[];
extern const struct fault_entry fault_table[], fault_table_end[];

void (*volatile trap_hook[256])(struct frame *frame);

static struct gate idt[256] __attribute__((aligned(16)));
static uint64_t gdt[SEL_TSS / 8 + 2 * MAX_CPUS] __attribute__((aligned(16))) = {
	[SEL_CODE32 / 8] = 0x00cf9a000000ffff,    [SEL_CODE / 8] = 0x00af9a000000ffff,
	[SEL_DATA / 8] = 0x00cf92000000ffff,      [SEL_USER_DATA / 8] = 0x00cff2000000ffff,
	[SEL_USER_CODE / 8] = 0x00affa000000ffff,
};
static struct task_state task_states[MAX_CPUS];
static char trap_stacks[MAX_CPUS][STACK_SIZE] __attribute__((aligned(16)));
static char user_stacks[MAX_CPUS][STACK_SIZE] __attribute__((aligned(16)));

static void set_gate(unsigned int vector, uintptr_t at)
{
	idt[vector] = (struct gate){
		.offset_low = (uint16_t)at,
		.selector = SEL_CODE,
		/* An interrupt gate; user code may use the one it returns by, INT3 and INTO. */
		.type = vector == VECTOR_USER_RETURN || vector == 3 || vector == 4 ? 0xee : 0x8e,
		.offset_middle = (uint16_t)(at >> 16),
	};
}

void set_handler(unsigned int vector, const void *handler)
{
	set_gate(vector, handler ? (uintptr_t)handler : (uintptr_t)trap_stubs + vector * 16);
	barrier();
}

static void set_task_state(struct cpu *cpu)
{
	uint64_t base = (uintptr_t)&task_states[cpu->index];
	uint64_t *descriptor = &gdt[SEL_TSS / 8 + 2 * cpu->index];

	task_states[cpu->index].rsp[0] = (uintptr_t)trap_stacks[cpu->index] + STACK_SIZE;
	descriptor[0] = (sizeof(struct task_state) - 1) | (base & 0xffffff) << 16 |
			(base >> 24 & 0xff) << 56 | 0x89ull << 40;
	descriptor[1] = base >> 32;
}

static void load_tables(unsigned int index)
{
	const struct table_pointer gdtr = { sizeof(gdt) - 1, gdt };
	const struct table_pointer idtr = { sizeof(idt) - 1, idt };

	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("lidt %0" : : "m"(idtr));
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%ss" : : "r"(SEL_DATA));
	__asm__ volatile("mov %0, %%fs\n\tmov %0, %%gs" : : "r"(SEL_DATA));
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS + 16 * index));
}

void allow_syscall(const char *entry)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)(SEL_USER_CODE - 16) << 48 | (uint64_t)SEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uintptr_t)entry);
	wrmsr(MSR_FMASK, FLAG_IF | FLAG_TF);
}

void traps_init(struct cpu *cpu)
{
	uint64_t base = (uintptr_t)cpu;

	cpu->self = cpu;
	cpu->user_rsp = (uintptr_t)user_stacks[cpu->index] + STACK_SIZE;
	for (unsigned int vector = 0; vector < 256; vector++)
		set_handler(vector, NULL);
	set_task_state(cpu);
	load_tables(cpu->index);
	__asm__ volatile("wrmsr" : : "c"(MSR_GS_BASE), "a"((uint32_t)base), "d"(base >> 32));
}

static void return_from_user(struct frame *frame)
{
	frame->rip = (uintptr_t)user_return;
	frame->cs = SEL_CODE;
	frame->rsp = this_cpu()->kernel_rsp;
	frame->ss = SEL_DATA;
}

static bool expected_fault(struct frame *frame)
{
	/* Code that runs through the other mapping has the same entries. */
	uintptr_t at = frame->rip >= ALIAS && frame->rip < WINDOW ? frame->rip - ALIAS : frame->rip;

	for (const struct fault_entry *entry = fault_table; entry < fault_table_end; entry++) {
		if (entry->at != at)
			continue;
		this_cpu()->fault = *frame;
		frame->rip = entry->go_to + (frame->rip - at);
		return true;
	}
	return false;
}

static _Noreturn void unexpected(const struct frame *frame)
{
	print("# processor %u: exception %lu, error %lx, at %lx:%lx, rflags %lx, rsp %lx\n",
	      this_cpu()->index, frame->vector, frame->error, frame->cs, frame->rip, frame->rflags,
	      frame->rsp);
	print("# rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx\n", frame->rax, frame->rbx,
	      frame->rcx, frame->rdx, frame->rsi, frame->rdi);
	bail_out("an exception that the test does not expect");
}

void trap(struct frame *frame)
{
	struct cpu *cpu = this_cpu();
	void (*hook)(struct frame *) = trap_hook[frame->vector];

	cpu->traps[frame->vector]++;
	if (hook)
		hook(frame);
	else if (frame->vector == VECTOR_USER_RETURN)
		return_from_user(frame);
	else if (frame->vector >= EXCEPTIONS)
		apic_write(APIC_EOI, 0);
	else if (frame->vector != VECTOR_NMI && !expected_fault(frame))
		unexpected(frame);
}

static bool run_probe(probe_function *function, struct probe *probe)
{
	uint64_t flags;

	/* A probe sets all flags; interrupts stay as they are. */
	__asm__ volatile("pushfq\n\tpop %0" : "=r"(flags));
	probe->rflags = FLAG_ALWAYS | (flags & FLAG_IF);
	return function(probe);
}

bool try_rdmsr(uint32_t msr, uint64_t *value)
{
	struct probe probe = { .rcx = msr };

	if (!run_probe(probe_rdmsr, &probe))
		return false;
	*value = probe.rdx << 32 | (uint32_t)probe.rax;
	return true;
}

bool try_wrmsr(uint32_t msr, uint64_t value)
{
	struct probe probe = { .rcx = msr, .rax = (uint32_t)value, .rdx = value >> 32 };

	return run_probe(probe_wrmsr, &probe);
}

bool try_rdpmc(uint32_t index, uint64_t *value)
{
	struct probe probe = { .rcx = index };

	if (!run_probe(probe_rdpmc, &probe))
		return false;
	*value = probe.rdx << 32 | (uint32_t)probe.rax;
	return true;
}

uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

uint64_t rdpmc(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(index) : "memory");
	return (uint64_t)high << 32 | low;
}

struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}
