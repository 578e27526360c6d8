/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hypervisor's VMRUN between two WRMSRs, and the programs of its guests. A program ends
 * with VMMCALL, which is intercepted.
 */
#include "callee_saved.h"
#include "svm.h"

	.text
/*
 * void svm_enter(struct svm_run *)
 *
 * HOST_INSTRUCTIONS come behind the first WRMSR, the VMRUN and the second WRMSR included.
 */
	.globl svm_enter
svm_enter:
	push_callee_saved
	mov %rdi, svm_now
	clgi
	mov RUN_RBX(%rdi), %rbx
	mov RUN_RBP(%rdi), %rbp
	mov RUN_R9(%rdi), %r9
	mov RUN_MSR(%rdi), %ecx
	mov RUN_ON(%rdi), %eax
	mov RUN_ON + 4(%rdi), %edx
	wrmsr
	mov RUN_RCX(%rdi), %rcx
	mov RUN_RDX(%rdi), %rdx
	mov RUN_RSI(%rdi), %rsi
	mov RUN_VMCB(%rdi), %rax
	mov RUN_RDI(%rdi), %rdi
	vmrun %rax
	mov svm_now, %rax
	mov %rdi, RUN_RDI(%rax)
	mov %rsi, RUN_RSI(%rax)
	mov %rcx, RUN_RCX(%rax)
	mov %rdx, RUN_RDX(%rax)
	mov %rax, %rdi
	mov RUN_MSR(%rdi), %ecx
	mov RUN_OFF(%rdi), %eax
	mov RUN_OFF + 4(%rdi), %edx
	wrmsr
	mov %rbx, RUN_RBX(%rdi)
	mov %rbp, RUN_RBP(%rdi)
	mov %r9, RUN_R9(%rdi)
	stgi
	pop_callee_saved
	ret

	.macro program name
	.globl \name
	.balign 64
\name:
	.endm

	.macro at name
	.globl \name
\name:
	.endm

	.macro nops n
	.rept \n
	nop
	.endr
	.endm

	/* 10 instructions */
	program program_nops
	nops 10
	vmmcall

	/* 5, one that may be intercepted, and 4 */
	.macro program_with name, instruction:vararg
	program \name
	nops 5
	at \name\()_at
	\instruction
	nops 4
	vmmcall
	.endm

	program_with program_cpuid, cpuid
	program_with program_rdmsr, rdmsr
	program_with program_wrmsr, wrmsr
	program_with program_rdpmc, rdpmc
	program_with program_ud, ud2
	program_with program_hlt, hlt
	program_with program_load, mov (%rsi), %rbx
	program_with program_store, mov %rbx, (%rsi)
	program_with program_int, int $0x41
	program_with program_rep, rep stosb

	/* RDPMC behind code that has used the flags: 6, and 4. */
	program program_flags
	nops 4
	add $1, %rbx
	at program_flags_at
	rdpmc
	setc %bl
	nops 3
	vmmcall

	/* RBX turns of 2 instructions, until something stops it. */
	program program_loop
1:	dec %rbx
	jnz 1b
	vmmcall

	/* RSI turns of 9: is CPUID's ECX what R9 has? RBP counts those where it is not. */
	program program_cpuids
1:	mov $0x80000001, %eax
	xor %ecx, %ecx
	cpuid
	cmp %ecx, %r9d
	setne %al
	movzx %al, %eax
	add %rax, %rbp
	dec %rsi
	jnz 1b
	vmmcall

	.section .bss
	.balign 8
svm_now:
	.skip 8

	.section .note.GNU-stack, "", @progbits
