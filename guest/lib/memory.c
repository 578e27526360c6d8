/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The two functions that a compiler may call without being asked.
 */
#include "guest.h"

void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *at, int value, size_t n)
{
	void *start = at;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(value) : "memory");
	return start;
}
