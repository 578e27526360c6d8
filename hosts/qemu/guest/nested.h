/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The memory of a guest of the guest's, behind nested paging. QEMU's own look-up for plugins
 * takes such a guest's page tables for ones in the hypervisor's memory. APM vol. 2, "Nested
 * Paging".
 */
#ifndef VPMU_QEMU_NESTED_H
#define VPMU_QEMU_NESTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tables of pages: the address of the first, and what they are like. */
struct tables {
	uint64_t root;
	uint8_t levels; /* 0: there are none */
	uint8_t entry;  /* bytes of one: 4 or 8 */
};

/* A guest that has been entered. */
struct nested {
	uint64_t vmcb;
	struct tables tables; /* none: it has no nested paging */
};

/* The calling vCPU's. */
void nested_attach(const struct nested *nested);

/* Before a VMRUN. */
struct nested nested_enter(uint64_t vmcb);

/* Does the vCPU run a guest behind nested paging? A #VMEXIT may have come unseen (vmcb.h). */
bool nested_is_on(void);

/* Its virtual memory, page by page. False: it is not mapped, or not all of it. */
bool nested_read(uint64_t vaddr, void *to, size_t length);
bool nested_write(uint64_t vaddr, const void *from, size_t length);

#endif
