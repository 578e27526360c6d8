/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Skylake's OFFCORE_RSP registers: what a value asks for. SDM vol. 3, "Off-core Response
 * Performance Monitoring". Arithmetic, no QEMU.
 */
#ifndef VPMU_QEMU_OFFCORE_H
#define VPMU_QEMU_OFFCORE_H

#include "cache.h"
#include <stdbool.h>
#include <stdint.h>

/* Requests that the model makes. */
#define OFFCORE_DATA  (UINT64_C(1) << 0)
#define OFFCORE_STORE (UINT64_C(1) << 1)
#define OFFCORE_CODE  (UINT64_C(1) << 2)

/* Whether the model knows of each of its accesses if it fits the value. */
bool offcore_can_tell(uint64_t value);

/* Whether the value asks for a request whose line was found there. */
bool offcore_matches(uint64_t value, uint64_t request, enum cache_level found);

#endif
