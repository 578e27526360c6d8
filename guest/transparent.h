/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the parts of the guest "transparent" share.
 */
#ifndef TRANSPARENT_H
#define TRANSPARENT_H

#include "pmu.h"

enum instruction { NONE, RDMSR, WRMSR, RDPMC, CPUID, INSTRUCTIONS };
extern const char *const names[];

/* transparent_pages.c: the window's first pages are its. */
void test_page_end(enum instruction instruction, bool crosses, const char *when);
void test_breakpoints(const char *when);
/* The instruction at the end of a page, or across two; it runs in the window's page. */
void write_page_end(enum instruction instruction, bool crosses);
bool run_page_end(enum instruction instruction, unsigned int window, unsigned int add);
/* Everything that run_page_end(..., 0, 1) needs. */
void map_page_end(void);
void on_page_fault(struct frame *frame);

#endif
