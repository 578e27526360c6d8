/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See models.h.
 *
 * Models use physical addresses: virtual mappings share translations, so a virtual
 * address is not known when code is translated.
 */
#include "models.h"
#include "vcpu.h"
#include <string.h>
#include <vpmu/msr.h>

#define MSR_PRED_CMD  0x49
#define PRED_CMD_IBPB 1

static bool enabled;
static bool predictor_runs, caches_run;

bool models_set(const char *text)
{
	enabled = !strcmp(text, "on");
	return enabled || !strcmp(text, "off");
}

const char *models_set_caches(const char *text)
{
	return cache_config_parse(accesses_geometry(), text);
}

bool models_enabled(void)
{
	return enabled;
}

bool models_run(void)
{
	return predictor_runs || caches_run;
}

void models_start_vcpu(struct vcpu *vcpu)
{
	if (!enabled)
		return;
	vcpu->models = g_new0(struct models, 1);
	if (predictor_runs)
		branches_start(vcpu);
	if (caches_run)
		accesses_start(vcpu);
}

static uint64_t entries_between(enum event_class first, enum event_class last)
{
	uint64_t entries = 0;

	for (unsigned int class = first; class <= (unsigned int)last; class ++)
		for (enum level level = 0; level < LEVEL_COUNT; level++)
			entries |= entry_bit(entry_of(class, level));
	return entries;
}

void models_installed(uint64_t before, uint64_t now)
{
	uint64_t of_predictor = entries_between(CLASS_BRANCH_MISS, CLASS_BRANCH_MISS);
	uint64_t of_caches = entries_between(CLASS_L1I_MISS, CLASS_OFFCORE_1);

	predictor_runs = now & of_predictor;
	caches_run = now & of_caches;
	if (predictor_runs && !(before & of_predictor))
		vcpus_each(branches_start);
	if (caches_run && !(before & of_caches))
		vcpus_each(accesses_start);
}

void models_translate(struct translation *t)
{
	if (predictor_runs)
		branches_translate(t);
	if (caches_run)
		accesses_translate(t);
}

void models_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (vcpu->models && msr == MSR_PRED_CMD && (value & PRED_CMD_IBPB) && predictor_runs)
		predictor_reset(&vcpu->models->predictor);
}

uint32_t models_event_registers(void)
{
	return enabled ? VPMU_EVENT_REGISTER_OFFCORE_RSP : 0;
}
