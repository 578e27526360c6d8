/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random numbers for tests. Each test prints the seed that it runs with; VPMU_SEED in the
 * environment chooses another.
 */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_SEED 20261121

struct random {
	uint64_t state;
};

/* One of the sequences that a seed gives. */
static inline struct random random_from(uint64_t seed)
{
	return (struct random){ seed * 2 + 1 };
}

static inline uint64_t random_bits(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * UINT64_C(2685821657736338717);
}

/* 0 to n - 1 */
static inline unsigned int random_below(struct random *random, unsigned int n)
{
	return (unsigned int)((random_bits(random) >> 32) % n);
}

static inline bool one_in(struct random *random, unsigned int n)
{
	return random_below(random, n) == 0;
}

/* A number from the environment, or the one given; what is no number ends the program. */
static inline uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	uint64_t value;

	if (!text)
		return otherwise;
	value = strtoull(text, &end, 0);
	if (*text && !*end)
		return value;
	fprintf(stderr, "%s is not a number: %s\n", name, text);
	exit(2);
}

static inline uint64_t random_seed(void)
{
	uint64_t seed = number_from("VPMU_SEED", DEFAULT_SEED);

	printf("# VPMU_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

#endif
