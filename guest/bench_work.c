/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See bench_work.h. Each turn does the same work as the turn before.
 */
#include "bench_work.h"

#define WORDS 4096           /* of the text, and of what is sorted */
#define NODES (128u * 1024u) /* 1 MiB: more than a first level cache holds */

static uint32_t table[256];
static uint8_t text[WORDS];
static uint32_t numbers[WORDS / 4];
static uint64_t nodes[NODES];

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/*
 * Integer: checksums over a table, queens on a board (recursion), greatest common
 * divisors, powers modulo a prime.
 */

static void fill_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
		table[i] = c;
	}
}

static uint32_t checksum(uint32_t sum)
{
	for (size_t i = 0; i < WORDS; i++)
		sum = table[(sum ^ text[i]) & 0xff] ^ sum >> 8;
	return sum;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static uint64_t power(uint64_t base, uint32_t exponent, uint64_t modulus)
{
	uint64_t result = 1;

	for (; exponent; exponent >>= 1) {
		if (exponent & 1)
			result = result * base % modulus;
		base = base * base % modulus;
	}
	return result;
}

/* How many ways there are to go on: columns and diagonals that are taken, as bits. */
static unsigned int queens(unsigned int all, unsigned int columns, unsigned int left,
			   unsigned int right)
{
	unsigned int ways = 0;
	unsigned int free = all & ~(columns | left | right);

	if (columns == all)
		return 1;
	while (free) {
		unsigned int here = free & -free;

		free &= free - 1;
		ways += queens(all, columns | here, (left | here) << 1, (right | here) >> 1);
	}
	return ways;
}

static uint64_t run_integer(void)
{
	uint32_t state = 2463534242u;
	uint64_t sum = 0;

	if (!table[1])
		fill_table();
	for (unsigned int i = 0; i < 24; i++) {
		sum = checksum((uint32_t)sum);
		sum += queens((1u << 8) - 1, 0, 0, 0);
		for (unsigned int k = 0; k < 100; k++)
			sum += common_divisor(next_random(&state), next_random(&state));
		for (unsigned int k = 0; k < 50; k++)
			sum += power(next_random(&state), next_random(&state), 4294967291u);
	}
	return sum;
}

/* Memory: a walk along pointers all over 1 MiB, copies, and a sum. */

static void fill_nodes(void)
{
	uint64_t at = 0;

	/* A full period: odd increment, multiplier 1 modulo 4. */
	for (size_t i = 0; i < NODES; i++) {
		uint64_t next = (at * 1664525u + 1013904223u) % NODES;

		nodes[at] = next;
		at = next;
	}
}

static uint64_t run_memory(void)
{
	static uint64_t copy[NODES / 8];
	uint64_t at = 0, sum = 0;

	if (!nodes[0])
		fill_nodes();
	for (unsigned int i = 0; i < 50000; i++)
		at = nodes[at];
	for (unsigned int turn = 0; turn < 12; turn++) {
		for (size_t i = 0; i < NODES / 8; i++)
			copy[i] = nodes[i] ^ sum;
		for (size_t i = 0; i < NODES / 8; i += 4)
			sum += copy[i] + copy[i + 1] + copy[i + 2] + copy[i + 3];
	}
	return at + sum;
}

/* Branches: a heap sort of random numbers, and searches among them. */

static void sift(uint32_t *heap, size_t at, size_t count)
{
	uint32_t value = heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= count)
			break;
		if (child + 1 < count && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= value)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = value;
}

static void sort(uint32_t *heap, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		sift(heap, i, count);
	for (size_t end = count - 1; end > 0; end--) {
		uint32_t largest = heap[0];

		heap[0] = heap[end];
		heap[end] = largest;
		sift(heap, 0, end);
	}
}

static size_t search(const uint32_t *sorted, size_t count, uint32_t value)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (sorted[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t run_branches(void)
{
	const size_t count = sizeof(numbers) / sizeof(numbers[0]);
	uint32_t state = 362436069u;
	uint64_t sum = 0;

	for (unsigned int turn = 0; turn < 12; turn++) {
		for (size_t i = 0; i < count; i++)
			numbers[i] = next_random(&state);
		sort(numbers, count);
		for (unsigned int i = 0; i < 2000; i++)
			sum += search(numbers, count, next_random(&state));
	}
	return sum;
}

const struct bench_work bench_works[] = {
	{ "integer", run_integer },
	{ "memory", run_memory },
	{ "branches", run_branches },
};

const size_t bench_works_count = sizeof(bench_works) / sizeof(bench_works[0]);
