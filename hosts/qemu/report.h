/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The report of a run (report=FILE): a line for each event that was programmed and not
 * counted, and at the end one with statistics.
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
/* A line, with its newline. Each line is written once, and not too many of them. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last line. It is always written. */
void report_statistics(void);

#endif
