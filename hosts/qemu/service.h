/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The step before the guest goes on, and what is given up after a while.
 */
#ifndef VPMU_QEMU_SERVICE_H
#define VPMU_QEMU_SERVICE_H

#include <glib.h>
#include <stdbool.h>

struct vcpu;

/*
 * Guests stop and start their counters all the time (perf at every PMI and task
 * switch), and a change of what is installed costs all translations. So it stays until
 * the PMU, or a class, has been unused for this long.
 */
#define UNUSED_US (5 * G_USEC_PER_SEC)

/* True: a PMI has been sent. */
bool service(struct vcpu *vcpu);
/* From time to time, while the guest runs other things. */
void service_idle(struct vcpu *vcpu);

#endif
