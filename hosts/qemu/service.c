/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The step before the guest goes on, and what is given up after a while.
 */
#include "plugin.h"

void service(struct vcpu *vcpu)
{
	if (!vpmu_service(&vcpu->pmu))
		return;
	/* As it is: a RDMSR of it would look for more overflows first. */
	record(vcpu, TRACE_PMI, VPMU_DONE, 0, vcpu->pmu.global_status);
	lapic_pmi(vcpu);
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
