/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See host.h: the part of a host that its exit path calls. In a file of its own,
 * so that the calls are real ones.
 */
#include "host.h"

uint64_t exit_rflags(const struct exit_vcpu *vcpu)
{
	return vcpu->rflags;
}

bool exit_skip(struct exit_vcpu *vcpu)
{
	if (!vcpu->next)
		return false;
	vcpu->rip = vcpu->next;
	vcpu->shadow = 0;
	return true;
}

int exit_single_step(struct exit_vcpu *vcpu)
{
	vcpu->rflags &= ~(uint64_t)EXIT_RFLAGS_TF;
	return 0;
}
