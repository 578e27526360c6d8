/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A plugin that asks QEMU for every translation, and does nothing with it: what
 * QEMU itself adds to a guest's code for any plugin that may put something there.
 */
#include "abi.h"

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_ABI_VERSION;

static void translate(struct qemu_plugin_tb *tb, void *unused)
{
	(void)tb;
	(void)unused;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate, NULL);
	return 0;
}
