/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory for the benchmarks' own bookkeeping. A program that only measures has
 * nothing better to do than to give up when there is none left.
 */
#ifndef VPMU_BENCH_LIB_ALLOC_H
#define VPMU_BENCH_LIB_ALLOC_H

#include <stddef.h>

/* As realloc(), never NULL. */
void *alloc_resize(void *memory, size_t count, size_t size);
char *alloc_text(const char *text);
char *alloc_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A number with so many decimals; zero has no sign. */
char *alloc_number(double number, unsigned int decimals);

#endif
