/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stale.h.
 */
#include "stale.h"
#include "guest/registers.h"
#include "plugin.h"
#include "serve/site.h"
#include "vcpu.h"

#define WAIT_US 1000

void stale_request(struct vcpu *vcpu)
{
	if (!plugin_retranslate() && vcpu->stale == STALE_NONE)
		vcpu->stale = STALE_REQUESTED;
}

void stale_before_wrmsr(struct vcpu *vcpu)
{
	vcpu->stale = STALE_NONE;
}

/* WRMSR ends its block, so the hook of the next one can wait. */
void stale_after_wrmsr(struct vcpu *vcpu, const struct site *wrmsr)
{
	if (vcpu->stale == STALE_NONE)
		return;
	vcpu->stale = STALE_AWAITED;
	hook_behind(vcpu, wrmsr);
}

void stale_begin(struct vcpu *vcpu)
{
	if (plugin_is_retranslating())
		vcpu->stale = STALE_AWAITED;
}

/*
 * QEMU stops all vCPUs to throw the translations away, and each stops only between two
 * blocks. A waiting vCPU therefore leaves its block again and again.
 */
void stale_wait(struct vcpu *vcpu)
{
	if (vcpu->stale != STALE_AWAITED)
		return;
	if (plugin_is_retranslating() && svm_may_set_pc(vcpu)) {
		g_usleep(WAIT_US);
		qemu_plugin_set_pc(reg_read(GUEST_IP));
	}
	vcpu->stale = STALE_NONE;
}
