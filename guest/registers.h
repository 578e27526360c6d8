/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the parts of the guest "registers" share.
 */
#ifndef GUEST_REGISTERS_H
#define GUEST_REGISTERS_H

#include "pmu_registers.h"

/* registers_intel.c and registers_amd.c */
void test_intel(void);
void test_amd(void);

#endif
