/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Texts from outside (names of files, of processors) that go into JSON and SVG, both of
 * which are UTF-8 only.
 */
#ifndef VPMU_BENCH_LIB_UTF8_H
#define VPMU_BENCH_LIB_UTF8_H

#include <stddef.h>

/* The length of the UTF-8 sequence that starts here; 0: none does (RFC 3629). */
size_t utf8_length(const char *text);

#endif
