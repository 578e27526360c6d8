/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See guest.h. R9D: PMIs left. RSI: struct guest_pmi.
 */
#include "guest.h"

#define TEXT(number)  #number
#define VALUE(number) TEXT(number)

#define COUNTERS "0(%rsi)"
#define ALL      "4(%rsi)"
#define PERIOD   "8(%rsi)"
#define EVENTS   "12(%rsi)"
#define FIRST    "16(%rsi)"
#define ROTATE   "20(%rsi)"
#define CONTROL  "24(%rsi)"
#define STATUS   "28(%rsi)"
#define CLEAR    "32(%rsi)"
#define SELECT0  "36(%rsi)"
#define COUNTER0 "40(%rsi)"
#define SELECT   "44(%rsi,%rdi,8)"
#define COUNT    "48(%rsi,%rdi,8)"

_Static_assert(offsetof(struct guest_pmi, rotate) == 20 &&
		       offsetof(struct guest_pmi, counter) == 40 &&
		       offsetof(struct guest_pmi, event) == 44 && sizeof(struct guest_event) == 8,
	       "the code has these offsets");

/* Where something of the guest's code is, by its label. */
#define AT(name, label) VALUE(GUEST_CODE) " + " label "_" name " - guest_" name

/* Intel's and AMD's manuals: descriptors of 64-bit code and of data; a gate of an interrupt. */
#define TABLES(name)                                                                               \
	"	.balign 8\n"                                                                             \
	"gdt_" name ":\n"                                                                          \
	"	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"                                       \
	"idt_" name ":\n"                                                                          \
	"	.quad 0, 0, 0, 0\n"                                                                      \
	"	.short " AT(name, "nmi") ", 8, 0x8e00, 0\n"                                        \
					 "	.quad 0\n"                                              \
					 "pointers_" name ":\n"                                    \
					 "	.short 23\n"                                            \
					 "	.quad " AT(name, "gdt") "\n"                       \
									"	.short 47\n"             \
									"	.quad " AT(        \
										name, "idt") "\n"

#define WRITE(msr, low)                                                                            \
	"	mov " msr ", %ecx\n"                                                               \
	"	mov " low ", %eax\n"                                                               \
	"	xor %edx, %edx\n"                                                                        \
	"	wrmsr\n"

/* Before the first turn, and between turns; then what makes a PMI come, and the wait for it. */
#define GUEST(name, rotation, cause, handler)                                                                                                                                \
	__asm__(".pushsection .rodata\n"                                                                                                                                     \
		"	.globl guest_" name ", guest_" name "_end\n"                                                                                                         \
		"guest_" name ":\n"                                                                                                                                          \
		"	mov $" VALUE(                                                                                                                                        \
			GUEST_STACK) ", %esp\n"                                                                                                                              \
				     "	mov $" AT(                                                                                                                           \
					     name,                                                                                                                           \
					     "pointers") ", %eax\n"                                                                                                          \
							 "	lgdt (%rax)\n"                                                                                                    \
							 "	lidt 10(%rax)\n"                                                                                                  \
							 "	mov $" VALUE(                                                                                                \
								 GUEST_WRITES) ", %esi\n"                                                                                    \
									       "1:	mov "                                                                                     \
									       "(%rsi), %ecx\n"                                                                              \
									       "	test "                                                                                      \
									       "%ecx, %ecx\n"                                                                                \
									       "	jz 2f\n"                                                                                    \
									       "	mov "                                                                                       \
									       "4(%rsi), %eax\n"                                                                             \
									       "	mov "                                                                                       \
									       "8(%rsi), %edx\n"                                                                             \
									       "	wrmsr\n"                                                                                    \
									       "	add $12, "                                                                                  \
									       "%rsi\n"                                                                                      \
									       "	jmp 1b\n"                                                                                   \
									       "2:	mov "                                                                                     \
									       "$" VALUE(                                                                                    \
										       GUEST_PMI) ", %esi\n"                                                                 \
												  "3:	out %al, $" VALUE(                                                   \
													  GUEST_DONE_PORT) "\n"                                              \
															   "	mov " VALUE(                                 \
																   GUEST_TURNS) ", %r9d\n" rotation          \
																		"4:	test %r9d, %r9d\n"       \
																		"	jle 3b\n" cause      \
																		"	jmp 4b\n"                  \
																		"nmi_" name                  \
																		":\n"                        \
																		"	push %rax\n"               \
																		"	push %rcx\n"               \
																		"	push %rdx\n"               \
																		"	push %rbx\n" handler \
																		"	pop %rbx\n"                \
																		"	pop %rdx\n"                \
																		"	pop %rcx\n"                \
																		"	pop %rax\n"                \
																		"	dec %r9d\n"                \
																		"	iretq\n" TABLES(     \
																			name) "guest_" name  \
																			      "_end:\n"      \
																			      ".popsection\n")

/*
 * All off; the status; each counter is read, and one that has overflowed is written a period
 * before the next overflow; the status is cleared; all on.
 */
GUEST("sampling",
      /* All off; each counter's event goes, with what it has counted; the next ones come. */
      "	cmpl $0, " ROTATE "\n"
      "	jz 4f\n" WRITE(CONTROL, "$0") "	xor %ebx, %ebx\n"
				      "	mov " FIRST ", %edi\n"
				      "5:	mov " SELECT0 ", %ecx\n"
				      "	lea (%rcx,%rbx,2), %ecx\n"
				      "	mov " SELECT ", %eax\n"
				      "	and $~0x400000, %eax\n"
				      "	xor %edx, %edx\n"
				      "	wrmsr\n"
				      "	mov %ebx, %ecx\n"
				      "	rdpmc\n"
				      "	mov %eax, " COUNT "\n"
				      "	inc %edi\n"
				      "	cmp " EVENTS ", %edi\n"
				      "	jb 6f\n"
				      "	xor %edi, %edi\n"
				      "6:	inc %ebx\n"
				      "	cmp " COUNTERS ", %ebx\n"
				      "	jb 5b\n"
				      "	mov " FIRST ", %edi\n"
				      "	inc %edi\n"
				      "	cmp " EVENTS ", %edi\n"
				      "	jb 7f\n"
				      "	xor %edi, %edi\n"
				      "7:	mov %edi, " FIRST "\n"
				      "	xor %ebx, %ebx\n"
				      "5:	mov " COUNTER0 ", %ecx\n"
				      "	lea (%rcx,%rbx,2), %ecx\n"
				      "	mov " COUNT ", %eax\n"
				      "	cltd\n"
				      "	wrmsr\n"
				      "	dec %ecx\n"
				      "	mov " SELECT ", %eax\n"
				      "	xor %edx, %edx\n"
				      "	wrmsr\n"
				      "	inc %edi\n"
				      "	cmp " EVENTS ", %edi\n"
				      "	jb 6f\n"
				      "	xor %edi, %edi\n"
				      "6:	inc %ebx\n"
				      "	cmp " COUNTERS ", %ebx\n"
				      "	jb 5b\n" WRITE(CONTROL, ALL) "	movl $0, " ROTATE "\n",
      "",
      WRITE(CONTROL, "$0") "	mov " STATUS ", %ecx\n"
			   "	rdmsr\n"
			   "	mov %eax, %r10d\n"
			   "	xor %ebx, %ebx\n"
			   "5:	mov %ebx, %ecx\n"
			   "	rdpmc\n"
			   "	bt %ebx, %r10d\n"
			   "	jnc 6f\n"
			   "	mov " COUNTER0 ", %ecx\n"
			   "	lea (%rcx,%rbx,2), %ecx\n"
			   "	sub " PERIOD ", %eax\n"
			   "	cltd\n"
			   "	wrmsr\n"
			   "6:	inc %ebx\n"
			   "	cmp " COUNTERS ", %ebx\n"
			   "	jb 5b\n" WRITE(CLEAR, ALL) WRITE(CONTROL, ALL));

#define X2APIC_ICR     "$0x830"
#define APIC_BASE      "$0x1b"
#define BIOS_UPDT_TRIG "$0x79"

/* IA32_BIOS_UPDT_TRIG is ignored; IA32_APIC_BASE is always KVM's. */
GUEST("floor", "",
      /* Interrupt Command: an NMI, to APIC ID 0. */
      WRITE(X2APIC_ICR, "$0x400"),
      WRITE(BIOS_UPDT_TRIG, "$0") "	mov " APIC_BASE ", %ecx\n"
				  "	rdmsr\n"
				  "	xor %ebx, %ebx\n"
				  "5:	mov " APIC_BASE ", %ecx\n"
				  "	rdmsr\n"
				  "	inc %ebx\n"
				  "	cmp " COUNTERS ", %ebx\n"
				  "	jb 5b\n" WRITE(BIOS_UPDT_TRIG, "$0")
					  WRITE(BIOS_UPDT_TRIG, "$0") WRITE(BIOS_UPDT_TRIG, "$0"));
