/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Five programs: sorting (recursion), a sieve (memory), a checksum (integers),
 * an interpreter (indirect jumps), and copying (REP). See programs.h.
 */
#include "programs.h"
#include <stddef.h>
#include <stdint.h>

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void sort(uint32_t *first, uint32_t *last)
{
	while (first < last) {
		uint32_t pivot = first[(last - first) / 2];
		uint32_t *low = first, *high = last;

		while (low <= high) {
			while (*low < pivot)
				low++;
			while (*high > pivot)
				high--;
			if (low <= high) {
				uint32_t kept = *low;

				*low++ = *high;
				*high-- = kept;
			}
		}
		sort(first, high);
		first = low;
	}
}

static void run_sort(void *memory)
{
	uint32_t *numbers = memory, state = 1;

	for (unsigned int i = 0; i < 8000; i++)
		numbers[i] = next_random(&state);
	sort(numbers, numbers + 7999);
}

static void run_sieve(void *memory)
{
	volatile uint8_t *composite = memory;

	for (unsigned int i = 2; i * i < PROGRAM_MEMORY; i++)
		if (!composite[i])
			for (unsigned int k = i * i; k < PROGRAM_MEMORY; k += i)
				composite[k] = 1;
}

static void run_checksum(void *memory)
{
	volatile uint32_t *result = memory;
	uint32_t crc = ~0u;

	for (unsigned int i = 0; i < 20000; i++) {
		crc ^= i & 0xff;
		for (unsigned int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	*result = ~crc;
}

enum operation { ADD, XOR, SHIFT, SKIP_EVEN, DECREMENT, LOOP, END };

struct machine {
	uint64_t value, turns;
	unsigned int at;
};

static void step(struct machine *machine, enum operation operation)
{
	machine->at++;
	switch (operation) {
	case ADD:
		machine->value += machine->turns;
		break;
	case XOR:
		machine->value ^= 0x9e3779b97f4a7c15u;
		break;
	case SHIFT:
		machine->value ^= machine->value << 7;
		break;
	case SKIP_EVEN:
		if (!(machine->value & 1))
			machine->at++;
		break;
	case DECREMENT:
		machine->turns--;
		break;
	case LOOP:
		if (machine->turns)
			machine->at = 0;
		break;
	case END:
		break;
	}
}

static void run_interpreter(void *memory)
{
	static const enum operation code[] = { ADD,       XOR, SKIP_EVEN, SHIFT, SHIFT,
					       SKIP_EVEN, ADD, DECREMENT, LOOP,  END };
	struct machine machine = { .turns = 20000 };
	volatile uint64_t *result = memory;

	while (code[machine.at] != END)
		step(&machine, code[machine.at]);
	*result = machine.value;
}

static void copy(void *to, const void *from, size_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static void run_copy(void *memory)
{
	char *bytes = memory;

	for (unsigned int i = 1; i < 500; i++)
		copy(bytes + PROGRAM_MEMORY / 2 + i, bytes + i, i * 37);
}

const struct program programs[] = {
	{ "sort", run_sort },         { "sieve", run_sieve },
	{ "checksum", run_checksum }, { "interpreter", run_interpreter },
	{ "copy", run_copy },
};

const unsigned int programs_count = sizeof(programs) / sizeof(programs[0]);
