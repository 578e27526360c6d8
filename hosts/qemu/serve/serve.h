/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RDMSR, WRMSR, RDPMC and CPUID of the guest: callbacks of translated code.
 */
#ifndef VPMU_QEMU_SERVE_H
#define VPMU_QEMU_SERVE_H

struct vcpu;

/* Before an instruction that is served. */
void serve(unsigned int vcpu_index, void *site);
/* On the instruction behind one that was served. */
void serve_finish(unsigned int vcpu_index, void *unused);
/* At the start of a block in which an access may have to be finished. */
void serve_hook(unsigned int vcpu_index, void *unused);

/* RESET: what was under way will not come. */
void serve_reset(struct vcpu *vcpu);

#endif
