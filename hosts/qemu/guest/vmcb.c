/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vmcb.h.
 */
#include "vmcb.h"
#include "registers.h"

#define MARK 0x766d7075 /* no exit code */

static uint32_t read32(uint64_t address)
{
	uint32_t value;

	return physical_read32(address, &value) ? value : 0;
}

uint64_t vmcb_read(uint64_t vmcb, enum vmcb_field field)
{
	return (uint64_t)read32(vmcb + field + 4) << 32 | read32(vmcb + field);
}

void vmcb_write(uint64_t vmcb, enum vmcb_field field, uint64_t value)
{
	physical_write32(vmcb + field, (uint32_t)value);
	physical_write32(vmcb + field + 4, (uint32_t)(value >> 32));
}

bool vmcb_is_marked(uint64_t vmcb)
{
	return read32(vmcb + VMCB_EXIT_CODE) == MARK;
}

bool vmcb_mark(uint64_t vmcb)
{
	return physical_write32(vmcb + VMCB_EXIT_CODE, MARK) && vmcb_is_marked(vmcb);
}

/*
 * Two bits for each MSR of three ranges; others are always intercepted (APM vol. 2, "MSR
 * Intercepts").
 */
bool vmcb_map_intercepts(uint64_t map, uint32_t msr, bool write)
{
	static const uint32_t first[] = { 0, 0xc0000000, 0xc0010000 };
	const uint32_t size = 0x2000;

	for (uint32_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		uint32_t bit = 2 * (i * size + msr - first[i]) + write;

		if (msr - first[i] < size)
			return read32(map + bit / 32 * 4) >> bit % 32 & 1;
	}
	return true;
}
