/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For lapic.c: an overflow behind a point that only INIT leads on from, and the
 * handler of SMIs.
 */
	/* void (const struct start *) */
	.text
	.globl lapic_count_and_halt
lapic_count_and_halt:
	mov (%rdi), %ecx
	mov 8(%rdi), %eax
	mov 12(%rdi), %edx
	mov 16(%rdi), %rdi
	wrmsr
	movb $1, (%rdi)
1:	hlt
	jmp 1b

	/* 4000 instructions. */
	.globl lapic_sled
lapic_sled:
	.fill 4000, 1, 0x90
	ret

	/* Copied to where QEMU enters SMM. */
	.code16
	.globl lapic_smi_handler, lapic_smi_handler_end
lapic_smi_handler:
	.byte 0x67, 0x66, 0xff, 0x05	/* addr32 incl lapic_smis, which clang does not take */
	.long lapic_smis
	rsm
lapic_smi_handler_end:
	.code64

	.section .note.GNU-stack, "", @progbits
