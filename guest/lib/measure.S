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

	.section .note.GNU-stack, "", @progbits
