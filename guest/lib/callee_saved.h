/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For assembly that C calls: the registers that it has to give back as they were.
 */
	.macro push_callee_saved
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	.endm

	.macro pop_callee_saved
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	.endm
