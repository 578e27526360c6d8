/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What hosts and sources compile into their own code and abidiff does not see, or must not
 * see change when it sees what is inside of struct vpmu do so. Only compiled.
 */
#include <vpmu/perf_event.h>
#include <vpmu/vpmu.h>

_Static_assert(VPMU_PMI == 1 && VPMU_MASK_LVTPC == 2 && VPMU_FREEZE_LBR == 4,
	       "what vpmu_service() asks for");
_Static_assert(VPMU_RETIRED_USER == 0 && VPMU_RETIRED_KERNEL == 1 && VPMU_RETIRED_BRANCH == 2 &&
		       VPMU_RETIRED_GUEST_MODE == 4,
	       "what vpmu_retired() is told");
_Static_assert(VPMU_FIXED == 32 && VPMU_MAX_GENERAL == 8 && VPMU_MAX_FIXED == 4,
	       "indexes of counters, and arrays of sources");
_Static_assert(VPMU_NO_ALARM == UINT64_MAX, "the alarm that never comes");
_Static_assert(VPMU_EVENT_RAW == 32, "sources tell events without an id by it");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vpmu) == 1920, "a host's space for a PMU");
