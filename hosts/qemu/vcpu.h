/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The vCPUs. A vCPU's state is owned by the thread that runs the vCPU, as the
 * library asks; each file's part of it is declared in the file's header.
 */
#ifndef VPMU_QEMU_VCPU_H
#define VPMU_QEMU_VCPU_H

#include "count/rerun.h"
#include "count/score.h"
#include "count/source.h"
#include "count/totals.h"
#include "guest/lapic.h"
#include "serve/exceptions.h"
#include "serve/fixup.h"
#include "serve/rdpmc.h"
#include "translate/stale.h"
#include <vpmu/vpmu.h>

/* A PMI is a message, whose destination has 8 bits, and one is "all". */
#define VCPUS_MAX 255

struct vcpu {
	struct vpmu pmu;
	unsigned int index;
	int64_t last_access; /* monotonic time of the last PMU access, in microseconds */
	struct source source;
	struct totals totals;
	struct rerun rerun;
	struct fixup fixup;
	struct rdpmc rdpmc;
	struct exceptions exceptions;
	enum stale stale;
	struct lapic lapic;
	struct models *models; /* NULL: none are asked for */
};

/* Before any vCPU runs: what their PMUs are. */
void vcpus_init(const struct vpmu_config *config);

/* By the vCPU itself; it is made if there is none yet. */
struct vcpu *vcpu_get(unsigned int index);
struct score *vcpu_score(const struct vcpu *vcpu);
/* No block has started: nothing is to be corrected any more. */
void vcpu_leave_block(struct vcpu *vcpu);

/* QEMU's callbacks: a vCPU has come, or has been unplugged. */
void vcpu_started(unsigned int index, void *unused);
void vcpu_stopped(unsigned int index, void *unused);

/* Has any vCPU come? A process that QEMU has left behind in the background has none. */
bool vcpus_exist(void);
void vcpus_each(void (*function)(struct vcpu *vcpu));
/* RESET: the boot processor begins again, and so does the machine: the others wait. */
void vcpus_reset(void);

/* In between no vCPU is added. */
void vcpus_lock(void);
void vcpus_unlock(void);

#endif
