/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Code to overflow in: void (void *) each.
 */
	.text
	.globl sled, sled_begin, short_work, long_work, reading_work, reading_once
	/* One byte an instruction, so that an address says how many have run. */
	.balign 16
sled:
sled_begin:
	.fill 4000, 1, 0x90
	ret

	/* 102 instructions with the call to it. */
	.balign 16
short_work:
	.fill 100, 1, 0x90
	ret

	/* 3 an iteration, in ring 3 too. */
	.balign 16
long_work:
	mov $20000, %ecx
1:	nop
	dec %ecx
	jnz 1b
	ret

	/* RDPMC right behind an instruction that writes flags: 4 an iteration. */
	.balign 16
reading_work:
	mov $2000, %r8d
1:	xor %ecx, %ecx
	rdpmc
	dec %r8d
	jnz 1b
	ret

	.balign 16
reading_once:
	xor %ecx, %ecx
	rdpmc
	ret

	.section .note.GNU-stack, "", @progbits
