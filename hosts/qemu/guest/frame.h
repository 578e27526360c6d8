/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stack at the first instruction of a handler (SDM vol. 3, "Interrupt and
 * Exception Handling").
 */
#ifndef VPMU_QEMU_FRAME_H
#define VPMU_QEMU_FRAME_H

#include "count/score.h"

/* The frame of an exception or interrupt without an error code. */
struct frame {
	uint64_t ip, cs, flags, sp, ss;
	bool switched; /* the stack has been switched: sp and ss are from the frame */
};

/* False: the stack cannot be read. */
bool frame_read(struct frame *frame);

/* Clear TF in the frame of an interrupt. */
void frame_clear_step(void);

/* The level of the code that the frame returns to. */
enum level frame_level(const struct frame *frame);

/* Is this the frame of a page fault that fetching from ip has raised? Long mode only. */
bool frame_is_fetch_fault(uint64_t ip);

#endif
