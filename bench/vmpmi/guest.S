/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See guest.h. R9D: PMIs left. RSI: struct guest_pmi. EBX: a counter. RDI: its event.
 */
#include "guest.h"

/* struct guest_pmi, as guest.h checks. */
#define COUNTERS 0(%rsi)
#define ALL      4(%rsi)
#define PERIOD   8(%rsi)
#define EVENTS   12(%rsi)
#define FIRST    16(%rsi)
#define ROTATE   20(%rsi)
#define CONTROL  24(%rsi)
#define STATUS   28(%rsi)
#define CLEAR    32(%rsi)
#define SELECT0  36(%rsi)
#define COUNTER0 40(%rsi)
#define SELECT   44(%rsi,%rdi,8)
#define COUNT    48(%rsi,%rdi,8)

#define X2APIC_ICR     $0x830
#define APIC_BASE      $0x1b
#define BIOS_UPDT_TRIG $0x79

	.section .rodata

/* Where the guest named \name has something of its code, by the label before the name. */
#define AT(label) GUEST_CODE + label\()_\name - guest_\name

	.macro write msr, low
	mov	\msr, %ecx
	mov	\low, %eax
	xor	%edx, %edx
	wrmsr
	.endm

/* Begins code; what it does before its first turn, and between turns, follows. */
	.macro begin name
	.globl	guest_\name, guest_\name\()_end
guest_\name:
	mov	$GUEST_STACK, %esp
	mov	$AT(pointers), %eax
	lgdt	(%rax)
	lidt	10(%rax)
	mov	$GUEST_WRITES, %esi
1:	mov	(%rsi), %ecx
	test	%ecx, %ecx
	jz	2f
	mov	4(%rsi), %eax
	mov	8(%rsi), %edx
	wrmsr
	add	$12, %rsi
	jmp	1b
2:	mov	$GUEST_PMI, %esi
3:	out	%al, $GUEST_DONE_PORT
	mov	GUEST_TURNS, %r9d
	.endm

/* A turn: what makes a PMI come, or nothing, and the wait for it. The handler follows. */
	.macro turn name, cause:vararg
4:	test	%r9d, %r9d
	jle	3b
	\cause
	jmp	4b
nmi_\name:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	.endm

/* Intel's and AMD's manuals: descriptors of 64-bit code and of data; a gate of an interrupt. */
	.macro end name
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	dec	%r9d
	iretq
	.balign	8
gdt_\name:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
idt_\name:
	.quad	0, 0, 0, 0
	.short	AT(nmi), 8, 0x8e00, 0
	.quad	0
pointers_\name:
	.short	23
	.quad	AT(gdt)
	.short	47
	.quad	AT(idt)
guest_\name\()_end:
	.endm

	.macro next_event
	inc	%edi
	cmp	EVENTS, %edi
	jb	6f
	xor	%edi, %edi
6:
	.endm

/* To 5. */
	.macro next_counter
	inc	%ebx
	cmp	COUNTERS, %ebx
	jb	5b
	.endm

	begin	sampling
	cmpl	$0, ROTATE
	jz	4f
	/* All off; each counter's event goes, with what it has counted; the next ones come. */
	write	CONTROL, $0
	xor	%ebx, %ebx
	mov	FIRST, %edi
5:	mov	SELECT0, %ecx
	lea	(%rcx,%rbx,2), %ecx
	mov	SELECT, %eax
	and	$~0x400000, %eax
	xor	%edx, %edx
	wrmsr
	mov	%ebx, %ecx
	rdpmc
	mov	%eax, COUNT
	next_event
	next_counter
	mov	FIRST, %edi
	next_event
	mov	%edi, FIRST
	xor	%ebx, %ebx
5:	mov	COUNTER0, %ecx
	lea	(%rcx,%rbx,2), %ecx
	mov	COUNT, %eax
	cltd
	wrmsr
	dec	%ecx
	mov	SELECT, %eax
	xor	%edx, %edx
	wrmsr
	next_event
	next_counter
	write	CONTROL, ALL
	movl	$0, ROTATE

	/*
	 * All off; the status; each counter is read, and one that has overflowed is written a
	 * period before the next overflow; the status is cleared; all on.
	 */
	turn	sampling
	write	CONTROL, $0
	mov	STATUS, %ecx
	rdmsr
	mov	%eax, %r10d
	xor	%ebx, %ebx
5:	mov	%ebx, %ecx
	rdpmc
	bt	%ebx, %r10d
	jnc	6f
	mov	COUNTER0, %ecx
	lea	(%rcx,%rbx,2), %ecx
	sub	PERIOD, %eax
	cltd
	wrmsr
6:	next_counter
	write	CLEAR, ALL
	write	CONTROL, ALL
	end	sampling

	/* An NMI, to APIC ID 0. BIOS_UPDT_TRIG is ignored; APIC_BASE is always KVM's. */
	begin	floor
	turn	floor, write X2APIC_ICR, $0x400
	write	BIOS_UPDT_TRIG, $0
	mov	APIC_BASE, %ecx
	rdmsr
	xor	%ebx, %ebx
5:	mov	APIC_BASE, %ecx
	rdmsr
	next_counter
	write	BIOS_UPDT_TRIG, $0
	write	BIOS_UPDT_TRIG, $0
	write	BIOS_UPDT_TRIG, $0
	end	floor

	.section .note.GNU-stack, "", @progbits
