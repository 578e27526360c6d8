/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The models under QEMU. branches.c tells the branch predictor (predictor.h) of
 * branches, accesses.c the caches (cache.h) of accesses. A model runs while one of its
 * classes is installed. docs/models.md says what counts.
 */
#ifndef VPMU_QEMU_MODELS_H
#define VPMU_QEMU_MODELS_H

#include "models/accesses.h"
#include "models/branches.h"
#include "models/cache.h"
#include "models/predictor.h"
#include "translate/translation.h"

struct vcpu;

/* A vCPU's models. */
struct models {
	struct predictor predictor;
	struct caches caches;      /* have no memory before they run for the first time */
	struct branch kept_branch; /* a copy of an unresolved branch whose block is gone */
};

/* The argument models=. False: neither "on" nor "off". */
bool models_set(const char *text);
/* The argument cache=. NULL, or what is wrong with it. */
const char *models_set_caches(const char *text);
bool models_enabled(void);

void models_start_vcpu(struct vcpu *vcpu);

/* What is installed changes. No vCPU runs. */
void models_installed(uint64_t before, uint64_t now);
/* Does any model run? */
bool models_run(void);
/* Put into a decoded block what the running models need. */
void models_translate(struct translation *t);

/* A WRMSR of an MSR that is not the PMU's: PRED_CMD empties the predictor. */
void models_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* The event registers that events of the models need: struct vpmu_config's. */
uint32_t models_event_registers(void);

#endif
