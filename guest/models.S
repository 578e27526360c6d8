/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Branches and accesses that the models of docs/models.md are computed for, by
 * models.c. All are functions void (uint64_t, uint64_t, uint64_t, uint64_t) that
 * empty the models, let the general counters count, and touch nothing else
 * than what they are for between that and stopping them.
 */
#include "layout.h"

#define MSR_PRED_CMD 0x49

	/* The four arguments are in r8 to r11 from here on, global control's number in r15. */
	.macro begin name
	.balign 64
	.globl \name, \name\()_from, \name\()_to
\name:
	push %r15
	mov models_control(%rip), %r15d
	mov %rcx, %r11
	mov %rdx, %r10
	mov %rsi, %r9
	mov %rdi, %r8
	wbinvd
	mov $MSR_PRED_CMD, %ecx
	mov $1, %eax
	xor %edx, %edx
	wrmsr
	mov %r15d, %ecx
	mov $0xf, %eax
	wrmsr
	jmp \name\()_from
	.balign 64
\name\()_from:
	.endm

	.macro end name
	mov %r15d, %ecx
	xor %eax, %eax
	xor %edx, %edx
	wrmsr
\name\()_to:
	pop %r15
	ret
	.endm

	/* A branch that models.c knows by its address. */
	.macro at label
	.globl \label
\label:
	.endm

	.text

	begin seq_nothing
	end seq_nothing

	/* r8 times around. */
	begin seq_loop
1:	dec %r8
	at loop_branch
	jnz 1b
	end seq_loop

	begin seq_loop_instruction
	mov %r8, %rcx
	at loop_instruction_branch
	loop loop_instruction_branch
	end seq_loop_instruction

	/* r8 times r9 times around. */
	begin seq_nested
1:	mov %r9, %rax
2:	dec %rax
	at nested_inner
	jnz 2b
	dec %r8
	at nested_outer
	jnz 1b
	end seq_nested

	/* r8 times, a branch that is taken every other time. */
	begin seq_alternating
	xor %eax, %eax
1:	xor $1, %eax
	at alternating_branch
	jnz 2f
	nop
2:	dec %r8
	at alternating_loop
	jnz 1b
	end seq_alternating

	/* r8 times, a branch that is taken by bit 0 of a generator that starts from r9. */
	begin seq_random
1:	mov %r9, %rax
	shl $13, %rax
	xor %rax, %r9
	mov %r9, %rax
	shr $7, %rax
	xor %rax, %r9
	mov %r9, %rax
	shl $17, %rax
	xor %rax, %r9
	test $1, %r9b
	at random_branch
	jnz 2f
	nop
2:	dec %r8
	at random_loop
	jnz 1b
	end seq_random

	/* 100 branches of 3 bytes each, from the label on: taken, not taken, to what follows. */
	begin seq_straight_taken
	xor %eax, %eax
	at straight_taken
	.rept 100
	.byte 0x74, 0x01
	nop
	.endr
	end seq_straight_taken

	begin seq_straight_not_taken
	xor %eax, %eax
	.rept 100
	.byte 0x75, 0x01
	nop
	.endr
	end seq_straight_not_taken

	begin seq_straight_to_next
	xor %eax, %eax
	.rept 100
	.byte 0x74, 0x00
	nop
	.endr
	end seq_straight_to_next

	/* r8 times; the branch ends with its page. */
	begin seq_page_end
	jmp 1f
	.balign 4096
	.fill 4096 - 5, 1, 0x90
1:	dec %r8
	jnz 1b
	end seq_page_end

	/* r8 times; the branch begins in one page and ends in the next. */
	begin seq_page_across
	jmp 1f
	.balign 4096
	.fill 4096 - 4, 1, 0x90
1:	dec %r8
	jnz 1b
	end seq_page_across

	/* r8 times an indirect jump to one place, or to two in turn if r9 is not 0. */
	begin seq_indirect
	lea 2f(%rip), %rax
	lea 3f(%rip), %rdx
	test %r9, %r9
	at indirect_choice
	jnz 1f
	mov %rax, %rdx
1:	jmp *%rax
2:	nop
3:	xchg %rax, %rdx
	dec %r8
	at indirect_loop
	jnz 1b
	end seq_indirect

	/* r8 calls, each in the one before, and as many returns. */
	begin seq_calls
	call 1f
	jmp 3f
1:	dec %r8
	jz 2f
	call 1b
2:	ret
3:
	end seq_calls

	/* The same with the call at the end of a page. */
	begin seq_calls_page_end
	call 1f
	jmp 3f
	.balign 4096
	.fill 4096 - 10, 1, 0x90
1:	dec %r8
	jz 2f
	call 1b
2:	ret
3:
	end seq_calls_page_end

	/* r8 times an indirect call of one function. */
	begin seq_indirect_calls
	lea 2f(%rip), %rax
1:	call *%rax
	dec %r8
	jnz 1b
	jmp 3f
2:	ret
3:
	end seq_indirect_calls

	/* A call in a call whose pointer faults at first; fault_handler gives the right one. */
	begin seq_faulting_call
	call 1f
	jmp 3f
1:	mov $1 << 63, %rax
	call *(%rax)
	ret
2:	ret
3:
	end seq_faulting_call

	.globl fault_handler, interrupt_handler, interrupts
fault_handler:
	lea 1f(%rip), %rax
	add $8, %rsp
	iretq
	.balign 8
1:	.quad 2b

	/* No branch but IRET, which is not predicted. */
interrupt_handler:
	push %rax
	incq interrupts(%rip)
	mov $0xfee000b0, %eax
	movl $0, (%rax)
	pop %rax
	iretq

	/* From r8 on, r9 accesses, r10 bytes apart; all that r11 times. */
	.macro walk name, instruction:vararg
	begin \name
1:	mov %r8, %rcx
	mov %r9, %rdx
2:	\instruction
	add %r10, %rcx
	dec %rdx
	jnz 2b
	dec %r11
	jnz 1b
	end \name
	.endm

	walk seq_load, mov (%rcx), %rax
	walk seq_store, mov %rax, (%rcx)
	walk seq_modify, incq (%rcx)
	walk seq_byte, mov (%rcx), %al
	walk seq_prefetch, prefetcht0 (%rcx)

	/* r9 bytes from r8 on by REP STOSB. */
	begin seq_stos
	mov %r8, %rdi
	mov %r9, %rcx
	xor %eax, %eax
	rep stosb
	end seq_stos

	/* 520 lines of code, r8 times. */
	begin seq_code
1:	.rept 519 * 8
	nopl 0x12345678(%rax, %rax)
	.endr
	dec %r8
	jnz 1b
	.balign 64
	end seq_code

	/* A jump that begins in one line, ends in the next, and skips the rest of it. */
	begin seq_across_lines
	jmp 1f
	.balign 64
1:	.fill 62, 1, 0x90
	.byte 0xe9
	.long 2f - . - 4
	.balign 64
2:
	end seq_across_lines

	/* A load from r8, and again after the caches have been emptied. */
	begin seq_emptied
	mov (%r8), %rax
	wbinvd
	mov (%r8), %rax
	mov (%r8), %rax
	end seq_emptied

	/* In ring 3: twelve branches not taken, and a loop of 1000. */
	.globl user_loop
user_loop:
	xor %eax, %eax
	.rept 12
	.byte 0x75, 0x01
	nop
	.endr
	mov $1000, %ecx
1:	dec %ecx
	jnz 1b
	ret

	/* In ring 3: a byte of each line of a page, from rdi on. */
	.globl user_loads
user_loads:
	mov $64, %ecx
1:	mov (%rdi), %al
	add $64, %rdi
	dec %ecx
	jnz 1b
	ret

	.bss
	.balign 8
interrupts:
	.quad 0

	.section .note.GNU-stack, "", @progbits
