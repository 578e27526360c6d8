/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where an instruction that is being served is, and the end of its block.
 */
#ifndef VPMU_QEMU_SITE_H
#define VPMU_QEMU_SITE_H

#include "translate/block.h"

struct vcpu;

/* EIP of the site now, ... */
uint64_t site_ip(const struct site *site);
/* ... and its linear address. */
uint64_t site_address(const struct site *site);

/* The block is left behind the site (retired) or before it: uncount the rest. */
void site_leave_block(struct vcpu *vcpu, const struct site *site, bool retired);

#endif
