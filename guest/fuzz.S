/* SPDX-License-Identifier: BSD-2-Clause
 *
 * void fuzz_run(const struct registers *in, struct registers *out): all
 * registers and flags in, a jump to in->target, which returns, and all of them
 * out. At any privilege level; a single step of it ends here.
 */
#include "callee_saved.h"

#define RAX    0
#define RBX    8
#define RCX    16
#define RDX    24
#define RSI    32
#define RDI    40
#define RBP    48
#define R8     56
#define RFLAGS 120
#define TARGET 128
#define RSP    136
#define RSP_BEFORE 144

	.text
	.globl fuzz_run
fuzz_run:
	push_callee_saved
	push %rsi
	mov %rsp, RSP_BEFORE(%rsi)
	lea 1f(%rip), %rax
	push %rax
	pushq TARGET(%rdi)
	pushq RFLAGS(%rdi)
	mov RAX(%rdi), %rax
	mov RBX(%rdi), %rbx
	mov RCX(%rdi), %rcx
	mov RDX(%rdi), %rdx
	mov RSI(%rdi), %rsi
	mov RBP(%rdi), %rbp
	mov R8(%rdi), %r8
	mov R8 + 8(%rdi), %r9
	mov R8 + 16(%rdi), %r10
	mov R8 + 24(%rdi), %r11
	mov R8 + 32(%rdi), %r12
	mov R8 + 40(%rdi), %r13
	mov R8 + 48(%rdi), %r14
	mov R8 + 56(%rdi), %r15
	mov RDI(%rdi), %rdi
	popfq
	ret
1:	pushfq
	pushfq
	andq $~0x100, (%rsp)
	popfq
	push %rax
	mov 16(%rsp), %rax
	mov %rbx, RBX(%rax)
	mov %rcx, RCX(%rax)
	mov %rdx, RDX(%rax)
	mov %rsi, RSI(%rax)
	mov %rdi, RDI(%rax)
	mov %rbp, RBP(%rax)
	mov %r8, R8(%rax)
	mov %r9, R8 + 8(%rax)
	mov %r10, R8 + 16(%rax)
	mov %r11, R8 + 24(%rax)
	mov %r12, R8 + 32(%rax)
	mov %r13, R8 + 40(%rax)
	mov %r14, R8 + 48(%rax)
	mov %r15, R8 + 56(%rax)
	mov %rax, %rbx
	pop %rax
	mov %rax, RAX(%rbx)
	popq RFLAGS(%rbx)
	mov %rsp, RSP(%rbx)
	cld
	pop %rsi
	pop_callee_saved
	ret

	.section .note.GNU-stack, "", @progbits
