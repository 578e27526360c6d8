/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sequences whose blocks are left in the middle, for cuts.c. Each is a function
 * void (void *buffer) with a loop, and a table of its instructions, from which
 * an instruction's address and R8D tell what has retired before it. R9 is the
 * turn's page of the window, R10 a page of the window that is a device.
 */
#include "cuts.h"
#include "layout.h"

	/* An instruction and what it counts as. */
	.macro i kinds, insn:vararg
	.section .rodata
	.quad 99f
	.long \kinds, part
	.text
99:	\insn
	.endm

	.macro sequence name, turns
	.section .rodata
	.balign 8
	.globl cuts_\name\()_steps
cuts_\name\()_steps:
	.quad \turns
	.long 0, 0
	.text
	.balign 16
	.globl cuts_\name
cuts_\name:
	.set part, BEFORE_TURNS
	i 0, mov $\turns, %r8d
	i 0, mov $WINDOW, %r9
	i 0, lea 511 * 0x1000(%r9), %r10
	.endm

	.macro turn
	.set part, IN_TURN
1:
	.endm

	.macro again
	i 0, dec %r8d
	.set part, BEHIND_DECREASE
	i BRANCH | CONDITIONAL, jnz 1b
	.set part, BEHIND_TURNS
	.endm

	.macro end
	i BRANCH | RETURN | LOAD, ret
	.section .rodata
	.quad 0
	.long 0, 0
	.text
	.endm

	.macro next_page
	i 0, add $0x1000, %r9
	.endm

	/* TF on or off. */
	.macro trace_on
	i STORE, pushfq
	i LOAD | STORE, orq $0x100, (%rsp)
	i LOAD, popfq
	.endm

	.macro trace_off
	i STORE, pushfq
	i LOAD | STORE, andq $~0x100, (%rsp)
	i LOAD, popfq
	.endm

	/* What a program does that touches memory for the first time. */
	sequence fresh, 40
	turn
	i STORE, movb $1, (%r9)
	next_page
	again
	end

	/* Faults at several places of a block. */
	sequence faults, 40
	turn
	i 0, nop
	i STORE, mov %eax, 8(%rdi)
	i LOAD, mov (%r9), %eax
	i STORE, mov %eax, 8(%r9)
	i 0, nop
	i STORE, mov %rax, 0x1ffc(%r9)		/* on two pages that are not there */
	i LOAD, mov 8(%r9), %rax
	i 0, add $0x3000, %r9
	again
	end

	/* Blocks that calls and returns end, with faults in them. */
	sequence calls, 40
	turn
	i STORE, movb $1, (%r9)
	i BRANCH | CALL | STORE, call 2f
2:	i LOAD | STORE, addq $3f - 2b, (%rsp)
	i LOAD, mov 0x1000(%r9), %eax
	i BRANCH | RETURN | LOAD, ret
3:	i 0, nop
	i 0, add $0x2000, %r9
	again
	end

	/* What faults and never retires. */
	sequence invalid, 40
	turn
	i LOAD, mov (%rdi), %eax
	i NEVER, ud2
	i STORE, mov %eax, 8(%rdi)
	i 0, nop
	i NEVER, ud2
	i 0, nop
	again
	end

	/* Traps: the handler returns behind an instruction that has retired. */
	sequence traps, 40
	turn
	i 0, nop
	i BRANCH, int3
	i 0, nop
	i 0, nop
	again
	end

	/* QEMU runs an access of a device again, alone. */
	sequence device, 40
	turn
	i LOAD, mov (%rdi), %eax
	i LOAD, mov 0x20(%r10), %eax
	i STORE, mov %eax, 8(%rdi)
	i LOAD, mov (%r9), %eax
	i LOAD, mov 0x20(%r10), %eax
	i 0, nop
	next_page
	again
	end

	/* And a store into its own block. */
	sequence modifies, 40
	turn
	i LOAD, mov (%rdi), %eax
	i STORE, movb $0x90, 2f(%rip)
	i LOAD, mov 8(%rdi), %eax
2:	i 0, nop
	i STORE, movb $1, (%r9)
	next_page
	again
	end

	/* A REP that faults in the middle, and that QEMU enters again after 256 iterations. */
	sequence repeats, 20
	turn
	i 0, mov %r9, %rdi
	i 0, mov $0x1800, %ecx
	i STORE, rep stosb
	i 0, nop
	i 0, add $0x2000, %r9
	again
	end

	/* A REP that begins its block. */
	sequence repeats_first, 20
	turn
	i LOAD, mov (%r9), %eax
	i 0, mov %r9, %rsi
	i 0, mov $1000, %ecx
	i BRANCH, jmp 2f
2:	i LOAD, rep lodsb
	next_page
	again
	end

	/* Locked instructions that are not aligned, which QEMU runs alone: first, before they fault. */
	sequence locked, 40
	turn
	i LOAD, mov (%rdi), %eax
	i LOAD | STORE, lock incl 1(%r9)
	i STORE, mov %eax, 8(%rdi)
	i LOAD | STORE, lock incl 0xffe(%r9)
	i 0, nop
	i 0, add $0x2000, %r9
	again
	end

	sequence stepped, 40
	trace_on
	turn
	i STORE, movb $1, (%r9)
	i 0, nop
	next_page
	again
	trace_off
	i 0, nop
	end

	/* DR0 is at the third instruction's operand. */
	sequence watched, 40
	turn
	i 0, nop
	i LOAD, mov (%rdi), %eax
	i LOAD | STORE, incl 64(%rdi)
	i STORE, mov %eax, (%rdi)
	i STORE, movb $1, (%r9)
	next_page
	again
	end

	/* Instructions that the plugin serves, with and without flags before them. */
	sequence served, 40
	turn
	i STORE, movb $1, (%r9)
	i 0, mov $1, %eax
	i 0, cpuid
	i 0, mov $1, %ecx
	i 0, rdpmc
	i 0, xor %edx, %edx
	i 0, rdpmc
	i LOAD, mov 0x1000(%r9), %eax
	i 0, nop
	i 0, add $0x2000, %r9
	again
	end

	/* A timer's interrupts come into it. */
	sequence timer, 20000
	turn
	i LOAD | STORE, incq (%rdi)
	i LOAD, mov (%rdi), %rax
	i STORE, push %rax
	i LOAD, pop %rax
	again
	end

	/* In ring 0: a timer's interrupt wakes the processor, or a PMI. */
	sequence halts, 20
	turn
	i LOAD, mov (%rdi), %eax
	i STORE, mov %eax, 8(%rdi)
	i 0, hlt
	.globl cuts_behind_hlt
cuts_behind_hlt:
	i 0, nop
	again
	end

	/* Blocks as long as QEMU has them. */
	sequence straight, 8
	turn
	.rept 600
	i 0, nop
	.endr
	i STORE, movb $1, (%r9)
	.rept 100
	i 0, nop
	.endr
	next_page
	again
	end

	/* In ring 3: to level 0 and back without an exception. */
	sequence syscalls, 40
	turn
	i LOAD, mov (%rdi), %eax
	i BRANCH, syscall
	.globl cuts_behind_syscall
cuts_behind_syscall:
	i STORE, movb $1, (%r9)
	next_page
	again
	end

	.globl cuts_syscall_entry
	.balign 16
cuts_syscall_entry:
	nop
	sysretq

	.section .note.GNU-stack, "", @progbits
