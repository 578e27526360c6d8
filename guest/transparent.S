/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RDMSR, WRMSR, RDPMC and CPUID between code that makes flags and code that
 * uses them, under single step, and at the end of a page. transparent.c runs
 * and judges them.
 */
#include "layout.h"

/* struct inputs of transparent.c */
#define IN_ECX 0
#define IN_EAX 4
#define IN_EDX 8
#define IN_A   16
#define IN_B   24
#define IN_MEM 32

	/* What of the six flags the instruction lets through, read at once. */
	.macro use_pushf
	pushfq
	pop %rax
	.endm

	/* The same by conditions, which an emulator evaluates another way. */
	.macro use_conditions
	setc %r8b
	setp %r9b
	setz %r10b
	sets %r11b
	seto %sil
	movzbl %r8b, %eax
	movzbl %r9b, %r9d
	movzbl %r10b, %r10d
	movzbl %r11b, %r11d
	movzbl %sil, %esi
	shl $2, %r9d
	shl $6, %r10d
	shl $7, %r11d
	shl $11, %esi
	or %r9d, %eax
	or %r10d, %eax
	or %r11d, %eax
	or %esi, %eax
	.endm

	/* Entries of flag_table: function of one producer, instruction and use. */
	.macro flag_case use, instruction, producer:vararg
	.text
	.balign 16
771:	push %rbx
	mov IN_ECX(%rdi), %ecx
	mov IN_EAX(%rdi), %eax
	mov IN_EDX(%rdi), %edx
	mov IN_A(%rdi), %r8
	mov IN_B(%rdi), %r9
	lea IN_MEM(%rdi), %r10
	mov %r9, (%r10)
	cmp %r10, %r10
	\producer
	.word \instruction
	\use
	pop %rbx
	ret
	.section .rodata
	.quad 771b
	.endm

/* The order of enum instruction: none first, then a NOP of the same length. */
#define NONE  0x9066
#define RDMSR 0x320f
#define WRMSR 0x300f
#define RDPMC 0x330f
#define CPUID 0xa20f

	.macro row producer:vararg
	flag_case use_pushf, NONE, \producer
	flag_case use_pushf, RDMSR, \producer
	flag_case use_pushf, WRMSR, \producer
	flag_case use_pushf, RDPMC, \producer
	flag_case use_pushf, CPUID, \producer
	flag_case use_conditions, NONE, \producer
	flag_case use_conditions, RDMSR, \producer
	flag_case use_conditions, WRMSR, \producer
	flag_case use_conditions, RDPMC, \producer
	flag_case use_conditions, CPUID, \producer
	.endm

	.section .rodata
	.balign 8
	.globl flag_table, flag_table_end
flag_table:
	row add %r8, %r9
	row addb %r8b, %r9b
	row addw %r8w, %r9w
	row addl %r8d, %r9d
	row adc %r8, %r9
	row sub %r8, %r9
	row sbb %r8, %r9
	row cmp %r8, %r9
	row and %r8, %r9
	row xor %r8, %r9
	row test %r8, %r9
	row inc %r9
	row dec %r9
	row neg %r9
	row shl $3, %r9
	row sar $1, %r9
	row rol $5, %r9
	row imul %r8, %r9
	row bsf %r8, %r9
	row bt $3, %r9
	row stc
	row cmc
	row add %r8, (%r10)
	row add (%r10), %r8
	row subl (%r10), %r8d
	row cmp %r8, (%r10)
	row cmpb $0x7f, (%r10)
	row incl (%r10)
	row negq (%r10)
	row shlq $1, (%r10)
	row lock xadd %r8, (%r10)
	row btsl $31, (%r10)
flag_table_end:

	.macro step_case name, bytes:vararg
	.text
	.globl step_\name, step_\name\()_add, step_\name\()_at, step_\name\()_next, step_\name\()_end
step_\name:
	push %rbx
	mov IN_ECX(%rdi), %ecx
	mov IN_EAX(%rdi), %eax
	mov IN_EDX(%rdi), %edx
	mov IN_A(%rdi), %r8
	mov IN_B(%rdi), %r9
	pushfq
	orl $0x100, (%rsp)
	popfq
	nop
step_\name\()_add:
	add %r8, %r9
step_\name\()_at:
	.byte \bytes
step_\name\()_next:
	nop
step_\name\()_end:
	pushfq
	andl $~0x100, (%rsp)
	popfq
	xor %eax, %eax
	pop %rbx
	ret
	.endm

	step_case rdmsr, 0x0f, 0x32
	step_case wrmsr, 0x0f, 0x30
	step_case rdpmc, 0x0f, 0x33
	step_case cpuid, 0x0f, 0xa2

/* void call_with(struct probe *, const void *code): registers in and out; RSI is the code's own. */
	.text
	.globl call_with
call_with:
	push %rbx
	push %rdi
	mov %rsi, %r9
	mov (%rdi), %rax
	mov 8(%rdi), %rbx
	mov 16(%rdi), %rcx
	mov 24(%rdi), %rdx
	call *%r9
	pop %rdi
	mov %rax, (%rdi)
	mov %rbx, 8(%rdi)
	mov %rcx, 16(%rdi)
	mov %rdx, 24(%rdi)
	mov %rsi, 32(%rdi)
	pop %rbx
	ret

	.section .note.GNU-stack, "", @progbits
