/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Addresses of code that is being translated.
 */
#ifndef VPMU_QEMU_CODE_H
#define VPMU_QEMU_CODE_H

#include "abi.h"

/* Code that is being translated is mapped. */
static inline uint64_t code_physical(uint64_t vaddr)
{
	uint64_t physical;

	return qemu_plugin_translate_vaddr(vaddr, &physical) ? physical : vaddr;
}

static inline uint64_t code_last_byte(const struct qemu_plugin_insn *insn)
{
	return qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn) - 1;
}

#endif
