/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Accesses and counted loops as 16-bit and 32-bit code, and the ways into each
 * mode and back. All of it leaves its mode by INT or by a fault. SDM vol. 3,
 * "Switching Out of IA-32e Mode Operation", "8086 Emulation".
 */
#include "callee_saved.h"
#include "layout.h"
#include "modes.h"

#define CR0_PE 0x00000001
#define CR0_PG 0x80000000
#define EFER_LME 0x100
#define EFLAGS_VM 0x20000
#define EFLAGS_IOPL 0x3000

	/* One access: registers from the request, and back. */
	.macro access size, request, name, bytes:vararg
	.globl code\size\()_\name, code\size\()_\name\()_at
code\size\()_\name:
	mov \request + REQUEST_EAX, %eax
	mov \request + REQUEST_EBX, %ebx
	mov \request + REQUEST_ECX, %ecx
	mov \request + REQUEST_EDX, %edx
code\size\()_\name\()_at:
	.byte \bytes
	pushfl
	popl \request + REQUEST_FLAGS
	mov %eax, \request + REQUEST_EAX
	mov %ebx, \request + REQUEST_EBX
	mov %ecx, \request + REQUEST_ECX
	mov %edx, \request + REQUEST_EDX
	int $VECTOR_LEAVE
	.endm

	.macro all_of size, request
	access \size, \request, rdmsr, 0x0f, 0x32
	access \size, \request, wrmsr, 0x0f, 0x30
	access \size, \request, rdpmc, 0x0f, 0x33
	access \size, \request, cpuid, 0x0f, 0xa2
	access \size, \request, lock_rdpmc, 0xf0, 0x0f, 0x33
	access \size, \request, data_rdpmc, 0x66, 0x0f, 0x33

	/* 7fffffffh + 1 makes flags: OF, SF, AF, PF */
	.globl code\size\()_behind_flags
code\size\()_behind_flags:
	mov \request + REQUEST_ECX, %ecx
	mov $0x7fffffff, %ebx
	add $1, %ebx
	rdpmc
	pushfl
	popl \request + REQUEST_FLAGS
	mov %eax, \request + REQUEST_EAX
	mov %edx, \request + REQUEST_EDX
	int $VECTOR_LEAVE

	/* What runs while counting: two for each turn, and three. An MSR, its value on, and off. */
	.globl code\size\()_count
code\size\()_count:
	mov \request + REQUEST_ECX, %ecx
	mov \request + REQUEST_EAX, %eax
	xor %edx, %edx
	wrmsr
	mov \request + REQUEST_TURNS, %ebx
1:	dec %ebx
	jnz 1b
	mov \request + REQUEST_EBX, %eax
	wrmsr
	int $VECTOR_LEAVE

	/* Two for each turn, and two. */
	.globl code\size\()_run
code\size\()_run:
	mov \request + REQUEST_TURNS, %ebx
1:	dec %ebx
	jnz 1b
	int $VECTOR_LEAVE

	/* Five for each turn, and two. BOUND and INTO do not branch. */
	.globl code\size\()_run_untaken
code\size\()_run_untaken:
	mov \request + REQUEST_TURNS, %ebx
1:	xor %eax, %eax
	bound %eax, \request + REQUEST_BOUNDS
	into
	dec %ebx
	jnz 1b
	int $VECTOR_LEAVE

	/* Two for each turn, three, and INTO. */
	.globl code\size\()_run_into
code\size\()_run_into:
	mov \request + REQUEST_TURNS, %ebx
1:	dec %ebx
	jnz 1b
	mov $0x7fffffff, %eax
	add $1, %eax
	into

	/* Two for each turn, and two. */
	.globl code\size\()_run_bound
code\size\()_run_bound:
	mov \request + REQUEST_TURNS, %ebx
1:	dec %ebx
	jnz 1b
	mov $-1, %eax
	bound %eax, \request + REQUEST_BOUNDS

	/* Two for each turn, and one: what faults has not retired. */
	.globl code\size\()_run_fault
code\size\()_run_fault:
	mov \request + REQUEST_TURNS, %ebx
1:	dec %ebx
	jnz 1b
	.byte 0xf0
	cpuid

	.globl code\size\()_run_gp
code\size\()_run_gp:
	mov \request + REQUEST_TURNS, %ebx
1:	dec %ebx
	jnz 1b
	rdmsr
	.endm

	.text
	.code32
	all_of 32, LOW + LOW_REQUEST

	/* Copied to LOW; addresses are offsets. */
	.balign 16
	.code16
	.globl low_start, low_end
low_start:
	all_of 16, LOW_REQUEST

real_switch:
	mov $SEL_DATA16, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov %cr0, %eax
	and $~CR0_PE, %eax
	mov %eax, %cr0
	ljmp $LOW_SEGMENT, $1f - low_start
1:	mov $LOW_SEGMENT, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $LOW_STACK, %esp
	lidtl real_idt_pointer - low_start
	ljmp *LOW_REQUEST + REQUEST_ENTRY

	.globl real_stubs
	.balign 8
real_stubs:
	.set vector, 0
	.rept 256
	.balign 8
	pushw $vector
	jmp real_common
	.set vector, vector + 1
	.endr

real_common:
	popw LOW_REQUEST + REQUEST_VECTOR
	popw LOW_REQUEST + REQUEST_IP
	popw LOW_REQUEST + REQUEST_CS
	mov %cr0, %eax
	or $CR0_PE, %eax
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $leave
real_idt_pointer:
	.word 0x3ff
	.long LOW + LOW_VECTORS
low_end:

/* 32-bit handlers outside long mode. */
	.code32
	.globl legacy_stubs
	.balign 16
legacy_stubs:
	.set vector, 0
	.rept VECTOR_LEAVE + 1
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push $0
	.endif
	push $vector
	jmp legacy_common
	.set vector, vector + 1
	.endr

legacy_common:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	popl LOW + LOW_REQUEST + REQUEST_VECTOR
	popl LOW + LOW_REQUEST + REQUEST_ERROR
	popl LOW + LOW_REQUEST + REQUEST_IP
	popl LOW + LOW_REQUEST + REQUEST_CS
leave:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov saved_rsp, %esp
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PG, %eax
	mov %eax, %cr0
	ljmp $SEL_CODE, $1f
	.code64
1:	mov saved_rsp, %rsp
	lidt saved_idt_pointer
	jmp pop_all

/*
 * void legacy_enter(void (*how)(void), const struct legacy *to): out of long mode,
 * and on by one of the three below; it returns when the code has left its mode.
 */
	.globl legacy_enter
legacy_enter:
	push_callee_saved
	mov %rsp, saved_rsp
	sidt saved_idt_pointer
	push $SEL_CODE32
	push $1f
	lretq
	.code32
1:	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr0, %eax
	and $~CR0_PG, %eax
	mov %eax, %cr0
	mov $MSR_EFER, %ecx
	rdmsr
	and $~EFER_LME, %eax
	wrmsr
	lidtl legacy_idt_pointer
	mov $SEL_TSS32, %eax
	ltr %ax
	jmp *%edi

/* struct legacy: cs, ip, ss, sp, ds */
	.globl legacy_protected, legacy_virtual, legacy_real
legacy_protected:
	testl $3, (%esi)
	jz 1f
	push 8(%esi)
	push 12(%esi)
1:	push $2
	push (%esi)
	push 4(%esi)
	mov 16(%esi), %ecx
	mov %ecx, %ds
	mov %ecx, %es
	iretl

legacy_virtual:
	push $LOW_SEGMENT	/* GS, FS, DS, ES, SS */
	push $LOW_SEGMENT
	push $LOW_SEGMENT
	push $LOW_SEGMENT
	push $LOW_SEGMENT
	push $LOW_STACK
	push $(EFLAGS_VM | EFLAGS_IOPL | 2)
	push (%esi)
	push 4(%esi)
	iretl

legacy_real:
	mov 4(%esi), %eax
	mov %ax, LOW + LOW_REQUEST + REQUEST_ENTRY
	mov (%esi), %eax
	mov %ax, LOW + LOW_REQUEST + REQUEST_ENTRY + 2
	ljmp $SEL_CODE16, $real_switch - low_start

	.code64
/* void compatible_enter(const struct legacy *to): the same without leaving long mode. */
	.globl compatible_enter, compatible_leave
compatible_enter:
	push_callee_saved
	mov %rsp, saved_rsp
	mov 8(%rdi), %eax
	push %rax
	mov 12(%rdi), %eax
	push %rax
	push $2
	mov (%rdi), %eax
	push %rax
	mov 4(%rdi), %eax
	push %rax
	mov 16(%rdi), %ecx
	mov %ecx, %ds
	mov %ecx, %es
	iretq
compatible_leave:
	mov saved_rsp, %rsp
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
pop_all:
	pop_callee_saved
	ret

	.data
	.balign 8
	.globl legacy_idt_pointer
legacy_idt_pointer:
	.word (VECTOR_LEAVE + 1) * 8 - 1
	.long legacy_idt
	.bss
	.balign 8
saved_rsp:
	.skip 8
saved_idt_pointer:
	.skip 16

	.section .note.GNU-stack, "", @progbits
