/* SPDX-License-Identifier: BSD-2-Clause
 *
 * As a JIT compiler does: code that is in no file, and its name for perf.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* mov $200000000, %ecx; 1: dec %ecx; jnz 1b; ret */
static const unsigned char code[] = { 0xb9, 0x00, 0xc2, 0xeb, 0x0b, 0xff, 0xc9, 0x75, 0xfc, 0xc3 };

int main(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[64];
	FILE *map;
	void (*run)(void);

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	map = fopen(path, "w");
	if (!map || at == MAP_FAILED)
		return 1;
	memcpy(at, code, sizeof(code));
	fprintf(map, "%lx %zx compiled_loop\n", (unsigned long)at, sizeof(code));
	fclose(map);
	if (mprotect(at, 4096, PROT_READ | PROT_EXEC))
		return 1;
	memcpy(&run, &at, sizeof(run));
	run();
	return 0;
}
