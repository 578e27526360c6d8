/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bits of x86 registers, as far as several files need them: SDM vol. 3, "System
 * Architecture Overview". No QEMU here.
 */
#ifndef VPMU_QEMU_X86_H
#define VPMU_QEMU_X86_H

#include <stdint.h>

#define PAGE UINT64_C(4096)

#define CR0_PE    (UINT64_C(1) << 0)
#define CR0_ET    (UINT64_C(1) << 4)
#define CR0_NW    (UINT64_C(1) << 29)
#define CR0_CD    (UINT64_C(1) << 30)
#define CR0_PG    (UINT64_C(1) << 31)
#define CR4_PAE   (UINT64_C(1) << 5)
#define CR4_PCE   (UINT64_C(1) << 8)
#define CR4_LA57  (UINT64_C(1) << 12)
#define EFER_SCE  (UINT64_C(1) << 0)
#define EFER_LMA  (UINT64_C(1) << 10)
#define EFER_SVME (UINT64_C(1) << 12)

#define FLAGS_TF    (UINT64_C(1) << 8)
#define FLAGS_IF    (UINT64_C(1) << 9)
#define FLAGS_DF    (UINT64_C(1) << 10)
#define FLAGS_RF    (UINT64_C(1) << 16)
#define FLAGS_VM    (UINT64_C(1) << 17)
#define FLAGS_ONE   UINT64_C(0x2)    /* always set */
#define FLAGS_FIXED UINT64_C(0x802a) /* it, and those that are always clear */
#define FLAGS_CC    UINT64_C(0x8d5)  /* CF, PF, AF, ZF, SF, OF */

#endif
