/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the fuzzers share: the bytes of an input taken as numbers, and checks.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What libFuzzer and standalone.c call with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *next;
	size_t left;
};

/* Once there are no more bytes, all numbers are 0. */
static inline uint8_t take8(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->next++;
}

static inline uint64_t take(struct input *in, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | take8(in);
	return value;
}

/* What does not hold is a finding, on which libFuzzer keeps the input. */
static inline void __attribute__((format(printf, 2, 3))) hold(bool holds, const char *format, ...)
{
	va_list arguments;

	if (holds)
		return;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

#endif
