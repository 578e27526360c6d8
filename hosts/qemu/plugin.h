/* SPDX-License-Identifier: BSD-2-Clause
 *
 * To translate everything anew, for what is counted now.
 */
#ifndef VPMU_QEMU_PLUGIN_H
#define VPMU_QEMU_PLUGIN_H

#include <stdbool.h>

/*
 * Throw all translations away. True: it happens before the next block of the calling
 * vCPU. False: another vCPU has asked for it already. It happens when that vCPU's
 * thread comes to it; until then the old translations run.
 */
bool plugin_retranslate(void);

/* Has it been asked for, and not happened yet? */
bool plugin_is_retranslating(void);

#endif
