/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program whose misses can be computed from docs/models.md;
 * tests/e2e_models.py does. 25 times through 65536 lines of 64 bytes, which are
 * too many for L2 and few enough for the LLC; then a million branches that are
 * taken by bit 0 of a generator.
 */
	.globl	_start
	.type	_start, @function
_start:
	movl	$25, %ecx
1:	leaq	lines(%rip), %rsi
	movl	$65536, %edx
2:	incq	(%rsi)			/* reads alone would all be of the zero page */
	addq	$64, %rsi
	decl	%edx
	jnz	2b
	decl	%ecx
	jnz	1b

	movl	$1000000, %ecx
	movabsq	$0x2545f4914f6cdd1d, %rdx
3:	movq	%rdx, %rax
	shlq	$13, %rax
	xorq	%rax, %rdx
	movq	%rdx, %rax
	shrq	$7, %rax
	xorq	%rax, %rdx
	movq	%rdx, %rax
	shlq	$17, %rax
	xorq	%rax, %rdx
	testb	$1, %dl
	jnz	4f
	nop
4:	decl	%ecx
	jnz	3b

	movl	$60, %eax		/* exit(0) */
	xorl	%edi, %edi
	syscall
	.size	_start, . - _start

	.bss
	.balign	4096
lines:
	.skip	65536 * 64

	.section .note.GNU-stack, "", @progbits
