/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Small programs whose counts depend on nothing but themselves: no time, no
 * chance, no library. They run on bare metal and under Linux.
 */
#ifndef PROGRAMS_H
#define PROGRAMS_H

/* memory: PROGRAM_MEMORY bytes, all zero. */
#define PROGRAM_MEMORY 0x10000

struct program {
	const char *name;
	void (*run)(void *memory);
};

extern const struct program programs[];
extern const unsigned int programs_count;

#endif
