/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Three loops, of which the second is the region. Exits with 3 if nobody counts it.
 */
#include <vpmu/region.h>

/* Two instructions a round. */
static void loop(unsigned int rounds)
{
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
}

int main(void)
{
	int begun, ended;

	loop(40000000);
	begun = vpmu_region_begin();
	loop(5000000);
	ended = vpmu_region_end();
	loop(40000000);
	return begun || ended ? 3 : 0;
}
