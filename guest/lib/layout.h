/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers that C and assembly share: selectors, registers, memory places, offsets
 * in struct cpu. No declarations: assembly includes it too.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#define MAX_CPUS   4
#define STACK_SIZE 0x4000

/* In the order that SYSCALL and SYSRET ask for. */
#define SEL_CODE32    0x08
#define SEL_CODE      0x10
#define SEL_DATA      0x18
#define SEL_USER_DATA (0x20 | 3)
#define SEL_USER_CODE (0x28 | 3)
#define SEL_TSS       0x30

#define MSR_EFER 0xc0000080

#define TRAMPOLINE 0x8000

/* The same code and data again: everything below 1 GiB is also at 4 GiB. */
#define ALIAS 0x100000000
/* A window of 512 pages of 4 KiB that tests map as they like. */
#define WINDOW 0x140000000

/* Memory that no image and no firmware table covers: it survives a machine reset. */
#define SURVIVES 0x2000000

#define CPU_SELF       0
#define CPU_KERNEL_RSP 8
#define CPU_USER_RSP   16

#define VECTOR_USER_RETURN 0x80

#endif
