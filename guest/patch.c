/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A processor patches code, as Linux's text_poke() does, while another one runs it behind
 * accesses at the end of their blocks and behind an RDPMC that is a #UD to QEMU: the
 * plugin goes on there. No byte of a patch may be lost.
 */
#include "pmu.h"

#define PAGE_SIZE  0x1000ul
#define VECTOR_BP  3
#define PAGES      33
#define BLOCK_MOST 512 /* instructions of a block of QEMU's */
#define HANDLERS   500
#define RUNS       4
#define OP_INT3    0xcc
#define OP_MOV_ESI 0xbe
#define OP_NOP     0x90
#define OP_RET     0xc3
#define OP_JMP     0xe9
#define OFFSETS    500
#define VALUE      0x123456789abul

extern const char trap_stubs[];

static uint8_t code[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t handlers[HANDLERS][16] __attribute__((aligned(4096)));

static struct {
	uint8_t *volatile at; /* MOV imm32 to ESI; null: nothing is to be patched */
	volatile bool idle;
	volatile bool stop;
	volatile uint64_t pokes, lost;
} patched;

/* Only this processor writes there: what it has written stays until it writes again. */
static void poke(volatile uint8_t *at, uint8_t before, uint8_t byte)
{
	if (*at != before)
		patched.lost++;
	*at = byte;
	barrier();
}

static void poke_text(uint8_t *at, uint8_t value)
{
	poke(at, OP_MOV_ESI, OP_INT3);
	for (unsigned int i = 1; i < 5; i++)
		poke(at + i, at[i], value);
	poke(at, OP_INT3, OP_MOV_ESI);
	patched.pokes++;
}

static void patcher(void *unused)
{
	(void)unused;
	for (uint8_t value = 0; !patched.stop; value++) {
		uint8_t *at = patched.at;

		patched.idle = !at;
		if (at)
			poke_text(at, value);
		else
			cpu_relax();
	}
}

/* Half of a patch: again. */
static void on_breakpoint(struct frame *frame)
{
	frame->rip--;
}

static void put_move(uint8_t *at)
{
	at[0] = OP_MOV_ESI;
	memset(at + 1, 0, 4);
}

typedef bool access_function(const uint8_t *start);

/* Accesses by what starts there, while the code behind them is patched. */
static bool access_patched(const uint8_t *start, uint8_t *behind, access_function *function)
{
	uint64_t before = patched.pokes;
	bool good = true;

	patched.at = behind;
	while (patched.pokes < before + 2)
		cpu_relax();
	for (unsigned int run = 0; run < RUNS; run++)
		good = function(start) && good;
	patched.at = NULL;
	while (!patched.idle)
		cpu_relax();
	return good;
}

static bool read_msr(const uint8_t *start)
{
	uint32_t low, high;

	__asm__ volatile("call *%2"
			 : "=a"(low), "=d"(high)
			 : "r"(start), "c"(counter_msr(0))
			 : "rsi", "memory", "cc");
	return ((uint64_t)high << 32 | low) == VALUE;
}

static bool read_cpuid(const uint8_t *start)
{
	struct cpuid leaf = cpuid(pmu.leaf, 0);
	uint32_t eax = pmu.leaf, ebx, ecx = 0, edx;

	__asm__ volatile("call *%4"
			 : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx)
			 : "r"((uint64_t)(uintptr_t)start)
			 : "rsi", "memory", "cc");
	return eax == leaf.eax && ebx == leaf.ebx && ecx == leaf.ecx && edx == leaf.edx;
}

/* Flags that have just been made keep QEMU from going on behind it at once. */
static bool read_counter(const uint8_t *unused)
{
	uint32_t low, high;

	(void)unused;
	__asm__ volatile("addl $1, %%esi\n\trdpmc"
			 : "=a"(low), "=d"(high)
			 : "c"(0)
			 : "rsi", "memory", "cc");
	return ((uint64_t)high << 32 | low) == VALUE;
}

static void verdicts_on(bool good, const char *what)
{
	ok(good, "%s reads what it should", what);
	is(patched.lost, 0, "no patch behind it is lost (%lu)", patched.pokes);
	patched.lost = patched.pokes = 0;
}

/* An instruction of two bytes at the end of each page, and what is patched in the next. */
static void test_page_ends(uint8_t opcode, access_function *function, const char *what)
{
	bool good = true;

	memset(code, OP_NOP, sizeof(code));
	for (unsigned int page = 1; page < PAGES; page++) {
		uint8_t *behind = code + page * PAGE_SIZE;

		behind[-2] = 0x0f;
		behind[-1] = opcode;
		put_move(behind);
		behind[5] = OP_RET;
		good = access_patched(behind - 4, behind, function) && good;
	}
	verdicts_on(good, what);
}

/* The same as the last one of as many as a block has, at many places of a page. */
static void test_long_blocks(uint8_t opcode, access_function *function, const char *what)
{
	bool good = true;

	memset(code, OP_NOP, sizeof(code));
	for (unsigned int i = 0; i < OFFSETS; i++) {
		uint8_t *behind = code + 2 * BLOCK_MOST + 2 * i;

		memset(behind - 4, OP_NOP, 2);
		behind[-2] = 0x0f;
		behind[-1] = opcode;
		put_move(behind);
		behind[5] = OP_RET;
		good = access_patched(behind - 2 - (BLOCK_MOST - 1), behind, function) && good;
	}
	verdicts_on(good, what);
}

/* The handler is never seen: it is another one each time. */
static void test_handlers(void)
{
	const uint8_t *stub = (const uint8_t *)trap_stubs + VECTOR_UD * 16;
	bool good = true;

	for (unsigned int i = 0; i < HANDLERS; i++) {
		uint8_t *handler = handlers[i];
		int32_t distance = (int32_t)(stub - (handler + 10));

		put_move(handler);
		handler[5] = OP_JMP;
		memcpy(handler + 6, &distance, sizeof(distance));
		set_handler(VECTOR_UD, handler);
		good = access_patched(NULL, handler, read_counter) && good;
	}
	set_handler(VECTOR_UD, NULL);
	verdicts_on(good, "RDPMC behind a flag producer");
}

void test_main(void)
{
	pmu_need();
	pmu_clear();
	trap_hook[VECTOR_BP] = on_breakpoint;
	counter_write(0, VALUE);
	if (!cpus_start(2))
		bail_out("the second processor does not start");
	cpu_run(1, patcher, NULL);
	test_page_ends(0x32, read_msr, "RDMSR at the end of a page");
	test_page_ends(0xa2, read_cpuid, "CPUID at the end of a page");
	test_long_blocks(0x32, read_msr, "RDMSR at the end of a long block");
	test_long_blocks(0xa2, read_cpuid, "CPUID at the end of a long block");
	test_handlers();
	patched.stop = true;
	cpu_wait(1);
}
