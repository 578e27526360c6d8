/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The exit path with the guard of a 2026 patch: the walk, but only in a VM that has a PMU.
 */
#include "kvm.h"

int exit_emulate_guard(struct exit_vcpu *vcpu);

__attribute__((noinline)) int exit_emulate_guard(struct exit_vcpu *vcpu)
{
	uint64_t rflags = exit_rflags(vcpu);

	if (__builtin_expect(!exit_skip(vcpu), 0))
		return 0;
	if (__builtin_expect(kvm_of(vcpu)->vm->enable_pmu, 0))
		kvm_walk(kvm_of(vcpu), kvm_instructions_event);
	return exit_finish(vcpu, rflags);
}

static void run(struct exit_vcpu *vcpu, unsigned long times)
{
	exit_loop(vcpu, times, exit_emulate_guard);
}

static void run_apart(struct exit_vcpu *vcpu, unsigned long times)
{
	exit_loop_apart(vcpu, times, exit_emulate_guard);
}

const struct exit_candidate exit_guard = {
	.name = "guard",
	.create = kvm_create,
	.destroy = kvm_destroy,
	.wrmsr = kvm_wrmsr,
	.run = run,
	.run_apart = run_apart,
	.counted = kvm_counted,
};
