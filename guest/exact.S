/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sequences that are left early, entered again or interrupted; what each
 * holds is in exact.c's tables. All are functions void (void *), position
 * independent; RDI is a buffer of a page and more.
 */
#include "layout.h"

	.macro sequence name
	.balign 16
	.globl exact_\name
exact_\name:
	.endm

	/* 4 instructions: two moves, the REP, RET. */
	.macro repeated name, count, insn:vararg
	sequence \name
	mov %rdi, %rsi
	mov $\count, %ecx
	\insn
	ret
	.endm

	.text
	sequence empty
	ret

	repeated rep_0, 0, rep movsb
	repeated rep_1, 1, rep movsb
	repeated rep_2, 2, rep stosb
	repeated rep_255, 255, rep movsb
	repeated rep_256, 256, rep stosb
	repeated rep_257, 257, rep lodsb
	repeated rep_1000, 1000, rep stosb
	repeated rep_3000, 3000, rep movsl
	repeated rep_8192, 8192, rep stosq
	repeated repe_cmps, 2000, repe cmpsb
	repeated rep_addr32, 700, addr32 rep movsw

	/* 5: finds at byte 1500 */
	sequence repne_scas
	movb $77, 1500(%rdi)
	mov $77, %eax
	mov $4000, %ecx
	repne scasb
	ret

	/* 8: a REP right behind another, and one that a jump leads to. */
	sequence rep_rep
	mov $1000, %ecx
	rep stosb
	rep stosb
	mov $600, %ecx
	jmp 1f
	nop
1:	rep stosb
	mov $0, %ecx
	ret

	/* 4 + 5 * 100: the REP is the first of its block, which jumps back to it. */
	sequence rep_loop
	mov $100, %edx
	mov %rdi, %rsi
	mov $300, %ecx
1:	rep stosb
	mov %rsi, %rdi
	mov $300, %ecx
	dec %edx
	jnz 1b
	ret

	/* 2 + 5 * 400 */
	sequence rep_long
	mov $400, %edx
1:	mov %rdi, %rsi
	mov $30000, %ecx
	rep lodsb
	dec %edx
	jnz 1b
	ret

	/* 2 + 6 * 20000: interrupts in straight code. */
	sequence straight
	mov $20000, %edx
1:	incq (%rdi)
	mov (%rdi), %rax
	push %rax
	pop %rax
	dec %edx
	jnz 1b
	ret

	/* 5: the window's second to fourth page, which are not there. */
	sequence rep_faults
	mov $WINDOW, %rdi
	mov $0x3000, %ecx
	rep stosb
	mov $0, %ecx
	ret

	/* 2 + 5 * 16: a fault in the middle of each block. */
	sequence faults
	mov $WINDOW, %rsi
	mov $16, %edx
1:	nop
	incq (%rsi)
	add $0x1000, %rsi
	dec %edx
	jnz 1b
	ret

	/* 9: with TF on for 5 of them. */
	sequence step
	pushfq
	orq $0x100, (%rsp)
	popfq
	nop
	nop
	pushfq
	andq $~0x100, (%rsp)
	popfq
	ret

	/* 9: a REP of 10 iterations with TF on; a trap for each. */
	sequence step_rep
	mov $10, %ecx
	pushfq
	orq $0x100, (%rsp)
	popfq
	rep stosb
	pushfq
	andq $~0x100, (%rsp)
	popfq
	ret

	/* 6 + 3 * 20 + 3: a loop with TF on. */
	sequence step_loop
	mov $20, %ecx
	pushfq
	orq $0x100, (%rsp)
	popfq
1:	incq (%rdi)
	dec %ecx
	jnz 1b
	pushfq
	andq $~0x100, (%rsp)
	popfq
	nop
	nop
	ret

	/* 2 + 4 * 50: DR0 at the second instruction of the loop. */
	sequence break
	mov $50, %edx
1:	nop
	.globl exact_break_at
exact_break_at:
	nop
	dec %edx
	jnz 1b
	ret

	/* 2 + 6 * 50: DR0 watches the memory that the third writes. */
	sequence watch
	mov $50, %edx
1:	nop
	mov (%rdi), %rax
	incq 64(%rdi)
	mov %rax, (%rdi)
	dec %edx
	jnz 1b
	ret

	/* 3: a REP that runs over the watched memory. */
	sequence watch_rep
	mov $1000, %ecx
	rep stosb
	ret

	/* 9: the watched access alone in its block, with TF on. */
	sequence watch_step
	pushfq
	orq $0x100, (%rsp)
	popfq
	incq 64(%rdi)
	incq 64(%rdi)
	pushfq
	andq $~0x100, (%rsp)
	popfq
	ret

	/* 2 + 5 * 30: SYSCALL; 30 SYSRETs at level 0. */
	sequence syscalls
	mov $30, %edx
1:	nop
	syscall
	nop
	dec %edx
	jnz 1b
	ret

	/* The other end of SYSCALL: two instructions of level 0. */
	.globl exact_syscall_entry
	.balign 16
exact_syscall_entry:
	nop
	sysretq

	/* 2 + 5 * 10 */
	sequence int3
	mov $10, %edx
1:	nop
	int3
	nop
	dec %edx
	jnz 1b
	ret

	sequence int_n
	mov $10, %edx
1:	nop
	.byte 0xcd, 3
	nop
	dec %edx
	jnz 1b
	ret

	sequence icebp
	mov $10, %edx
1:	nop
	.byte 0xf1
	nop
	dec %edx
	jnz 1b
	ret

	/* 13: what faults is none of them. */
	sequence bad
	nop
1:	ud2
2:	nop
3:	cli
4:	nop
	xor %ecx, %ecx
	mov $1, %eax
	xor %edx, %edx
5:	div %ecx
6:	nop
7:	rdmsr
8:	nop
	mov $0x8000000000000000, %rax
9:	mov (%rax), %rax
10:	nop
	nop
	nop
	ret
	.section .fault_table, "a"
	.quad 1b, 2b, 3b, 4b, 5b, 6b, 7b, 8b, 9b, 10b
	.text

	/* 4 + 4 * 30 */
	sequence cpuid
	push %rbx
	mov $30, %edi
1:	mov $1, %eax
	cpuid
	dec %edi
	jnz 1b
	pop %rbx
	ret

	/* 2 + 9 * 100: locked, unaligned, over the end of a line and of a page. */
	sequence atomics
	mov $100, %esi
1:	lock incq 1(%rdi)
	lock incq 63(%rdi)
	lock incq 4093(%rdi)
	lock xaddl %eax, 4095(%rdi)
	lock cmpxchg8b 4(%rdi)
	lock cmpxchg16b 64(%rdi)
	xchg %eax, 62(%rdi)
	dec %esi
	jnz 1b
	ret

	/* 2 + 4 * 100: PAUSE. */
	sequence pause
	mov $100, %edx
1:	pause
	nop
	dec %edx
	jnz 1b
	ret

	/* 9 of them, run in ring 3 and over itself: the REP writes the next instruction. */
	sequence rep_modifies
	lea 1f(%rip), %rdi
	lea 2f(%rip), %rsi
	mov $5, %ecx
	rep movsb
1:	mov $1, %eax
	nop
	nop
	nop
	ret
2:	mov $2, %eax

	/* At level 0, 8 each and the handler of the interrupt. */
	.macro with_interrupt name, insn
	sequence \name
	mov $0xfee00300, %esi
	mov %ss, %ecx
	movl $0x40050, (%rsi)		/* to itself, vector 50H */
	sti
	\insn
	nop
	cli
	ret
	.endm

	with_interrupt sti_nop, "nop"
	with_interrupt sti_hlt, "hlt"
	with_interrupt sti_pause, "pause"
	with_interrupt sti_mov_ss, "mov %ecx, %ss"

	sequence int_50
	int $0x50
	ret

	.section .note.GNU-stack, "", @progbits
