/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vmexit.h: on processors that are not x86's.
 */
#include "vmexit.h"

const char *bench_vmexit(const struct bench_options *options, struct report *report)
{
	(void)options;
	(void)report;
	return "this is no x86";
}
