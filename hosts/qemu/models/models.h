/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The models of predictor.h and cache.h under QEMU: what in translated code tells
 * them of branches (branches.h) and accesses (accesses.h), and the totals that they
 * add to. They run while one of their classes is installed; docs/models.md says
 * what counts.
 */
#ifndef VPMU_QEMU_MODELS_H
#define VPMU_QEMU_MODELS_H

#include "models/accesses.h"
#include "models/branches.h"
#include "models/cache.h"
#include "models/predictor.h"
#include "translate/translation.h"

struct vcpu;

/* One vCPU's. */
struct models {
	struct predictor predictor;
	struct caches caches;      /* without memory until they first run */
	struct branch kept_branch; /* the one that waits while its block is thrown away */
	uint64_t offcore[2];       /* OFFCORE_RSP_0 and 1 */
};

/* The plugin's arguments. False: no such word. */
bool models_set(const char *text);
/* NULL, or what is wrong. */
const char *models_set_caches(const char *text);
bool models_enabled(void);

void models_start_vcpu(struct vcpu *vcpu);
void models_reset(struct vcpu *vcpu);

/* The entries that blocks add to change, while no vCPU runs. */
void models_installed(uint64_t before, uint64_t now);
/* Whether any model runs, and so wants models_translate() for each block, decoded. */
bool models_run(void);
void models_translate(struct translation *t);

/* OFFCORE_RSP and PRED_CMD. False: another MSR, or no model is wanted. */
bool models_rdmsr(const struct vcpu *vcpu, uint32_t msr, uint64_t *value);
void models_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
/* Whether the class is one that can be counted as its MSR now is. */
bool models_count(const struct vcpu *vcpu, enum event_class class);

#endif
