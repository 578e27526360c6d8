/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Linked with the QEMU plugin around QEMU's own functions: a QEMU that does otherwise than
 * 11.1 does. VPMU_BROKEN says what: registers, write, set_pc.
 */
#include "abi.h"
#include <stdlib.h>
#include <string.h>

static bool is_broken(const char *what)
{
	const char *broken = getenv("VPMU_BROKEN");

	return broken && !strcmp(broken, what);
}

GArray *__real_qemu_plugin_get_registers(void);
GArray *__wrap_qemu_plugin_get_registers(void);
int __real_qemu_plugin_write_register(struct qemu_plugin_register *handle, GByteArray *bytes);
int __wrap_qemu_plugin_write_register(struct qemu_plugin_register *handle, GByteArray *bytes);
void __real_qemu_plugin_set_pc(uint64_t vaddr);
void __wrap_qemu_plugin_set_pc(uint64_t vaddr);

GArray *__wrap_qemu_plugin_get_registers(void)
{
	GArray *list = __real_qemu_plugin_get_registers();

	for (guint i = 0; is_broken("registers") && i < list->len; i++)
		if (!strcmp(g_array_index(list, qemu_plugin_reg_descriptor, i).name, "cr4"))
			g_array_remove_index(list, i);
	return list;
}

int __wrap_qemu_plugin_write_register(struct qemu_plugin_register *handle, GByteArray *bytes)
{
	return is_broken("write") ? (int)bytes->len
				  : __real_qemu_plugin_write_register(handle, bytes);
}

void __wrap_qemu_plugin_set_pc(uint64_t vaddr)
{
	if (!is_broken("set_pc"))
		__real_qemu_plugin_set_pc(vaddr);
}
