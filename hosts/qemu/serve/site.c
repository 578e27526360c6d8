/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See site.h.
 */
#include "site.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "vcpu.h"

/*
 * Translations are shared between mappings, so only the page bits of EIP are new;
 * EIP itself may lag behind within the block, which may have gone on into its
 * second page.
 */
static uint64_t address(const struct site *site, uint64_t base)
{
	uint64_t now = reg_read(GUEST_IP) + base;
	uint64_t page = now & ~(PAGE - 1);

	if (now % PAGE < site->page_offset)
		page -= PAGE;
	return page + site->page_offset + site->offset;
}

uint64_t site_ip(const struct site *site)
{
	uint64_t base = code_base();

	return address(site, base) - base;
}

uint64_t site_address(const struct site *site)
{
	return address(site, code_base());
}

void site_leave_block(struct vcpu *vcpu, const struct site *site, bool retired)
{
	const struct block *block = as_block(vcpu_score(vcpu)->block);

	vcpu_leave_block(vcpu);
	/* Where the site's own level is not counted, the block is one of the other. */
	if (!block || block->level != site->level)
		return;
	for (unsigned int i = 0; i < block->count; i++)
		if (block->insn[i].offset == site->offset) {
			totals_correct(vcpu, block, i + retired);
			return;
		}
}
