/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See totals.h.
 */
#include "totals.h"
#include "installed.h"
#include "vcpu.h"

static uint64_t own_total(const struct vcpu *vcpu, unsigned int entry)
{
	return vcpu_score(vcpu)->biased[entry] - vcpu->totals.bias[entry];
}

uint64_t totals_folded(const struct vcpu *vcpu, unsigned int entry)
{
	return installed_folded() >> entry & 1 ? own_total(vcpu, entry_folded_part(entry)) : 0;
}

/* What has been added with the block of the site being served and has not run. */
static uint64_t added_ahead(const struct totals *totals, unsigned int entry)
{
	const struct site *site = totals->site;
	unsigned int class = entry / LEVEL_COUNT;
	unsigned int level = entry % LEVEL_COUNT;

	if (!site || !(installed_entries() >> entry & 1) ||
	    (level != LEVEL_ANY && level != (unsigned int)site->level))
		return 0;
	return site->counted_ahead[class] +
	       (totals->site_retired ? 0u : site->classes >> class & 1u);
}

uint64_t totals_entry(const struct vcpu *vcpu, unsigned int entry)
{
	return own_total(vcpu, entry) + totals_folded(vcpu, entry) -
	       added_ahead(&vcpu->totals, entry);
}

void totals_set_threshold(struct vcpu *vcpu, unsigned int entry, uint64_t total)
{
	uint64_t own = own_total(vcpu, entry);

	vcpu->totals.bias[entry] = THRESHOLD - total;
	vcpu_score(vcpu)->biased[entry] = own + vcpu->totals.bias[entry];
}

/* The entries that an instruction of the block adds to if it is of their class. */
static uint64_t entries_of(const struct block *block, unsigned int index)
{
	bool conditional = block->insn[index].classes >> CLASS_CONDITIONAL & 1;

	return block->entries & ~(conditional ? installed_folded() : 0);
}

/* What the block adds to the totals from instruction number `first` on, n times more. */
static void adjust(struct vcpu *vcpu, const struct block *block, unsigned int first, uint64_t n)
{
	struct score *score = vcpu_score(vcpu);

	for (unsigned int i = first; i < block->count; i++)
		for (uint64_t entries = entries_of(block, i); entries; entries &= entries - 1) {
			unsigned int entry = (unsigned int)__builtin_ctzll(entries);

			if (block->insn[i].classes >> (entry / LEVEL_COUNT) & 1)
				score->biased[entry] += n;
		}
}

void totals_correct(struct vcpu *vcpu, const struct block *block, unsigned int done)
{
	adjust(vcpu, block, done, UINT64_MAX);
}

void totals_add(struct vcpu *vcpu, const struct block *block)
{
	adjust(vcpu, block, 0, 1);
}
