/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * What the library wants of <stdint.h>, in a kernel, which has no libc's headers.
 */
#ifndef VPMU_KVM_STDINT_H
#define VPMU_KVM_STDINT_H

#include <linux/limits.h>
#include <linux/types.h>

#define UINT32_C(c) c##U
#define UINT64_C(c) c##ULL

#define UINT8_MAX  0xff
#define UINT16_MAX 0xffff
#define UINT32_MAX U32_MAX
#define UINT64_MAX U64_MAX

#endif
