/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RDMSR, WRMSR, RDPMC and CPUID of the guest: callbacks of translated code.
 */
#ifndef VPMU_QEMU_SERVE_H
#define VPMU_QEMU_SERVE_H

#include "translate/decode.h"
#include <stdbool.h>

struct vcpu;

/* Is it an instruction that QEMU runs first, and that is finished behind it? */
bool serve_finishes(enum insn_kind kind);

/* Before an instruction that is served. May not return. */
void serve(unsigned int vcpu_index, void *site);
/* On the instruction behind one that was served. */
void serve_finish(unsigned int vcpu_index, void *unused);
/*
 * At the start of a block with a hook, if the vCPU's hook is pending: a fixup, an RDPMC
 * whose handler may begin here, a wait for new translations. May not return.
 */
void serve_hook(unsigned int vcpu_index, void *unused);

/* RESET: nothing is pending any more. */
void serve_reset(struct vcpu *vcpu);

#endif
