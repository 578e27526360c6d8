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
	uint64_t offcore[2];       /* OFFCORE_RSP_0 and 1 */
};

/* The argument models=. False: neither "on" nor "off". */
bool models_set(const char *text);
/* The argument cache=. NULL, or what is wrong with it. */
const char *models_set_caches(const char *text);
bool models_enabled(void);

void models_start_vcpu(struct vcpu *vcpu);
void models_reset(struct vcpu *vcpu);

/* What is installed changes. No vCPU runs. */
void models_installed(uint64_t before, uint64_t now);
/* Does any model run? */
bool models_run(void);
/* Put into a decoded block what the running models need. */
void models_translate(struct translation *t);

/* MSRs of the models: OFFCORE_RSP and PRED_CMD. False: another MSR, or models are off. */
bool models_rdmsr(const struct vcpu *vcpu, uint32_t msr, uint64_t *value);
void models_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
/* Can this class be counted? An OFFCORE class depends on its MSR. */
bool models_count(const struct vcpu *vcpu, enum event_class class);

#endif
