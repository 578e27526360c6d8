/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Translating everything anew, for what is counted now.
 */
#ifndef VPMU_QEMU_PLUGIN_H
#define VPMU_QEMU_PLUGIN_H

#include <stdbool.h>

/*
 * True: before the next block of the vCPU that calls. False: another one has asked
 * already, and its thread may be long in coming to it; until then blocks run on as
 * they are.
 */
bool plugin_retranslate(void);

/* Has that been asked for, and not been done yet? */
bool plugin_is_retranslating(void);

#endif
