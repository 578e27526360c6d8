/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A virtual machine control block, in the memory of a guest that runs guests of its own
 * (APM vol. 2, "Layout of VMCB"). Its address is a physical one.
 */
#ifndef VPMU_QEMU_VMCB_H
#define VPMU_QEMU_VMCB_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets of fields. */
enum vmcb_field {
	VMCB_EXCEPTIONS = 0x008, /* a bit for each vector that is intercepted */
	VMCB_INTERCEPTS = 0x00c,
	VMCB_MSRPM = 0x048,
	VMCB_VIRTUAL_INTERRUPT = 0x060,
	VMCB_SHADOW = 0x068, /* of an instruction such as STI */
	VMCB_EXIT_CODE = 0x070,
	VMCB_EXIT_INFO_1 = 0x078,
	VMCB_EXIT_EVENT = 0x088, /* as VMCB_EVENT_INJECTION: what was being delivered */
	VMCB_NESTED_PAGING = 0x090, /* bit 0: it is on */
	VMCB_EVENT_INJECTION = 0x0a8,
	VMCB_NESTED_CR3 = 0x0b0,
	VMCB_CS_BASE = 0x418,
	VMCB_CPL = 0x4cb,
	VMCB_CR4 = 0x548,
	VMCB_RFLAGS = 0x570,
	VMCB_RIP = 0x578,
	VMCB_RAX = 0x5f8,
};

/* Bits of VMCB_INTERCEPTS. */
#define INTERCEPT_VINTR (UINT64_C(1) << 4)
#define INTERCEPT_RDPMC (UINT64_C(1) << 15)
#define INTERCEPT_CPUID (UINT64_C(1) << 18)
#define INTERCEPT_MSR   (UINT64_C(1) << 28) /* those that the map at VMCB_MSRPM says */

/* VMCB_EXIT_CODE */
enum {
	EXIT_INTR = 0x60, /* these five come between two instructions */
	EXIT_VINTR = 0x64,
	EXIT_MSR = 0x7c,
	EXIT_UD = 0x46,
	EXIT_GP = 0x4d,
	EXIT_PAGE_FAULT = 0x4e,
	EXIT_NESTED_PAGE_FAULT = 0x400,
};
#define EXIT_INFO_FETCH (UINT64_C(1) << 4) /* of a page fault: that of an instruction */

#define SHADOW UINT64_C(1) /* VMCB_SHADOW */

/* VMCB_VIRTUAL_INTERRUPT: one that comes when the guest lets it; its vector is above. */
#define V_IRQ            (UINT64_C(1) << 8)
#define V_IGNORE_TPR     (UINT64_C(1) << 20)
#define V_GIF_ENABLED    (UINT64_C(1) << 25)
#define V_VECTOR(vector) ((uint64_t)(vector) << 32)
#define V_VECTOR_MASK    V_VECTOR(UINT32_MAX)

/* VMCB_EVENT_INJECTION */
#define INJECTION_VALID       (UINT64_C(1) << 31)
#define INJECTION_TYPE(inj)   ((inj) >> 8 & 7)
#define INJECTION_VECTOR(inj) ((inj)&0xff)
enum { INJECTION_INTERRUPT = 0, INJECTION_EXCEPTION = 3, INJECTION_SOFTWARE = 4 };
#define INJECTION_GP0 (UINT64_C(13) | INJECTION_EXCEPTION << 8 | 1 << 11 | INJECTION_VALID)
#define VECTOR_UD     6
#define VECTOR_GP     13

/* 0 of memory that is not there. */
uint64_t vmcb_read(uint64_t vmcb, enum vmcb_field field);
void vmcb_write(uint64_t vmcb, enum vmcb_field field, uint64_t value);

/*
 * Put a mark where a #VMEXIT stores its exit code. False: no mark can be put there. As long
 * as it is there, no #VMEXIT has come.
 */
bool vmcb_mark(uint64_t vmcb);
bool vmcb_is_marked(uint64_t vmcb);

/* Does the map of MSR permissions at this address have the access intercepted? */
bool vmcb_map_intercepts(uint64_t map, uint32_t msr, bool write);

#endif
