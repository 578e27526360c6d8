/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small hypervisor and its guest: svm_guest.c has the VMCB, svm.S VMRUN and the guest's
 * programs. APM vol. 2, "Secure Virtual Machine".
 */
#ifndef GUEST_SVM_H
#define GUEST_SVM_H

/* Offsets in struct svm_run. */
#define RUN_VMCB 0
#define RUN_MSR  8
#define RUN_ON   16
#define RUN_OFF  24
#define RUN_RBX  32
#define RUN_RCX  40
#define RUN_RDX  48
#define RUN_RSI  56
#define RUN_RDI  64
#define RUN_RBP  72
#define RUN_R9   80

#define HOST_INSTRUCTIONS 16

#ifndef __ASSEMBLER__
#include "pmu.h"

/* Offsets in a VMCB: its control area, and the save area. */
enum {
	VMCB_EXCEPTIONS = 0x008,
	VMCB_INTERCEPTS = 0x00c,
	VMCB_MSRPM = 0x048,
	VMCB_ASID = 0x058,
	VMCB_VIRTUAL_INTERRUPT = 0x060,
	VMCB_EXIT_CODE = 0x070,
	VMCB_EXIT_INFO_1 = 0x078,
	VMCB_EXIT_EVENT = 0x088,
	VMCB_NESTED_PAGING = 0x090,
	VMCB_EVENT_INJECTION = 0x0a8,
	VMCB_NESTED_CR3 = 0x0b0,
	VMCB_ES = 0x400,
	VMCB_CS = 0x410,
	VMCB_SS = 0x420,
	VMCB_DS = 0x430,
	VMCB_GDTR = 0x460,
	VMCB_IDTR = 0x480,
	VMCB_CPL = 0x4cb,
	VMCB_EFER = 0x4d0,
	VMCB_CR4 = 0x548,
	VMCB_CR3 = 0x550,
	VMCB_CR0 = 0x558,
	VMCB_DR7 = 0x560,
	VMCB_DR6 = 0x568,
	VMCB_RFLAGS = 0x570,
	VMCB_RIP = 0x578,
	VMCB_RSP = 0x5d8,
	VMCB_RAX = 0x5f8,
	VMCB_PAT = 0x668,
};

/* Bits of VMCB_INTERCEPTS, in the order of their exit codes. */
#define INTERCEPT(exit) (1ull << ((exit)-EXIT_INTR))
enum {
	EXIT_UD = 0x46,
	EXIT_GP = 0x4d,
	EXIT_PF = 0x4e,
	EXIT_INTR = 0x60,
	EXIT_NMI = 0x61,
	EXIT_RDPMC = 0x6f,
	EXIT_CPUID = 0x72,
	EXIT_INT = 0x75,
	EXIT_HLT = 0x78,
	EXIT_MSR = 0x7c,
	EXIT_VMRUN = 0x80,
	EXIT_VMMCALL = 0x81,
};

/* VMCB_VIRTUAL_INTERRUPT: the processor's interrupts are the hypervisor's. */
#define V_MASKING (1ull << 24)

#define EFER_SVME (1u << 12)
#define COUNT     event_select(EVENT_INSTRUCTIONS, SEL_ALL)

#define VECTOR_TIMER 0x42

struct svm_run {
	uint64_t vmcb, msr, on, off;
	uint64_t rbx, rcx, rdx, rsi, rdi, rbp, r9;
};

void svm_enter(struct svm_run *run);

extern const char program_nops[], program_cpuid[], program_rdmsr[], program_wrmsr[],
	program_rdpmc[], program_ud[], program_hlt[], program_load[], program_store[],
	program_int[], program_rep[], program_flags[], program_loop[], program_cpuids[];
extern const char program_cpuid_at[], program_rdmsr_at[], program_wrmsr_at[], program_rdpmc_at[],
	program_ud_at[], program_hlt_at[], program_load_at[], program_store_at[], program_int_at[],
	program_rep_at[], program_flags_at[];

extern struct svm_run run;
/* Two bits for an MSR: which accesses are intercepted. */
extern uint8_t msrpm[2 * PAGE];

void vmcb_set(unsigned int field, uint64_t value);
uint64_t vmcb_get(unsigned int field);

/* EFER.SVME is set. */
void hypervisor_begin(void);
/* A guest that runs a program at level 0, in this memory. */
void guest_new(const char *program, uint64_t intercepts, uint32_t exceptions);
void guest_at_level_3(void);
/* Run the guest to its next exit, and count meanwhile by counter 0. Returns the exit code. */
uint64_t guest_run(uint64_t flags);
/* What waits for the hypervisor comes now. */
void take_interrupts(void);
/* Counter 0. */
uint64_t count(void);
void count_clear(void);

/* svm_pmi.c */
void test_pmis(void);
/* svm_nested.c */
void test_nested_paging(void);
/* svm_random.c; needs PerfMonV2 */
void test_random(void);
#endif

#endif
