/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where translated code looks whether an alarm has been reached: as a block starts, and
 * before an instruction behind which no block of its level may follow soon.
 */
#ifndef VPMU_QEMU_CHECKS_H
#define VPMU_QEMU_CHECKS_H

#include "translate/translation.h"

/* The block is NULL if it is not counted. False: there is nothing to look for. */
bool checks_add(struct translation *t, struct block *block);

#endif
