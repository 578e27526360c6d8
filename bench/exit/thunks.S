/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an operating system's kernel has compilers call instead of an indirect jump
 * (retpoline) and a return (return thunk, of the "safe return" kind that AMD's
 * processors get), by the names that gcc's -mindirect-branch=thunk-extern and
 * -mfunction-return=thunk-extern use. They cost what the kernel's cost; they do
 * not protect anything here.
 */
	.text

/*
 * The return address is predicted from the call just made, so never from what
 * somebody else may have trained; the caller's own is below it on the stack.
 */
	.globl	__x86_return_thunk
	.type	__x86_return_thunk, @function
	.balign	64
__x86_return_thunk:
	call	1f
	ud2
	.balign	8
1:	lea	8(%rsp), %rsp
	ret
	int3
	.size	__x86_return_thunk, . - __x86_return_thunk

/* Speculation runs into the loop; the jump itself is a return to the target. */
	.macro	retpoline register
	.globl	__x86_indirect_thunk_\register
	.type	__x86_indirect_thunk_\register, @function
	.balign	32
__x86_indirect_thunk_\register:
	call	2f
1:	pause
	lfence
	jmp	1b
	.balign	16
2:	mov	%\register, (%rsp)
	jmp	__x86_return_thunk
	.size	__x86_indirect_thunk_\register, . - __x86_indirect_thunk_\register
	.endm

	.irp	register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	retpoline \register
	.endr

	.section .note.GNU-stack, "", @progbits
