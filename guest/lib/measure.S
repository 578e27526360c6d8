/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A call between two WRMSRs, with nothing else between them but what
 * MEASURE_INSTRUCTIONS says.
 */
#include "callee_saved.h"

	.text
	.globl measured_call, measured_call_begin
measured_call:
	push_callee_saved
	push %rdi
	mov (%rdi), %rax
	mov %rax, %rdx
	shr $32, %rdx
	mov 8(%rdi), %r12
	mov %r12, %r13
	shr $32, %r13
	mov 16(%rdi), %rbx
	mov 32(%rdi), %ebp
	mov %ebp, %ecx
	mov 24(%rdi), %rdi
	/* Flags with nothing pending, all the same in each run. */
	cmp %ecx, %ecx
	wrmsr
measured_call_begin:
	call *%rbx
	mov %ebp, %ecx
	mov %r12d, %eax
	mov %r13d, %edx
	wrmsr
	pop %rdi
	pop_callee_saved
	ret

	/* One of six event selects: its number, and a value. */
	.macro write_select i, value
	mov 24 * \i(%r12), %ecx
	mov 24 * \i + \value(%r12), %eax
	mov 24 * \i + \value + 4(%r12), %edx
	wrmsr
	.endm

	.macro write_selects value
	.irp i, 0, 1, 2, 3, 4, 5
	write_select \i, \value
	.endr
	.endm

/* pmu.c has the declaration. The counters stop in the order in which they start. */
	.globl measured_call_each
measured_call_each:
	push_callee_saved
	push %rdx
	mov %rdi, %r12
	mov %rsi, %rbx
	mov %rdx, %rdi
	cmp %ecx, %ecx
	write_selects 8
	call *%rbx
	write_selects 16
	pop %rdx
	pop_callee_saved
	ret

	.section .note.GNU-stack, "", @progbits
