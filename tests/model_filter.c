/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See model.h. KVM's event filter, from Linux' Documentation/virt/kvm/api.rst, section
 * KVM_SET_PMU_EVENT_FILTER, step by step: each event is compared with each entry.
 */
#include "model.h"

static unsigned int field(uint64_t entry, unsigned int low, unsigned int high)
{
	return (unsigned int)(entry >> low & model_ones(high - low + 1));
}

/* The event select has bits 7:0 and 35:32. */
static unsigned int select_of(uint64_t entry)
{
	return field(entry, 0, 7) | field(entry, 32, 35) << 8;
}

/* An encoding as in an event select, without anything else. */
static uint64_t plain_entry(unsigned int select, unsigned int umask)
{
	return (select & 0xff) | umask << 8 | (uint64_t)(select >> 8) << 32;
}

static bool has_unused_bits(enum vpmu_vendor_id vendor, uint64_t entry)
{
	if (field(entry, 16, 31) || field(entry, 36, 54))
		return true;
	return vendor == VPMU_INTEL && field(entry, 32, 35);
}

bool model_filter_is_valid(enum vpmu_vendor_id vendor, const struct model_filter *filter)
{
	if (filter->action > 1 || filter->flags > 1)
		return false;
	for (size_t i = 0; i < filter->count; i++)
		if (filter->flags == 1 && has_unused_bits(vendor, filter->entries[i]))
			return false;
	return true;
}

/* Step 2 and 3: an entry that includes or excludes matches select and unit mask. */
static bool masked_entry_matches(uint64_t entry, unsigned int select, unsigned int umask,
				 bool excludes)
{
	unsigned int match = field(entry, 8, 15), mask = field(entry, 56, 63);

	return select_of(entry) == select && (umask & mask) == match &&
	       model_test(entry, 55) == excludes;
}

static bool is_filtered_masked(const struct model_filter *filter, unsigned int select,
			       unsigned int umask)
{
	bool included = false, excluded = false;

	for (size_t i = 0; i < filter->count; i++) {
		if (masked_entry_matches(filter->entries[i], select, umask, false))
			included = true;
		if (masked_entry_matches(filter->entries[i], select, umask, true))
			excluded = true;
	}
	return included && !excluded;
}

static bool is_filtered_plain(const struct model_filter *filter, unsigned int select,
			      unsigned int umask)
{
	for (size_t i = 0; i < filter->count; i++)
		if (filter->entries[i] == plain_entry(select, umask))
			return true;
	return false;
}

bool model_filter_allows(const struct model_filter *filter, unsigned int select, unsigned int umask)
{
	bool filtered = filter->flags == 1 ? is_filtered_masked(filter, select, umask)
					   : is_filtered_plain(filter, select, umask);

	return filter->action == 0 ? filtered : !filtered;
}

bool model_filter_allows_fixed(const struct model_filter *filter, unsigned int fixed)
{
	bool named = model_test(filter->fixed_bitmap, fixed);

	return filter->action == 0 ? named : !named;
}
