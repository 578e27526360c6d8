/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Code for skid.c, in ring 3: void (void *) each, many overflows long.
 */
	.text
	.macro code name
	.balign 16
	.globl skid_\name
skid_\name:
	.endm

	/* Longer than any block of QEMU's, which are of 512 instructions at most. */
	code straight
	mov $20, %ecx
1:	.rept 3000
	nop
	.endr
	dec %ecx
	jnz 1b
	ret

	/* Blocks of 3. */
	code loop
	mov $20000, %ecx
1:	nop
	dec %ecx
	jnz 1b
	ret

	/* Blocks of one and two. */
	code calls
	mov $10000, %ecx
1:	call 2f
	dec %ecx
	jnz 1b
2:	ret

	/* Blocks of 5, the last of them a REP. */
	code repeat
	mov $500, %edx
1:	mov %rdi, %rsi
	mov $1000, %ecx
	nop
	rep lodsb
	dec %edx
	jnz 1b
	ret

	.section .note.GNU-stack, "", @progbits
