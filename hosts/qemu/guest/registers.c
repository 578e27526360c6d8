/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The guest's registers and memory, as the vCPU's own callbacks reach them.
 * QEMU gives and takes them in the target's byte order (little endian).
 */
#include "registers.h"
#include "abi.h"
#include "nested.h"
#include "x86.h"
#include <string.h>

static const char *const names[GUEST_COUNT][2] = {
	[GUEST_AX] = { "rax", "eax" },
	[GUEST_BX] = { "rbx", "ebx" },
	[GUEST_CX] = { "rcx", "ecx" },
	[GUEST_DX] = { "rdx", "edx" },
	[GUEST_SP] = { "rsp", "esp" },
	[GUEST_IP] = { "rip", "eip" },
	[GUEST_FLAGS] = { "eflags", "eflags" },
	[GUEST_CS] = { "cs", "cs" },
	[GUEST_SS] = { "ss", "ss" },
	[GUEST_CR0] = { "cr0", "cr0" },
	[GUEST_CR3] = { "cr3", "cr3" },
	[GUEST_CR4] = { "cr4", "cr4" },
	[GUEST_EFER] = { "efer", "efer" },
	[GUEST_KGSBASE] = { "k_gs_base", "k_gs_base" },
};

/* A handle is the same on every vCPU. */
static struct {
	struct qemu_plugin_register *handle;
	bool exists;
} registers[GUEST_COUNT];

static GByteArray *scratch(void)
{
	static _Thread_local GByteArray *array;

	if (!array)
		array = g_byte_array_sized_new(16);
	g_byte_array_set_size(array, 0);
	return array;
}

static void find_registers(void)
{
	GArray *list = qemu_plugin_get_registers();

	for (guint i = 0; i < list->len; i++) {
		qemu_plugin_reg_descriptor *d = &g_array_index(list, qemu_plugin_reg_descriptor, i);

		for (unsigned int reg = 0; reg < GUEST_COUNT; reg++)
			if (!strcmp(d->name, names[reg][0]) || !strcmp(d->name, names[reg][1])) {
				registers[reg].handle = d->handle;
				registers[reg].exists = true;
			}
	}
	g_array_free(list, TRUE);
}

/* The first vCPU does it. Others may start at the same time. */
void registers_init(void)
{
	static gsize done;

	if (!g_once_init_enter(&done))
		return;
	find_registers();
	g_once_init_leave(&done, 1);
}

const char *registers_missing(void)
{
	/* These are 64-bit guests'. */
	static const bool may_be_missing[GUEST_COUNT] = {
		[GUEST_EFER] = true, [GUEST_KGSBASE] = true
	};

	for (unsigned int reg = 0; reg < GUEST_COUNT; reg++)
		if (!registers[reg].exists && !may_be_missing[reg])
			return names[reg][0];
	return NULL;
}

uint64_t reg_read(enum reg reg)
{
	GByteArray *bytes = scratch();
	uint64_t value = 0;

	if (!registers[reg].exists || !qemu_plugin_read_register(registers[reg].handle, bytes))
		return 0;
	for (guint i = 0; i < bytes->len && i < 8; i++)
		value |= (uint64_t)bytes->data[i] << (8 * i);
	return value;
}

void reg_write(enum reg reg, uint64_t value)
{
	GByteArray *bytes = scratch();

	if (!registers[reg].exists)
		return;
	for (unsigned int i = 0; i < 8; i++) {
		guint8 byte = (guint8)(value >> (8 * i));

		g_byte_array_append(bytes, &byte, 1);
	}
	qemu_plugin_write_register(registers[reg].handle, bytes);
}

uint64_t reg_read_pair(void)
{
	return (reg_read(GUEST_DX) & UINT32_MAX) << 32 | (reg_read(GUEST_AX) & UINT32_MAX);
}

void reg_write_pair(uint64_t value)
{
	reg_write(GUEST_AX, value & UINT32_MAX);
	reg_write(GUEST_DX, value >> 32);
}

enum level level_now(void)
{
	if (!(reg_read(GUEST_CR0) & CR0_PE))
		return LEVEL_KERNEL;
	if (reg_read(GUEST_FLAGS) & FLAGS_VM)
		return LEVEL_USER;
	return reg_read(GUEST_CS) & 3 ? LEVEL_USER : LEVEL_KERNEL;
}

uint64_t code_base(void)
{
	bool flat = reg_read(GUEST_CR0) & CR0_PE &&
		    (reg_read(GUEST_EFER) & EFER_LMA || !(reg_read(GUEST_FLAGS) & FLAGS_VM));

	return flat ? 0 : reg_read(GUEST_CS) << 4;
}

/* CS.L cannot be read. Outside 64-bit code QEMU reads and writes registers as 32 bits. */
bool code_is_64(void)
{
	uint64_t before = reg_read(GUEST_DX);
	bool wide;

	reg_write(GUEST_DX, ~before);
	wide = reg_read(GUEST_DX) >> 32 != before >> 32;
	reg_write(GUEST_DX, before);
	return wide;
}

bool guest_read(uint64_t vaddr, void *to, size_t length)
{
	GByteArray *bytes = scratch();

	if (nested_is_on())
		return nested_read(vaddr, to, length);
	if (!qemu_plugin_read_memory_vaddr(vaddr, bytes, length) || bytes->len < length)
		return false;
	memcpy(to, bytes->data, length);
	return true;
}

bool guest_write(uint64_t vaddr, const void *from, size_t length)
{
	GByteArray *bytes = scratch();

	if (nested_is_on())
		return nested_write(vaddr, from, length);
	g_byte_array_append(bytes, from, (guint)length);
	return qemu_plugin_write_memory_vaddr(vaddr, bytes);
}

bool physical_read(uint64_t address, void *to, size_t length)
{
	GByteArray *bytes = scratch();

	if (qemu_plugin_read_memory_hwaddr(address, bytes, length) !=
		    QEMU_PLUGIN_HWADDR_OPERATION_OK ||
	    bytes->len < length)
		return false;
	memcpy(to, bytes->data, length);
	return true;
}

bool physical_write(uint64_t address, const void *from, size_t length)
{
	GByteArray *bytes = scratch();

	g_byte_array_append(bytes, from, (guint)length);
	return qemu_plugin_write_memory_hwaddr(address, bytes) == QEMU_PLUGIN_HWADDR_OPERATION_OK;
}

bool physical_read32(uint64_t address, uint32_t *value)
{
	if (!physical_read(address, value, sizeof(*value)))
		return false;
	*value = GUINT32_FROM_LE(*value);
	return true;
}

bool physical_write32(uint64_t address, uint32_t value)
{
	value = GUINT32_TO_LE(value);
	return physical_write(address, &value, sizeof(value));
}
