/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The place of an instruction that is being served.
 */
#ifndef VPMU_QEMU_SITE_H
#define VPMU_QEMU_SITE_H

#include "translate/block.h"

struct vcpu;

/* The instruction pointer at the site, relative to the code segment. */
uint64_t site_ip(const struct site *site);
/* Its linear address. */
uint64_t site_address(const struct site *site);

/* The block ends behind the site (retired) or before it. The rest of it does not count. */
void site_leave_block(struct vcpu *vcpu, const struct site *site, bool retired);

#endif
