/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program that spends 70 % of its cycles in seventy() and 30 % in thirty(),
 * where a cycle is an instruction. No work is done.
 */
/* A round is no simple part of a usual sampling period: samples must not fall into step. */
#define ROUNDS 3236

__attribute__((always_inline)) static inline void spin(unsigned long count)
{
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(count) : : "cc");
}

__attribute__((noinline)) static void seventy(void)
{
	spin(43262);
}

__attribute__((noinline)) static void thirty(void)
{
	spin(18541);
}

int main(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		seventy();
		thirty();
	}
	return 0;
}
