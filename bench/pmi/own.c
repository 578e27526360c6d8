/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See own.h.
 */
#include "own.h"

#include "totals.h"

struct vcpu {
	struct vpmu pmu;
	struct totals totals;
};

/* One access of the guest and the service that follows. Says if a PMI is due. */
static inline bool do_access(struct vpmu *pmu, const struct step *step)
{
	uint64_t value;

	switch (step->kind) {
	case STEP_RESET:
		vpmu_reset(pmu);
		break;
	case STEP_RDMSR:
		vpmu_rdmsr(pmu, step->index, &value);
		break;
	case STEP_WRMSR:
		vpmu_wrmsr(pmu, step->index, step->value);
		break;
	case STEP_RDPMC:
		vpmu_rdpmc(pmu, step->index, true, &value);
		break;
	case STEP_WORK:
	case STEP_PMI:
		break;
	}
	return vpmu_service(pmu);
}

static size_t handler_length(const struct step *first)
{
	size_t length = 1;

	while (!first[length - 1].ends_handler)
		length++;
	return length;
}

/* A PMI with a handler, as a whole or its service alone. Returns the handler's length. */
static size_t do_pmi(struct vpmu *pmu, const struct step *first, bool whole, bool warm,
		     struct own *own)
{
	size_t length = handler_length(first);
	uint64_t from = measure_begin();
	unsigned int due = vpmu_service(pmu);
	uint64_t took;

	if (!whole)
		took = measure_end() - from;
	for (size_t i = 0; i < length; i++)
		do_access(pmu, &first[i]);
	if (whole)
		took = measure_end() - from;
	if (warm) {
		own->pmis += due != 0;
		own->lost += due == 0;
		measure_add(whole ? &own->pmi : &own->service, (double)took);
	}
	return length;
}

static void run(const struct plan *plan, size_t warm_up, bool whole, struct vcpu *vcpu,
		struct own *own)
{
	size_t came = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct step *step = &plan->steps[i];

		if (step->kind == STEP_WORK)
			totals_add(&vcpu->totals, vcpu->totals.bound, step->value);
		else if (step->kind != STEP_PMI)
			do_access(&vcpu->pmu, step);
		else if (step[-1].kind == STEP_WORK && step[-1].leads)
			i += do_pmi(&vcpu->pmu, step + 1, whole, came++ >= warm_up, own);
		else
			vpmu_service(&vcpu->pmu);
	}
}

void own_run(const struct plan *plan, size_t warm_up, struct own *own)
{
	struct vcpu vcpu;

	for (int whole = 0; whole < 2; whole++) {
		vcpu.totals = (struct totals){ .pmu = &vcpu.pmu };
		if (vpmu_init(&vcpu.pmu, &plan->config, &totals_ops, &vcpu.totals) != VPMU_OK)
			return;
		run(plan, warm_up, whole, &vcpu, own);
	}
}

void own_free(struct own *own)
{
	measure_free(&own->pmi);
	measure_free(&own->service);
}
