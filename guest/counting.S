/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sequences whose counts are known: what each holds is in counting.c's table.
 * All are functions void (void *), position independent.
 */
#include "layout.h"

	.macro sequence name
	.balign 16
	.globl seq_\name
seq_\name:
	.endm

	.text
	sequence empty
	ret

	sequence nops
	.rept 100
	nop
	.endr
	ret

	/* More than one block, more than one page. */
	sequence long
	.rept 3000
	nopl 0x12345678(%rax)
	.endr
	ret

	sequence loop
	mov $1000, %ecx
1:	dec %ecx
	jnz 1b
	ret

	/* A block that jumps to itself, and an instruction that may branch. */
	sequence loop_instruction
	mov $50, %ecx
1:	loop 1b
	jrcxz 2f
	nop
2:	ret

	sequence branches
	xor %eax, %eax
	jz 1f
	nop
1:	jnz 2f			/* not taken */
	jmp 2f
	nop
2:	lea 3f(%rip), %rax
	jmp *%rax
	nop
3:	call 5f
	call 5f
	lea 5f(%rip), %rax
	call *%rax
	jmp 4f
4:	ret
5:	ret

	sequence loads
	.rept 10
	mov (%rdi), %rax
	.endr
	ret

	sequence stores
	.rept 10
	mov %rax, (%rdi)
	.endr
	ret

	/* 10 that load and store, 10 that push, 10 that pop, 10 that only look so. */
	sequence memory
	.rept 10
	incq (%rdi)
	.endr
	.rept 10
	push %rax
	.endr
	.rept 10
	pop %rax
	.endr
	.rept 10
	lea (%rdi), %rax
	.endr
	ret

	/* 10 with a memory operand that is only an address. */
	sequence addresses
	invlpg (%rdi)
	clflush (%rdi)
	clflushopt (%rdi)
	clwb (%rdi)
	.byte 0x0f, 0x1c, 0x07	/* CLDEMOTE */
	prefetcht0 (%rdi)
	prefetchw (%rdi)
	.byte 0x0f, 0x0d, 0x17	/* PREFETCHWT1 */
	nopl (%rdi)
	lea (%rdi), %rax
	ret

	/* 10 that load, 8 that store, 5 that do both, and a move. */
	sequence operands
	sgdt (%rdi)
	lgdt (%rdi)
	sidt (%rdi)
	lidt (%rdi)
	movw %ss, (%rdi)
	verr (%rdi)
	verw (%rdi)
	btl %eax, (%rdi)
	mov %rdi, %rsi
	lodsq
	scasq
	cmpsq
	stosq
	movsq
	movntil %eax, (%rdi)
	fxsave (%rdi)
	fxrstor (%rdi)
	pushq (%rdi)
	popq (%rdi)
	lock xaddl %eax, (%rdi)
	cmpxchg8b (%rdi)
	setc (%rdi)
	enter $0, $0
	leave
	ret

	/* An instruction that the plugin's decoder does not know: 0F 1A /4, a NOP. */
	sequence unknown
	mov (%rdi), %rax
	mov %rax, (%rdi)
	.byte 0x0f, 0x1a, 0x27
	mov (%rdi), %rax
	call 1f
	xor %eax, %eax
	.byte 0x0f, 0x1a, 0x27
	jz 2f
1:	ret
2:	mov %rax, (%rdi)
	.byte 0x0f, 0x1a, 0x27
	ret

	/* An iteration is no instruction of its own. */
	sequence repeat
	mov %rdi, %rsi
	mov $100, %ecx
	rep movsb
	xor %ecx, %ecx
	rep movsb
	mov $100, %ecx
	rep stosb
	ret

	/* What ends blocks early or leaves the translated code. */
	sequence devices
	mov $0xfee00030, %esi
	.rept 5
	mov (%rsi), %eax
	nop
	out %al, $0x80
	nop
	rdtsc
	nop
	.endr
	ret

	sequence odd
	mov %ss, %eax
	mov %eax, %ss
	nop
	pushfq
	popfq
	mov %cr3, %rax
	mov %rax, %cr3
	invlpg (%rdi)
	lock incl (%rdi)
	xchg %eax, (%rdi)
	mfence
	xor %eax, %eax
	xor %edx, %edx
	lock cmpxchg %rdx, (%rdi)
	pause
	ret

	sequence far
	mov %cs, %eax
	push %rax
	lea 1f(%rip), %rax
	push %rax
	lretq
1:	ret

	/* The store changes an instruction of the same block. */
	sequence self_modifying
	mov patched(%rip), %eax
	xor $0x01, %eax
	mov %eax, patched(%rip)
	nop
	nop
	.byte 0xb8		/* mov $0, %eax */
patched:
	.long 0
	nop
	nop
	ret

	/* RDPMC and RDMSR of the argument's counter, between straight code. */
	sequence reads
	mov 0(%rdi), %r10d	/* MSR */
	mov 4(%rdi), %r11d	/* RDPMC's index */
	.rept 5
	nop
	.endr
	mov %r10d, %ecx
	rdmsr			/* before it: the call and 8 */
	mov %eax, 8(%rdi)
	nop
	mov %r11d, %ecx
	rdpmc			/* 13 before */
	mov %eax, 12(%rdi)
	rdpmc			/* 15 */
	mov %eax, 16(%rdi)
	nop
	nop
	mov %r10d, %ecx
	rdmsr			/* 20 */
	mov %eax, 20(%rdi)
	add %ecx, %ecx
	mov %r11d, %ecx
	rdpmc			/* 24 */
	mov %eax, 24(%rdi)
	mov %r10d, %ecx
	rdmsr			/* 27 */
	mov %eax, 28(%rdi)
	ret			/* 30 in all, with the call */

	/* In ring 3: an instruction that faults has not retired. */
	sequence fault
	nop
	nop
fault_at:
	ud2
	nop
fault_after:
	nop
	nop
	ret
	.section .fault_table, "a"
	.quad fault_at, fault_after
	.text

	/* In ring 3: it loads twice and stores three times before an instruction that is none. */
	sequence invalid
	mov (%rdi), %rax
	mov %rax, (%rdi)
	mov %rax, (%rdi)
	incq (%rdi)
invalid_at:
	.byte 0x0f, 0x0a
	mov (%rdi), %rax
invalid_after:
	ret
	.section .fault_table, "a"
	.quad invalid_at, invalid_after
	.text

	/* 10 at a time: the counter is off between the last two. An MSR, and its values on and off. */
	sequence toggle
	mov (%rdi), %ecx
	mov 4(%rdi), %esi
	mov 8(%rdi), %eax
	.rept 10
	nop
	.endr
	xor %edx, %edx
	wrmsr			/* 15 in all */
	.rept 10
	nop
	.endr
	mov %esi, %eax
	wrmsr
	.rept 10
	nop
	.endr
	ret			/* and 11 */

	.section .note.GNU-stack, "", @progbits
