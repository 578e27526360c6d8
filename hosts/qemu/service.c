/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The step before the guest goes on, and what is given up after a while.
 */
#include "plugin.h"

/*
 * Guests stop and start their counters all the time (perf at every PMI and
 * task switch), and dropping the instrumentation costs all translations: it
 * stays until the PMU has been unused for this long.
 */
#define UNUSED_US (5 * G_USEC_PER_SEC)

void service(struct vcpu *vcpu)
{
	if (vpmu_service(&vcpu->pmu))
		lapic_pmi(vcpu);
}

void service_idle(struct vcpu *vcpu)
{
	if (!source_installed() || vpmu_active(&vcpu->pmu) ||
	    g_get_monotonic_time() - vcpu->last_use < UNUSED_US)
		return;
	vpmu_release_idle(&vcpu->pmu);
	if (source_installed() & ~source_entries())
		plugin_retranslate();
}
