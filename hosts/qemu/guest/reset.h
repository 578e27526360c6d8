/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RESET and INIT, of which QEMU does not tell: they are recognised where a processor
 * begins again. RESET clears the PMU, and INIT keeps it.
 */
#ifndef VPMU_QEMU_RESET_H
#define VPMU_QEMU_RESET_H

#include <stdbool.h>
#include <stdint.h>

/* May a processor that is in the state of now begin at this address? */
bool reset_may_lead_to(uint64_t vaddr);

/* Is this vCPU in the state that RESET and INIT leave? In a callback that may read registers. */
bool reset_has_begun(void);
/* A callback at such an address, which may read registers. */
void reset_look(unsigned int vcpu_index, void *unused);

#endif
