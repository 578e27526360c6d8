/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See selftest.h. The block runs twice: the first time ends in the callback, which sets the
 * program counter to the block's own start, with another value in RDX.
 */
#include "selftest.h"
#include "guest/registers.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The first vCPU's; others only look whether it is done. */
static enum { TEST_DUE, TEST_RESTARTED, TEST_DONE } _Atomic state;
static uint64_t ip, dx;

static _Noreturn void fail(const char *what, const char *name)
{
	fprintf(stderr, "vpmu plugin: this QEMU does not serve: it %s%s\n", what, name);
	_exit(EXIT_FAILURE);
}

void selftest_registers(void)
{
	const char *missing = registers_missing();

	if (missing)
		fail("does not show the register ", missing);
}

static void restart(void)
{
	/* A compiler that knows the function would leave out what comes behind it. */
	void (*volatile set_pc)(uint64_t) = qemu_plugin_set_pc;

	ip = reg_read(GUEST_IP);
	dx = reg_read(GUEST_DX);
	reg_write(GUEST_DX, ~dx);
	state = TEST_RESTARTED;
	set_pc(ip);
	fail("does not set the program counter", "");
}

static void check(void)
{
	if (reg_read(GUEST_IP) != ip)
		fail("does not set the program counter to what it is told", "");
	if ((uint32_t)reg_read(GUEST_DX) != (uint32_t)~dx)
		fail("does not keep what is written to a register", "");
	reg_write(GUEST_DX, dx);
	state = TEST_DONE;
}

static void at_start(unsigned int vcpu_index, void *unused)
{
	(void)unused;
	if (vcpu_index != 0 || state == TEST_DONE)
		return;
	if (state == TEST_DUE)
		restart();
	check();
}

void selftest_translate(struct qemu_plugin_tb *tb)
{
	if (state != TEST_DONE)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, at_start, QEMU_PLUGIN_CB_RW_REGS_PC, NULL);
}
