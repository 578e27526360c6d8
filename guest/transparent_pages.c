/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RDMSR, WRMSR, RDPMC and CPUID at the end of a page, where their result is there only in
 * the next one; also with breakpoints around.
 */
#include "transparent.h"

static uint8_t head[PAGE] __attribute__((aligned(PAGE)));
static uint8_t tails[2][PAGE] __attribute__((aligned(PAGE)));

extern void call_with(struct probe *probe, const void *code);
static const uint8_t opcodes[][2] = {
	[RDMSR] = { 0x0f, 0x32 },
	[WRMSR] = { 0x0f, 0x30 },
	[RDPMC] = { 0x0f, 0x33 },
	[CPUID] = { 0x0f, 0xa2 },
};

/* In the next page: ESI = EAX + add, by LEA, and return. */
static void write_tail(uint8_t *tail, unsigned int at, uint8_t add)
{
	static const uint8_t code[] = { 0x8d, 0x70 };

	memset(tail, 0x90, 64);
	tail[at] = code[0];
	tail[at + 1] = code[1];
	tail[at + 2] = add;
	tail[at + 3] = 0xc3;
}

/* The instruction's last byte, or its first, is the page's last. */
void write_page_end(enum instruction instruction, bool crosses)
{
	memset(head, 0x90, PAGE);
	for (unsigned int i = 0; i < 2; i++)
		write_tail(tails[i], crosses, (uint8_t)(i + 1));
	if (!crosses) {
		head[PAGE - 2] = opcodes[instruction][0];
		head[PAGE - 1] = opcodes[instruction][1];
		return;
	}
	head[PAGE - 1] = opcodes[instruction][0];
	tails[0][0] = tails[1][0] = opcodes[instruction][1];
}

static uint32_t expected(enum instruction instruction)
{
	return instruction == CPUID ? cpuid(pmu.leaf, 0).eax : 0x00abcdef;
}

bool run_page_end(enum instruction instruction, unsigned int window, unsigned int add)
{
	struct probe probe = { .rax = instruction == CPUID ? pmu.leaf : 0x00abcdef,
			       .rcx = instruction == RDPMC ? 1 : counter_msr(1) };

	if (instruction == RDMSR || instruction == RDPMC)
		probe.rax = 0x77;
	call_with(&probe, window_page(window) + PAGE - 8);
	/* call_with() leaves RSI where flags would be. */
	return (uint32_t)probe.rflags == expected(instruction) + add &&
	       (uint32_t)probe.rax == expected(instruction);
}

void map_page_end(void)
{
	counter_write(1, 0x00abcdef);
	window_map(0, head);
	window_map(1, tails[0]);
}

/* What the handler sees when the next page is missing. */
static struct {
	uint64_t rip;
	uint32_t eax;
	unsigned int count;
} missing;

void on_page_fault(struct frame *frame)
{
	missing.rip = frame->rip;
	missing.eax = (uint32_t)frame->rax;
	if (++missing.count > 4)
		bail_out("page faults without end");
	window_map(5, tails[0]);
}

static bool run_missing_page(enum instruction instruction, bool crosses)
{
	uintptr_t next = (uintptr_t)window_page(5);

	missing.count = 0;
	window_map(4, head);
	window_unmap(5);
	if (!run_page_end(instruction, 4, 1) || missing.count != 1)
		return false;
	return crosses ? missing.rip == next - 1
		       : missing.rip == next && missing.eax == expected(instruction);
}

void test_page_end(enum instruction instruction, bool crosses, const char *when)
{
	const char *where = crosses ? "across two pages" : "at the end of a page";
	struct probe probe = { 0 };
	bool good = true;

	write_page_end(instruction, crosses);
	map_page_end();
	window_map(2, head);
	window_map(3, tails[1]);
	/* The next page's code is known already, as code of its own. */
	call_with(&probe, window_page(1) + crosses);
	call_with(&probe, window_page(3) + crosses);
	ok(run_page_end(instruction, 0, 1), "%s %s has its result in the next page, %s",
	   names[instruction], where, when);
	for (unsigned int i = 0; i < 8; i++)
		good = good && run_page_end(instruction, i % 2 * 2, i % 2 + 1);
	ok(good, "also before two different next pages by turns");
	window_map(1, tails[1]);
	ok(run_page_end(instruction, 0, 2), "also after the next page is mapped anew");
	ok(run_missing_page(instruction, crosses), "also when the next page has to come first");
}

/* Breakpoints */

static struct {
	unsigned int count;
	uint64_t rip, flags;
} breakpoint;

static void on_breakpoint(struct frame *frame)
{
	breakpoint.count++;
	breakpoint.rip = frame->rip;
	breakpoint.flags |= frame->rflags;
	frame->rflags |= FLAG_RF;
}

static void set_breakpoint(const void *at)
{
	__asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7" : : "r"(at), "r"(at ? 1ul : 0ul));
}

/* It stops there, once, and the instruction at the end of the page is transparent. */
static bool stops_at(enum instruction instruction, const char *at)
{
	bool good;

	breakpoint.count = 0;
	breakpoint.flags = 0;
	set_breakpoint(at);
	good = run_page_end(instruction, 0, 1);
	set_breakpoint(NULL);
	if (good && breakpoint.count == 1 && breakpoint.rip == (uintptr_t)at &&
	    !(breakpoint.flags & FLAG_TF))
		return true;
	print("# %s: %s, %u stops, the last at %lx, wanted at %lx\n", names[instruction],
	      good ? "good" : "bad", breakpoint.count, breakpoint.rip, (uintptr_t)at);
	return false;
}

void test_breakpoints(const char *when)
{
	void (*before)(struct frame *) = trap_hook[VECTOR_DB];
	bool good = true;

	trap_hook[VECTOR_DB] = on_breakpoint;
	map_page_end();
	for (enum instruction i = RDMSR; i < INSTRUCTIONS; i++) {
		write_page_end(i, false);
		for (unsigned int run = 0; run < 3; run++) {
			good = stops_at(i, window_page(1) - 8) && good; /* before it */
			good = stops_at(i, window_page(1) - 2) && good; /* at it */
			good = stops_at(i, window_page(1)) && good;
			good = stops_at(i, window_page(1) + 3) && good;
		}
	}
	ok(good, "breakpoints before, at and behind the end of a page stop once, %s", when);
	trap_hook[VECTOR_DB] = before;
}
