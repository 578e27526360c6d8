/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Entry of every exception and interrupt, and the way to ring 3 and back.
 * What to do with a trap is decided in trap.c.
 */
#include "callee_saved.h"
#include "layout.h"

	.text
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push $0
	.endif
	push $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	cld
	call trap
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp
	iretq

/* uint64_t user_call(uint64_t (*function)(void *), void *argument) */
	.globl user_call, user_return
user_call:
	push_callee_saved
	mov %rsp, %gs:CPU_KERNEL_RSP
	mov %rdi, %rbx
	mov %rsi, %rdi
	push $SEL_USER_DATA
	push %gs:CPU_USER_RSP
	pushfq
	push $SEL_USER_CODE
	push $user_start
	iretq
/* trap.c lets a VECTOR_USER_RETURN go on here, at level 0 again. */
user_return:
	pop_callee_saved
	ret

user_start:
	call *%rbx
	int $VECTOR_USER_RETURN

	.section .note.GNU-stack, "", @progbits
