/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program whose events can be counted by eye; tests/e2e_perf.py holds the
 * sums. Per round: call, return, dec, conditional branch. Around the rounds:
 * one instruction before and three after.
 */
	.globl	_start
	.type	_start, @function
_start:
	movl	$20000000, %ecx
1:	call	nothing
	decl	%ecx
	jnz	1b
	movl	$60, %eax		/* exit(0) */
	xorl	%edi, %edi
	syscall
	.size	_start, . - _start

	.type	nothing, @function
nothing:
	ret
	.size	nothing, . - nothing

	.section .note.GNU-stack, "", @progbits
