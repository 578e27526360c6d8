/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is said of a run (report=FILE): what was programmed and not counted, and
 * at the end how much was done.
 */
#ifndef VPMU_QEMU_REPORT_H
#define VPMU_QEMU_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct statistics {
	_Atomic uint64_t blocks, instrumented, counted, pmis, rdmsr, wrmsr, rdpmc, cpuid;
};

extern struct statistics statistics;

/* False with errno set if the file cannot be written. */
bool report_open(const char *path);
/* A line, with its end. Without a file nothing is done. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last line, whatever a guest has had written before. */
void report_statistics(void);

#endif
