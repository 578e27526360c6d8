/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs of guest/programs.c under Linux: exact NAME, and exact calls,
 * which is 10000 system calls. Without a C library, whose start differs from
 * one machine to the next.
 */
#include "programs.h"
#include <stdbool.h>

#define SYS_getppid 110
#define SYS_exit    60

static char memory[PROGRAM_MEMORY] __attribute__((aligned(4096)));

static long system_call(long number, long argument)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(argument)
			 : "rcx", "r11", "memory");
	return result;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static void calls(void)
{
	for (unsigned int i = 0; i < 10000; i++)
		system_call(SYS_getppid, 0);
}

static int run(const char *name)
{
	if (same(name, "calls")) {
		calls();
		return 0;
	}
	for (unsigned int i = 0; i < programs_count; i++)
		if (same(name, programs[i].name)) {
			programs[i].run(memory);
			return 0;
		}
	return 1;
}

/* At the start the stack holds argc and argv. */
__attribute__((used, noreturn)) static void begin(const long *stack)
{
	system_call(SYS_exit, stack[0] == 2 ? run((const char *)stack[2]) : 1);
	__builtin_unreachable();
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call begin\n"
	"	hlt\n");
