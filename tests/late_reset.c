/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Linked with the QEMU plugin instead of qemu_plugin_reset(): what asks for a new
 * translation is not scheduled again for a while.
 */
#include "abi.h"

#define LATE_US 200000

void __real_qemu_plugin_reset(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void *userdata);
void __wrap_qemu_plugin_reset(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void *userdata);

void __wrap_qemu_plugin_reset(qemu_plugin_id_t id, qemu_plugin_udata_cb_t cb, void *userdata)
{
	__real_qemu_plugin_reset(id, cb, userdata);
	g_usleep(LATE_US);
}
