/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From PVH's 32-bit entry, or an application processor's real mode, to C in
 * 64-bit mode. Memory is identity mapped, for user code as well; see layout.h
 * for the two further mappings. SDM vol. 3, "Processor Management and
 * Initialization".
 */
#include "layout.h"

#define PTE_TABLE 0x007	/* present, writable, user */
#define PTE_LARGE 0x087

#define CR0_PE 0x00000001
#define CR0_PG 0x80000000
#define CR0_WP 0x00010000
#define CR4_PAE 0x20
#define EFER_LME 0x100

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad pvh_start

	.text
	.code32
	.globl pvh_start
pvh_start:
	cli
	cld
	mov $boot_stack_top, %esp
	mov %ebx, start_info
	call make_page_tables
	lgdtl boot_gdt_pointer
	jmp enable_paging

/* Clobbers all but ESP. */
make_page_tables:
	movl $(page_directory_pointers + PTE_TABLE), page_map
	mov $page_directories + PTE_TABLE, %eax
	mov $page_directory_pointers, %edi
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 1b
	movl $(page_directories + PTE_TABLE), (%edi)		/* ALIAS */
	movl $(window_directory + PTE_TABLE), 8(%edi)		/* WINDOW */
	movl $(window_table + PTE_TABLE), window_directory

	mov $PTE_LARGE, %eax
	mov $page_directories, %edi
	mov $2048, %ecx
2:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 2b
	ret

enable_paging:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov $page_map, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov %cr0, %eax
	and $0x9fffffff, %eax		/* caches on: INIT leaves them off */
	or $(CR0_PG | CR0_WP | CR0_PE), %eax
	mov %eax, %cr0
	ljmp $SEL_CODE, $start64

	.code64
start64:
	/* The local APIC's ID is this processor's number. */
	mov $1, %eax
	cpuid
	shr $24, %ebx
	mov %ebx, %edi
	inc %ebx
	imul $STACK_SIZE, %ebx, %ebx
	lea stacks(%rbx), %rsp
	xor %ebp, %ebp
	test %edi, %edi
	jnz 1f
	mov start_info, %edi
	call boot_main
1:	call ap_main
2:	hlt
	jmp 2b

/* Copied to TRAMPOLINE; a STARTUP IPI starts it in real mode. */
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	cld
	xor %ax, %ax
	mov %ax, %ds
	lgdtl TRAMPOLINE + trampoline_gdt_pointer - trampoline
	mov %cr0, %eax
	or $CR0_PE, %al
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $enable_paging
trampoline_gdt_pointer:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt
trampoline_end:

	.code64
	.section .rodata
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00cf9a000000ffff	/* SEL_CODE32 */
	.quad 0x00af9a000000ffff	/* SEL_CODE */
	.quad 0x00cf92000000ffff	/* SEL_DATA */
boot_gdt_end:
boot_gdt_pointer:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt

	.section .bss
	.balign 4096
page_map:
	.skip 0x1000
page_directory_pointers:
	.skip 0x1000
page_directories:
	.skip 0x4000
window_directory:
	.skip 0x1000
	.globl window_table
window_table:
	.skip 0x1000
stacks:
	.skip STACK_SIZE * MAX_CPUS
	.skip 0x100
boot_stack_top:
start_info:
	.skip 4

	.section .note.GNU-stack, "", @progbits
