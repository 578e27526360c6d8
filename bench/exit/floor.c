/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The floor of vpmu bench exit: a host that tells no PMU. What all others do
 * besides, and therefore what is taken off their figures.
 */
#include "host.h"

#include <stdlib.h>

int exit_emulate_floor(struct exit_vcpu *vcpu);

__attribute__((noinline)) int exit_emulate_floor(struct exit_vcpu *vcpu)
{
	uint64_t rflags = exit_rflags(vcpu);

	if (__builtin_expect(!exit_skip(vcpu), 0))
		return 0;
	return exit_finish(vcpu, rflags);
}

static void run(struct exit_vcpu *vcpu, unsigned long count)
{
	exit_loop(vcpu, count, exit_emulate_floor);
}

static void run_apart(struct exit_vcpu *vcpu, unsigned long count)
{
	exit_loop_apart(vcpu, count, exit_emulate_floor);
}

static struct exit_vcpu *create(const struct exit_guest *guest)
{
	(void)guest;
	return calloc(1, sizeof(struct exit_vcpu));
}

static void destroy(struct exit_vcpu *vcpu)
{
	free(vcpu);
}

static void wrmsr(struct exit_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	(void)value;
}

const struct exit_candidate exit_floor = {
	.name = "floor",
	.create = create,
	.destroy = destroy,
	.wrmsr = wrmsr,
	.run = run,
	.run_apart = run_apart,
};
