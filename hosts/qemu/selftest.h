/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Does this QEMU do what the plugin relies on? If it does not, it ends with one line:
 * counts would be wrong.
 */
#ifndef VPMU_QEMU_SELFTEST_H
#define VPMU_QEMU_SELFTEST_H

struct qemu_plugin_tb;

/* As the first vCPU starts: are there the registers that the plugin needs? */
void selftest_registers(void);

/*
 * The first vCPU tries to write a register and to set the program counter, at the start of
 * the first block that it runs. To be called for each block that is not counted, first.
 */
void selftest_translate(struct qemu_plugin_tb *tb);

#endif
