/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See guest.h. EBP has CPUID's leaf. R8 to R11 are the loop's.
 */
#include "guest.h"

#define TEXT(number)  #number
#define VALUE(number) TEXT(number)

/* Instructions of a turn beside those of its body. */
#define TURN 11

#define DONE_PORT "$" VALUE(GUEST_DONE_PORT)
#define PORT      "$" VALUE(GUEST_PORT)
#define WRITES    "$" VALUE(GUEST_WRITES)
#define TURNS     "$" VALUE(GUEST_TURNS)
#define TICKS     "$" VALUE(GUEST_TICKS)
#define MMIO      "$" VALUE(GUEST_MMIO)

/* LFENCE: what was before RDTSC is done, what follows is not. */
#define GUEST(name, body)                                                                          \
	__asm__(".pushsection .rodata\n"                                                           \
		"guest_" name ":\n"                                                                \
		"	mov " WRITES ", %esi\n"                                                    \
		"1:	mov (%rsi), %ecx\n"                                                            \
		"	test %ecx, %ecx\n"                                                               \
		"	jz 2f\n"                                                                         \
		"	mov 4(%rsi), %eax\n"                                                             \
		"	mov 8(%rsi), %edx\n"                                                             \
		"	wrmsr\n"                                                                         \
		"	add $12, %rsi\n"                                                                 \
		"	jmp 1b\n"                                                                        \
		"2:	out %al, " DONE_PORT "\n"                                                  \
		"	mov " TURNS ", %esi\n"                                                     \
		"	mov (%rsi), %r9d\n"                                                              \
		"	mov " TICKS ", %edi\n"                                                     \
		"3:	lfence\n"                                                                      \
		"	rdtsc\n"                                                                         \
		"	lfence\n"                                                                        \
		"	mov %eax, %r8d\n" body "	lfence\n"                                         \
		"	rdtsc\n"                                                                         \
		"	sub %r8d, %eax\n"                                                                \
		"	mov %eax, (%rdi)\n"                                                              \
		"	add $4, %rdi\n"                                                                  \
		"	dec %r9d\n"                                                                      \
		"	jnz 3b\n"                                                                        \
		"	jmp 2b\n"                                                                        \
		"guest_" name "_end:\n"                                                            \
		".popsection\n")

GUEST("cpuid", "	mov %ebp, %eax\n"
	       "	xor %ecx, %ecx\n"
	       "	cpuid\n");
/* IA32_APIC_BASE: KVM has it, and never lets a guest have it without an exit. */
GUEST("rdmsr", "	mov $0x1b, %ecx\n"
	       "	rdmsr\n");
/* IA32_BIOS_UPDT_TRIG: KVM does nothing about it. */
GUEST("wrmsr", "	mov $0x79, %ecx\n"
	       "	xor %eax, %eax\n"
	       "	xor %edx, %edx\n"
	       "	wrmsr\n");
GUEST("rdpmc", "	xor %ecx, %ecx\n"
	       "	rdpmc\n");
GUEST("pio", "	out %al, " PORT "\n");
GUEST("mmio", "	mov " MMIO ", %ebx\n"
	      "	mov %eax, (%rbx)\n");
GUEST("hlt", "	hlt\n");

#define CODE(name) extern const char guest_##name[], guest_##name##_end[]

CODE(cpuid);
CODE(rdmsr);
CODE(wrmsr);
CODE(rdpmc);
CODE(pio);
CODE(mmio);
CODE(hlt);

const struct guest_exit guest_exits[GUEST_EXITS] = {
	{ "cpuid", "CPUID", guest_cpuid, guest_cpuid_end, TURN + 3, false, false },
	{ "rdmsr", "RDMSR", guest_rdmsr, guest_rdmsr_end, TURN + 2, false, false },
	{ "wrmsr", "WRMSR", guest_wrmsr, guest_wrmsr_end, TURN + 4, false, false },
	{ "rdpmc", "RDPMC", guest_rdpmc, guest_rdpmc_end, TURN + 2, true, false },
	{ "pio", "port write", guest_pio, guest_pio_end, TURN + 1, false, false },
	{ "mmio", "MMIO write", guest_mmio, guest_mmio_end, TURN + 2, false, false },
	{ "hlt", "HLT", guest_hlt, guest_hlt_end, TURN + 1, false, true },
};
