/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vpmu gate's program in the guest counts, and the file in which it hands that back:
 *
 *     status N             the command's wait status
 *     process V... NAME    a line for each process name, with a value for each event, in order
 *
 * A byte of a name that is not printable, or a backslash, is written as \xHH.
 */
#ifndef VPMU_TOOLS_GATE_COUNT_H
#define VPMU_TOOLS_GATE_COUNT_H

enum count_event {
	COUNT_INSTRUCTIONS_USER,
	COUNT_INSTRUCTIONS_KERNEL,
	COUNT_BRANCHES_USER,
	COUNT_BRANCHES_KERNEL,
	COUNT_SYSCALLS,
	COUNT_PAGE_FAULTS,
	COUNT_SWITCHES,
	COUNT_EVENTS
};

#endif
