/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See offcore.h.
 */
#include "offcore.h"

/* The bits that make sense without line states and snoops. */
#define RESPONSE_ANY        (UINT64_C(1) << 16)
#define RESPONSE_LLC        (UINT64_C(7) << 18)
#define RESPONSE_LOCAL_DRAM (UINT64_C(1) << 26)
#define RESPONSE_NO_SNOOP   (UINT64_C(3) << 31)

/* Lines have no state here, so a match in some states of the LLC but not in others is unknown. */
bool offcore_can_tell(uint64_t value)
{
	uint64_t of_llc = value & RESPONSE_LLC;

	return of_llc == 0 || of_llc == RESPONSE_LLC;
}

bool offcore_matches(uint64_t value, uint64_t request, enum cache_level found)
{
	if (!(value & request))
		return false;
	if (value & RESPONSE_ANY)
		return true;
	if (!(value & RESPONSE_NO_SNOOP))
		return false;
	if (found == CACHE_MEMORY)
		return value & RESPONSE_LOCAL_DRAM;
	return (value & RESPONSE_LLC) == RESPONSE_LLC;
}
