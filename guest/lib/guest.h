/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a test guest stands on: verdicts over the serial line, traps that can
 * be looked at, ring 3, the local APIC, other processors. It knows nothing
 * of the PMU; that is pmu.h.
 */
#ifndef GUEST_H
#define GUEST_H

#include "layout.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE    4096u
#define CR4_PCE (1ul << 8)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum vector { VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_UD = 6, VECTOR_GP = 13, VECTOR_PF = 14 };

enum {
	FLAG_CF = 0x001,
	FLAG_PF = 0x004,
	FLAG_AF = 0x010,
	FLAG_ZF = 0x040,
	FLAG_SF = 0x080,
	FLAG_TF = 0x100,
	FLAG_IF = 0x200,
	FLAG_OF = 0x800,
	FLAG_RF = 0x10000,
	FLAG_ALWAYS = 0x002,
	FLAG_STATUS = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};

/* What trap.S leaves on the stack. */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* One processor's own data; GS points at it. The first fields are in layout.h. */
struct cpu {
	struct cpu *self;
	uint64_t kernel_rsp;
	uint64_t user_rsp;
	unsigned int index;
	unsigned int apic_id;         /* 0: its index; else the lower 8 bits are that */
	struct frame fault;           /* the last fault that a probe caused */
	volatile uint64_t traps[256]; /* how many came, by vector */
	void (*volatile job)(void *); /* an AP's work; null: none */
	void *job_argument;
	volatile bool online;
};

extern struct cpu cpus[MAX_CPUS];

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* serial.c: printf knows %s %c %d %u %x %lx %lu %ld %p, and 0 and a width for numbers. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A verdict; the sentence says what holds. */
bool ok(bool holds, const char *sentence, ...) __attribute__((format(printf, 2, 3)));
/* ok() that shows both numbers if they differ. */
bool is(uint64_t got, uint64_t wanted, const char *sentence, ...)
	__attribute__((format(printf, 3, 4)));
void skip(const char *reason, const char *sentence);
/* Verdicts so far; a guest that goes on after a machine reset sets it. */
extern unsigned int verdicts;
_Noreturn void finish(void);
_Noreturn void bail_out(const char *why);

/* The number after "name=" on the kernel command line. */
uint64_t option(const char *name, uint64_t otherwise);
extern const char *command_line;

/* Each test guest's own. */
void test_main(void);

/* memory.c */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *at, int value, size_t n);

/* trap.c */
void traps_init(struct cpu *cpu);
/* A hook takes a vector's traps. Without one: faults are looked up, interrupts only counted. */
extern void (*volatile trap_hook[256])(struct frame *frame);
/* Let a vector go straight to a handler; null: to trap(), as all do at first. */
void set_handler(unsigned int vector, const void *handler);
/* Runs function(argument) in ring 3. */
uint64_t user_call(uint64_t (*function)(void *), void *argument);
void trap(struct frame *frame);
/* SYSCALL leads to this entry, with interrupts and single steps off. */
void allow_syscall(const char *entry);

/* probe.S: registers in, registers out. */
struct probe {
	uint64_t rax, rbx, rcx, rdx, rflags;
};

typedef bool probe_function(struct probe *probe);
probe_function probe_rdmsr, probe_wrmsr, probe_rdpmc, probe_cpuid, probe_rdtsc, probe_ud2,
	probe_lock_rdmsr, probe_lock_wrmsr, probe_lock_rdpmc, probe_lock_cpuid, probe_rexw_rdmsr,
	probe_rexw_wrmsr, probe_rexw_rdpmc, probe_data16_rdpmc;
extern const char probe_rdmsr_at[], probe_wrmsr_at[], probe_rdpmc_at[], probe_ud2_at[],
	probe_lock_rdmsr_at[], probe_lock_wrmsr_at[], probe_lock_rdpmc_at[], probe_lock_cpuid_at[];

/* False: #GP or another fault; see this_cpu()->fault. */
bool try_rdmsr(uint32_t msr, uint64_t *value);
bool try_wrmsr(uint32_t msr, uint64_t value);
bool try_rdpmc(uint32_t index, uint64_t *value);
/* For registers that are there: a fault ends the guest. */
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
uint64_t rdpmc(uint32_t index);
struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};
struct cpuid cpuid(uint32_t leaf, uint32_t subleaf);

/* apic.c: the local APIC in whichever mode it is. */
enum apic_register {
	APIC_ID = 0x02,
	APIC_EOI = 0x0b,
	APIC_SVR = 0x0f,
	APIC_ISR = 0x10,
	APIC_IRR = 0x20,
	APIC_ESR = 0x28,
	APIC_ICR = 0x30,
	APIC_LVT_TIMER = 0x32,
	APIC_LVTPC = 0x34,
	APIC_TIMER_COUNT = 0x38,
	APIC_TIMER_DIVIDE = 0x3e,
};
enum {
	LVT_MASKED = 0x10000,
	LVT_NMI = 0x400,
	LVT_PERIODIC = 0x20000,
	ICR_INIT = 0x500,
	ICR_STARTUP = 0x600,
	ICR_ASSERT = 0x4000,
	ICR_SELF = 0x40000,
};
void apic_enable(void);
void apic_enable_x2(void);
/* Back to xAPIC mode, through "disabled" as the SDM asks. */
void apic_leave_x2(void);
bool apic_is_x2(void);
uint32_t apic_read(enum apic_register r);
void apic_write(enum apic_register r, uint32_t value);
void apic_icr(uint32_t destination, uint32_t command);
/* The error status register, latched as the SDM says: write, then read. */
uint32_t apic_errors(void);

/* machine.c */
/* Start processors 1 to count - 1; false if not all came. */
bool cpus_start(unsigned int count);
void cpu_init_sipi(unsigned int index);
void cpu_run(unsigned int index, void (*job)(void *), void *argument);
void cpu_wait(unsigned int index);
_Noreturn void ap_main(void);
_Noreturn void boot_main(const void *start_info);
/* The real-time clock's seconds, 0 to 59: the only clock whose rate is known. */
unsigned int clock_seconds(void);
/*
 * Some seconds, and more of them until what is to come of them has come: the host may
 * not run a processor for a while. What never comes ends them, too.
 */
struct stretch {
	unsigned int seconds, more, now;
};
struct stretch stretch_begin(unsigned int seconds);
bool stretch_goes_on(struct stretch *stretch, bool enough);
/* Point a page of the window at a physical page. */
void window_map(unsigned int page, const void *to);
void window_unmap(unsigned int page);
bool window_is_mapped(unsigned int page);
static inline char *window_page(unsigned int page)
{
	return (char *)(WINDOW + page * (uintptr_t)PAGE);
}
/* The same function or data through the other mapping. */
#define ALIAS_OF(p) ((__typeof__(&*(p)))((uintptr_t)(p) + ALIAS))

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

/* xorshift64*; the state is never 0. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1d;
}

static inline void interrupts_on(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void interrupts_off(void)
{
	__asm__ volatile("cli" ::: "memory");
}

/* The address of the last page fault. */
static inline uint64_t read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static inline uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static inline void write_cr4(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline void barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

#endif
