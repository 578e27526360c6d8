/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The guest's start, the other processors, the clock, and the window of
 * remappable pages.
 */
#include "guest.h"
#include "pmu.h"

#define PTE_PRESENT_USER_WRITE 7
#define PTE_ACCESSED_DIRTY     0x60
#define CMOS_INDEX             0x70
#define CMOS_DATA              0x71
#define CMOS_SECONDS           0x00
#define CMOS_STATUS_A          0x0a
#define CMOS_UPDATING          0x80
#define MOST_SECONDS_MORE      60
#define PIC_MASK               0x21
#define PIC_MASK_SECOND        0xa1

struct pvh_start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, command_line;
};

struct cpu cpus[MAX_CPUS];
const char *command_line = "";

extern const char trampoline[], trampoline_end[];
extern volatile uint64_t window_table[512];

static void install_trampoline(void)
{
	/* Through a volatile pointer, or the compiler calls a memcpy that is not there. */
	volatile char *to = (volatile char *)TRAMPOLINE;

	for (const char *from = trampoline; from < trampoline_end; from++)
		*to++ = *from;
}

_Noreturn void boot_main(const void *start_info)
{
	const struct pvh_start_info *info = start_info;

	if (info->command_line)
		command_line = (const char *)info->command_line;
	/* The firmware leaves the old interrupt controllers on, at vectors of exceptions. */
	outb(PIC_MASK, 0xff);
	outb(PIC_MASK_SECOND, 0xff);
	traps_init(&cpus[0]);
	apic_enable();
	install_trampoline();
	test_main();
	finish();
}

_Noreturn void ap_main(void)
{
	unsigned int index = cpuid(1, 0).ebx >> 24;
	struct cpu *cpu = &cpus[index];

	cpu->index = index;
	traps_init(cpu);
	apic_enable();
	cpu->online = true;
	for (;;) {
		if (cpu->job) {
			cpu->job(cpu->job_argument);
			barrier();
			cpu->job = NULL;
		}
		cpu_relax();
	}
}

static void wait_turns(unsigned int turns)
{
	for (volatile unsigned int i = 0; i < turns; i++)
		cpu_relax();
}

void cpu_init_sipi(unsigned int index)
{
	uint32_t id = cpus[index].apic_id ? cpus[index].apic_id : index;

	cpus[index].online = false;
	cpus[index].job = NULL;
	apic_icr(id, ICR_INIT | ICR_ASSERT);
	wait_turns(1000);
	apic_icr(id, ICR_STARTUP | ICR_ASSERT | TRAMPOLINE >> 12);
}

static bool wait_online(unsigned int index)
{
	struct stretch stretch = stretch_begin(0);

	while (!cpus[index].online)
		if (!stretch_goes_on(&stretch, false))
			return false;
	return true;
}

bool cpus_start(unsigned int count)
{
	for (unsigned int index = 1; index < count; index++) {
		cpu_init_sipi(index);
		if (!wait_online(index))
			return false;
	}
	return true;
}

void cpu_run(unsigned int index, void (*job)(void *), void *argument)
{
	cpus[index].job_argument = argument;
	barrier();
	cpus[index].job = job;
}

void cpu_wait(unsigned int index)
{
	while (cpus[index].job)
		cpu_relax();
}

static uint8_t cmos(uint8_t index)
{
	outb(CMOS_INDEX, index);
	return inb(CMOS_DATA);
}

unsigned int clock_seconds(void)
{
	uint8_t bcd;

	while (cmos(CMOS_STATUS_A) & CMOS_UPDATING)
		cpu_relax();
	bcd = cmos(CMOS_SECONDS);
	return (bcd >> 4) * 10u + (bcd & 0xf);
}

struct stretch stretch_begin(unsigned int seconds)
{
	return (struct stretch){ seconds, MOST_SECONDS_MORE, clock_seconds() };
}

bool stretch_goes_on(struct stretch *stretch, bool enough)
{
	unsigned int now = clock_seconds(), passed = (now + 60 - stretch->now) % 60;
	unsigned int *left = stretch->seconds ? &stretch->seconds : &stretch->more;

	*left -= passed < *left ? passed : *left;
	stretch->now = now;
	return stretch->seconds || (!enough && stretch->more);
}

static void set_window(unsigned int page, uint64_t entry)
{
	window_table[page] = entry;
	__asm__ volatile("invlpg (%0)" : : "r"(window_page(page)) : "memory");
}

void window_map(unsigned int page, const void *to)
{
	/* Or QEMU misses a block's change of itself, with nested paging. */
	set_window(page, ((uintptr_t)to & ~0xffful) | PTE_PRESENT_USER_WRITE |
				 (is_kvm_guest() ? PTE_ACCESSED_DIRTY : 0));
}

void window_unmap(unsigned int page)
{
	set_window(page, 0);
}

bool window_is_mapped(unsigned int page)
{
	return window_table[page];
}

static bool starts_with(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

static size_t length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

uint64_t option(const char *name, uint64_t otherwise)
{
	size_t n = length(name);

	for (const char *s = command_line; *s; s++) {
		uint64_t value = 0;

		if ((s != command_line && s[-1] != ' ') || !starts_with(s, name) || s[n] != '=')
			continue;
		for (s += n + 1; *s >= '0' && *s <= '9'; s++)
			value = value * 10 + (uint64_t)(*s - '0');
		return value;
	}
	return otherwise;
}
