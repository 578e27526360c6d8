/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The step before the guest goes on, and what is given up after a while.
 */
#include "plugin.h"

void service(struct vcpu *vcpu)
{
	unsigned int asked = vpmu_service(&vcpu->pmu);

	if (!(asked & VPMU_PMI))
		return;
	record(vcpu, TRACE_PMI, VPMU_DONE, 0, vpmu_status(&vcpu->pmu));
	lapic_pmi(vcpu, asked & VPMU_MASK_LVTPC);
}

void service_idle(struct vcpu *vcpu)
{
	source_look_ahead(vcpu);
	if (!source_installed() || vpmu_active(&vcpu->pmu) ||
	    g_get_monotonic_time() - vcpu->last_use < UNUSED_US)
		return;
	vpmu_release_idle(&vcpu->pmu);
	if (source_installed() & ~source_entries()) {
		source_forget_recent();
		plugin_retranslate();
	}
}
