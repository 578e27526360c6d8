/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See service.h.
 */
#include "service.h"
#include "count/installed.h"
#include "guest/lapic.h"
#include "plugin.h"
#include "record.h"
#include "vcpu.h"

bool service(struct vcpu *vcpu)
{
	unsigned int asked = vpmu_service(&vcpu->pmu);

	if (!(asked & VPMU_PMI))
		return false;
	record(vcpu, TRACE_PMI, VPMU_DONE, 0, vpmu_status(&vcpu->pmu));
	return lapic_pmi(vcpu, asked & VPMU_MASK_LVTPC);
}

void service_idle(struct vcpu *vcpu)
{
	installed_update_checks(vcpu);
	if (!installed_entries() || vpmu_active(&vcpu->pmu) ||
	    g_get_monotonic_time() - vcpu->last_access < UNUSED_US)
		return;
	vpmu_release_idle(&vcpu->pmu);
	if (installed_entries() & ~installed_wanted()) {
		installed_forget_recent();
		plugin_retranslate();
	}
}
