/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vmpmi.h: on processors that are not x86's.
 */
#include "vmpmi.h"

const char *bench_vmpmi(const struct bench_options *options, struct report *report)
{
	(void)options;
	(void)report;
	return "this is no x86";
}
