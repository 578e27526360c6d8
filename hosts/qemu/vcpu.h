/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The vCPUs. A vCPU's state is owned by the thread that runs it, as the library
 * demands. It consists of one struct for each file, declared in the file's header.
 */
#ifndef VPMU_QEMU_VCPU_H
#define VPMU_QEMU_VCPU_H

#include "count/rerun.h"
#include "count/score.h"
#include "count/source.h"
#include "count/totals.h"
#include "guest/lapic.h"
#include "saved/saved.h"
#include "serve/exceptions.h"
#include "serve/fixup.h"
#include "serve/hook.h"
#include "serve/rdpmc.h"
#include "serve/svm.h"
#include "translate/stale.h"
#include <vpmu/vpmu.h>

/* A PMI is a message. Its destination has 8 bits, and one value of them means all vCPUs. */
#define VCPUS_MAX 255

struct vcpu {
	struct vpmu pmu;
	unsigned int index;
	int64_t last_access; /* monotonic time of the last PMU access, in microseconds */
	struct source source;
	struct totals totals;
	struct rerun rerun;
	struct hook hook;
	struct fixup fixup;
	struct rdpmc rdpmc;
	struct exceptions exceptions;
	struct svm svm;
	enum stale stale;
	struct lapic lapic;
	struct saved saved;
	struct models *models; /* NULL: off */
};

/* Before any vCPU runs: what their PMUs are. */
void vcpus_init(const struct vpmu_config *config);

/* On the vCPU's own thread. */
struct vcpu *vcpu_get(unsigned int index);
struct score *vcpu_score(const struct vcpu *vcpu);
/* The last block is behind the vCPU: no correction concerns it any more. */
void vcpu_leave_block(struct vcpu *vcpu);

/* QEMU's callbacks: a vCPU has come, or has been unplugged. */
void vcpu_started(unsigned int index, void *unused);
void vcpu_stopped(unsigned int index, void *unused);

/* Has any vCPU started? */
bool vcpus_exist(void);

/* The signature that a processor has in EDX as it begins; the first one counts. */
void vcpus_identify(uint32_t signature);
/* The same; 0 if none has begun. */
uint32_t vcpus_signature(void);

void vcpus_each(void (*function)(struct vcpu *vcpu));
/* RESET of the machine, by the boot processor; the others do not run yet. */
void vcpus_reset(void);

/* One vCPU alone. */
void vcpu_reset(struct vcpu *vcpu);

/* INIT: it keeps its PMU and begins again. By the vCPU itself, before it goes on. */
void vcpu_take_init(struct vcpu *vcpu);

/* Between the two no vCPU is added. */
void vcpus_lock(void);
void vcpus_unlock(void);

#endif
