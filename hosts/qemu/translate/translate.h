/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is put into translated code.
 */
#ifndef VPMU_QEMU_TRANSLATE_H
#define VPMU_QEMU_TRANSLATE_H

#include "abi.h"

/* QEMU's callback: a block is being translated, on the thread of a vCPU that is to run it. */
void translate(struct qemu_plugin_tb *tb, void *unused);

#endif
