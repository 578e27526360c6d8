/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The guest's accesses and PMIs to a file (trace=FILE), if there is one.
 */
#ifndef VPMU_QEMU_RECORD_H
#define VPMU_QEMU_RECORD_H

#include "trace.h"

struct vcpu;

/* False with errno set if the file cannot be made. */
bool record_start(const char *path, const struct vpmu_config *config);
void record(const struct vcpu *vcpu, enum trace_kind kind, enum vpmu_answer answer, uint32_t index,
	    uint64_t value);
void record_finish(void);
/* QEMU has loaded a state: the trace ends, and says so. */
void record_loaded(void);

#endif
