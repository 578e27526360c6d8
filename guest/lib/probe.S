/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Single instructions with chosen registers and flags, at any privilege
 * level: bool probe_NAME(struct probe *). False: it faulted; the trap handler
 * kept the registers. probe_NAME_at is the instruction's address.
 */
	.macro probe name, bytes:vararg
	.text
	.globl probe_\name, probe_\name\()_at
probe_\name:
	push %rbx
	push %rdi
	mov 8(%rdi), %rbx
	mov 16(%rdi), %rcx
	mov 24(%rdi), %rdx
	pushq 32(%rdi)
	mov (%rdi), %rax
	popfq
probe_\name\()_at:
	.byte \bytes
	pushfq
	pop %r8
	pop %rdi
	mov %rax, (%rdi)
	mov %rbx, 8(%rdi)
	mov %rcx, 16(%rdi)
	mov %rdx, 24(%rdi)
	mov %r8, 32(%rdi)
	mov $1, %eax
	pop %rbx
	ret
	.section .fault_table, "a"
	.quad probe_\name\()_at, probe_failed
	.endm

	.text
probe_failed:
	pop %rdi
	pop %rbx
	xor %eax, %eax
	ret

	probe rdmsr, 0x0f, 0x32
	probe wrmsr, 0x0f, 0x30
	probe rdpmc, 0x0f, 0x33
	probe cpuid, 0x0f, 0xa2
	probe rdtsc, 0x0f, 0x31
	probe ud2, 0x0f, 0x0b
	probe lock_rdmsr, 0xf0, 0x0f, 0x32
	probe lock_wrmsr, 0xf0, 0x0f, 0x30
	probe lock_rdpmc, 0xf0, 0x0f, 0x33
	probe lock_cpuid, 0xf0, 0x0f, 0xa2
	probe rexw_rdmsr, 0x48, 0x0f, 0x32
	probe rexw_wrmsr, 0x48, 0x0f, 0x30
	probe rexw_rdpmc, 0x48, 0x0f, 0x33
	probe data16_rdpmc, 0x66, 0x0f, 0x33

	.section .note.GNU-stack, "", @progbits
