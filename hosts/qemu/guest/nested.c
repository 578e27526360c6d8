/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See nested.h. Each table of the guest's has an address of the guest's, which is looked up
 * in the nested tables first.
 */
#include "nested.h"
#include "registers.h"
#include "vmcb.h"
#include "x86.h"
#include <glib.h>

#define ENTRY_PRESENT UINT64_C(1)
#define ENTRY_LARGE   UINT64_C(0x80)
#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)
#define PAE_ROOT      UINT64_C(0xffffffe0)

static _Thread_local const struct nested *attached;

void nested_attach(const struct nested *nested)
{
	attached = nested;
}

bool nested_is_on(void)
{
	return attached && attached->tables.levels && vmcb_is_marked(attached->vmcb);
}

/* What the vCPU means now by a table at this address. */
static struct tables tables_at(uint64_t root)
{
	uint64_t cr4 = reg_read(GUEST_CR4);

	if (!(reg_read(GUEST_CR0) & CR0_PG))
		return (struct tables){ 0 };
	if (reg_read(GUEST_EFER) & EFER_LMA)
		return (struct tables){ root & ENTRY_ADDRESS, cr4 & CR4_LA57 ? 5 : 4, 8 };
	if (cr4 & CR4_PAE)
		return (struct tables){ root & PAE_ROOT, 3, 8 };
	return (struct tables){ root & ENTRY_ADDRESS & UINT32_MAX, 2, 4 };
}

struct nested nested_enter(uint64_t vmcb)
{
	struct nested nested = { .vmcb = vmcb };

	if (vmcb_read(vmcb, VMCB_NESTED_PAGING) & 1)
		nested.tables = tables_at(vmcb_read(vmcb, VMCB_NESTED_CR3));
	return nested;
}

static bool read_entry(const struct tables *tables, uint64_t at, uint64_t *entry)
{
	uint64_t value = 0;

	if (!physical_read(at, &value, tables->entry))
		return false;
	*entry = GUINT64_FROM_LE(value);
	return *entry & ENTRY_PRESENT;
}

/* below: the tables that know where these are; NULL: their addresses are physical ones. */
static bool walk(const struct tables *tables, const struct tables *below, uint64_t address,
		 uint64_t *to)
{
	unsigned int bits = tables->entry == 8 ? 9 : 10;
	uint64_t table = tables->root;

	for (unsigned int level = tables->levels; level > 0; level--) {
		unsigned int shift = 12 + (level - 1) * bits;
		uint64_t offsets = (UINT64_C(1) << shift) - 1;
		uint64_t index = address >> shift & ((UINT64_C(1) << bits) - 1);
		uint64_t entry, at = table + index * tables->entry;

		if (below && !walk(below, NULL, at, &at))
			return false;
		if (!read_entry(tables, at, &entry))
			return false;
		table = entry & ENTRY_ADDRESS;
		if (level == 1 || (level <= 3 && entry & ENTRY_LARGE)) {
			*to = (table & ~offsets) | (address & offsets);
			return true;
		}
	}
	return false;
}

/* The guest's virtual address as the hypervisor's physical one. */
static bool translate(uint64_t vaddr, uint64_t *address)
{
	struct tables own = tables_at(reg_read(GUEST_CR3));

	if (!(reg_read(GUEST_EFER) & EFER_LMA))
		vaddr &= UINT32_MAX;
	if (own.levels && !walk(&own, &attached->tables, vaddr, &vaddr))
		return false;
	return walk(&attached->tables, NULL, vaddr, address);
}

static size_t part_in_page(uint64_t vaddr, size_t length)
{
	return MIN(length, PAGE - vaddr % PAGE);
}

bool nested_read(uint64_t vaddr, void *to, size_t length)
{
	uint64_t address;

	for (size_t done = 0, part; done < length; done += part) {
		part = part_in_page(vaddr + done, length - done);
		if (!translate(vaddr + done, &address) ||
		    !physical_read(address, (char *)to + done, part))
			return false;
	}
	return true;
}

bool nested_write(uint64_t vaddr, const void *from, size_t length)
{
	uint64_t address;

	for (size_t done = 0, part; done < length; done += part) {
		part = part_in_page(vaddr + done, length - done);
		if (!translate(vaddr + done, &address) ||
		    !physical_write(address, (const char *)from + done, part))
			return false;
	}
	return true;
}
