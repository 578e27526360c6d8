/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The guest's registers and memory: of the vCPU whose thread calls, in callbacks
 * that QEMU lets read or write them.
 */
#ifndef VPMU_QEMU_REGISTERS_H
#define VPMU_QEMU_REGISTERS_H

#include "count/score.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reg {
	GUEST_AX,
	GUEST_BX,
	GUEST_CX,
	GUEST_DX,
	GUEST_SP,
	GUEST_IP,
	GUEST_FLAGS,
	GUEST_CS,
	GUEST_SS,
	GUEST_CR0,
	GUEST_CR3,
	GUEST_CR4,
	GUEST_EFER,
	GUEST_KGSBASE,
	GUEST_COUNT
};

/* By each vCPU as it starts. */
void registers_init(void);

/* The name of one that this QEMU does not show and that each of its guests has; or NULL. */
const char *registers_missing(void);

/* 0 of a register that this QEMU does not have. */
uint64_t reg_read(enum reg reg);
void reg_write(enum reg reg, uint64_t value);

/* EDX:EAX */
uint64_t reg_read_pair(void);
void reg_write_pair(uint64_t value);

/* The level that the vCPU runs at. */
enum level level_now(void);

/*
 * The base of the code segment. In protected mode it cannot be read and is taken as 0:
 * the offset in a page, which is what counts here, is then right where the base is a
 * number of pages.
 */
uint64_t code_base(void);

/* Is it 64-bit code? */
bool code_is_64(void);

/* Virtual memory. False: it is not mapped. */
bool guest_read(uint64_t vaddr, void *to, size_t length);
bool guest_write(uint64_t vaddr, const void *from, size_t length);

/* Physical memory and devices. */
bool physical_read(uint64_t address, void *to, size_t length);
bool physical_write(uint64_t address, const void *from, size_t length);
bool physical_read32(uint64_t address, uint32_t *value);
bool physical_write32(uint64_t address, uint32_t value);

#endif
