/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counts and takes PMIs until it is told to do something else, for
 * tests/qemu_events.py, which judges what it prints. It looks at each
 * processor's PMU when that starts, also at those that are plugged in later.
 *
 * Letters on the serial line: r: reset the machine; 1 to 3: give that processor
 * back; q: end.
 */
#include "pmu_registers.h"

#define SERIAL             0x3f8
#define SERIAL_LINE_STATUS (SERIAL + 5)
#define SERIAL_READY       0x01
#define RESET_CONTROL      0xcf9
#define CPU_HOTPLUG        0xaf00
#define CPU_HOTPLUG_FLAGS  (CPU_HOTPLUG + 4)
#define CPU_EJECT          8
#define VECTOR_PMI         0x50
#define PERIOD             20000
#define TURNS              20000

static struct {
	volatile uint64_t pmis;
	volatile bool good;
} seen[MAX_CPUS];
static volatile bool gone[MAX_CPUS];
static bool started[MAX_CPUS];

static void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* A fixed one, if there are any. */
static unsigned int last_counter(void)
{
	return pmu.fixed ? 32 : pmu.general - 1;
}

static void reload(void)
{
	for (unsigned int i = 0; i < 2; i++)
		counter_write(i, pmu_value_mask() + 1 - PERIOD - i);
	counter_write(last_counter(), pmu_value_mask() + 1 - 3 * PERIOD);
}

static void on_pmi(struct frame *frame)
{
	unsigned int index = this_cpu()->index;

	counters_stop();
	seen[index].pmis++;
	reload();
	pmu_acknowledge(frame->vector == VECTOR_PMI ? VECTOR_PMI : LVT_NMI);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
	counters_start(pmu_all());
}

static bool as_after_reset(void)
{
	bool good = true;

	for (unsigned int i = 0; i < pmu_register_rows; i++)
		good = good && pmu_register_is_reset(&pmu_registers[i]);
	return good;
}

static void start(void)
{
	unsigned int index = this_cpu()->index;

	seen[index].good = as_after_reset();
	pmu_clear();
	reload();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL | SEL_INT);
	counter_program(1, EVENT_BRANCHES, SEL_ALL | SEL_INT);
	counter_program(last_counter(), EVENT_INSTRUCTIONS, SEL_ALL | SEL_INT);
	apic_write(APIC_LVTPC, index % 2 ? VECTOR_PMI : LVT_NMI);
	counters_start(pmu_all());
	interrupts_on();
}

static uint64_t work(void *unused)
{
	(void)unused;
	for (volatile unsigned int i = 0; i < TURNS; i++)
		;
	return 0;
}

static void on_another(void *unused)
{
	unsigned int index = this_cpu()->index;

	(void)unused;
	start();
	while (!gone[index])
		user_call(work, NULL);
	interrupts_off();
	counters_stop();
}

/* Processors that are not there do not answer. */
static void look_for(unsigned int index)
{
	if (!cpus[index].online)
		cpu_init_sipi(index);
	for (unsigned int i = 0; i < 200 && !cpus[index].online; i++)
		work(NULL);
	if (!cpus[index].online)
		return;
	started[index] = true;
	gone[index] = false;
	seen[index].pmis = 0;
	cpu_run(index, on_another, NULL);
	while (!seen[index].pmis)
		cpu_relax();
	print("cpu %u %s\n", index, seen[index].good ? "good" : "bad");
}

static void give_back(unsigned int index)
{
	gone[index] = true;
	cpu_wait(index);
	cpus[index].online = started[index] = false;
	outl(CPU_HOTPLUG, 0); /* from the old interface to the new one, if need be */
	outl(CPU_HOTPLUG, index);
	outb(CPU_HOTPLUG_FLAGS, CPU_EJECT);
	print("gave %u back\n", index);
}

static void obey(uint8_t letter)
{
	switch (letter) {
	case 'r':
		outb(RESET_CONTROL, 0x02);
		outb(RESET_CONTROL, 0x06);
		break;
	case 'q':
		interrupts_off();
		ok(true, "it ends when it is told to");
		finish();
	case '1':
	case '2':
	case '3':
		if (started[letter - '0'])
			give_back(letter - '0');
		break;
	default:
		break;
	}
}

void test_main(void)
{
	uint64_t pmis = 0;

	pmu_need();
	pmu_registers_find();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	start();
	/* A line that a reset has cut ends here. */
	print("\ncpu 0 %s\n", seen[0].good ? "good" : "bad");
	for (unsigned int turn = 0;; turn++) {
		user_call(work, NULL);
		if (inb(SERIAL_LINE_STATUS) & SERIAL_READY)
			obey(inb(SERIAL));
		if (turn % 16 == 0 && seen[0].pmis != pmis)
			print("beat %lu\n", pmis = seen[0].pmis);
		for (unsigned int i = 1; turn % 64 == 0 && i < MAX_CPUS; i++)
			if (option("plug", 0) && !started[i])
				look_for(i);
	}
}
