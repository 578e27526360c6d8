/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Code to overflow in: void (void *) each.
 */
	.text
	.globl sled, sled_begin, short_work, long_work
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

	.section .note.GNU-stack, "", @progbits
