/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See site.h.
 */
#include "site.h"
#include "guest/registers.h"
#include "guest/x86.h"
#include "vcpu.h"

/*
 * Mappings share translations, so only the page of EIP tells where this one runs. The
 * rest of EIP may be that of an earlier instruction of the block. If it is below the
 * block's start, the block has crossed into its second page.
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
	/* If the site's level is not counted, this is an earlier block, of another level. */
	if (!block || block->level != site->level)
		return;
	for (unsigned int i = 0; i < block->count; i++)
		if (block->insn[i].offset == site->offset) {
			totals_correct(vcpu, block, i + retired);
			return;
		}
}
