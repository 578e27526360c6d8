/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counts user work whose total is the same in each turn, on all processors, and takes PMIs
 * at a fixed distance of it, until a q comes on the serial line. Then it says what it has
 * seen to tests/saved.py, which saves and loads it meanwhile.
 */
#include "pmu.h"

#define SERIAL             0x3f8
#define SERIAL_LINE_STATUS (SERIAL + 5)
#define SERIAL_READY       0x01
#define VECTOR_PMI         0x50
#define VECTOR_TIMER       0x51
#define PERIOD             20011ul
#define TURNS              2000
#define BYTES              5000
#define SAMPLING           2 /* the counter that interrupts; 0 has instructions, 1 branches */

static struct seen {
	uint64_t turns, bad, traps, expected;
	uint64_t instructions, branches, middle; /* of each turn */
	volatile uint64_t pmis, ticks;
	uint8_t from[BYTES], to[BYTES];
	volatile bool done;
} seen[MAX_CPUS];
static volatile bool ends;
static unsigned int count;

static void on_pmi(struct frame *frame)
{
	struct seen *own = &seen[this_cpu()->index];

	if (!(rdmsr(MSR_GLOBAL_STATUS) & 1u << SAMPLING))
		own->traps++;
	own->pmis++;
	counter_write(SAMPLING, (counter_read(SAMPLING) - PERIOD) & pmu_value_mask());
	wrmsr(MSR_GLOBAL_OVF_CTRL, 1u << SAMPLING);
	apic_write(APIC_LVTPC, frame->vector == VECTOR_PMI ? VECTOR_PMI : LVT_NMI);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
}

static void on_tick(struct frame *frame)
{
	(void)frame;
	seen[this_cpu()->index].ticks++;
	apic_write(APIC_EOI, 0);
}

/* At level 3. What RDPMC says in the middle. */
static uint64_t work(void *argument)
{
	struct seen *own = argument;
	uint32_t low, high;
	uint64_t bytes = BYTES;
	void *from = own->from, *to = own->to;

	for (volatile unsigned int i = 0; i < TURNS; i++)
		;
	__asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(0));
	__asm__ volatile("rep movsb" : "+c"(bytes), "+S"(from), "+D"(to) : : "memory");
	for (volatile unsigned int i = 0; i < TURNS; i++)
		;
	return (uint64_t)high << 32 | low;
}

static void turn(struct seen *own)
{
	uint64_t instructions = counter_read(0), branches = counter_read(1);
	uint64_t middle = user_call(work, own) - instructions;

	instructions = counter_read(0) - instructions;
	branches = counter_read(1) - branches;
	if (!own->turns++) {
		own->instructions = instructions;
		own->branches = branches;
		own->middle = middle;
	}
	own->bad += instructions != own->instructions || branches != own->branches ||
		    middle != own->middle || (cpuid(0xa, 0).eax & 0xff) != pmu.version;
	own->expected = counter_read(0) / PERIOD;
	own->bad += own->pmis != own->expected;
}

/* Stand still for a while. */
static void doze(struct seen *own)
{
	uint64_t ticks = own->ticks;

	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_TIMER_COUNT, 1000000);
	while (own->ticks == ticks)
		__asm__ volatile("sti; hlt; cli");
	__asm__ volatile("sti");
}

static void start(void)
{
	unsigned int index = this_cpu()->index;

	if (option("x2", 0))
		apic_enable_x2();
	pmu_clear();
	counter_write(SAMPLING, -PERIOD & pmu_value_mask());
	counter_program(0, EVENT_INSTRUCTIONS, SEL_USR | SEL_EN);
	counter_program(1, EVENT_BRANCHES, SEL_USR | SEL_EN);
	counter_program(SAMPLING, EVENT_INSTRUCTIONS, SEL_USR | SEL_EN | SEL_INT);
	apic_write(APIC_LVTPC, index % 2 ? VECTOR_PMI : LVT_NMI);
	wrmsr(MSR_GLOBAL_CTRL, pmu_all());
	write_cr4(read_cr4() | CR4_PCE);
	interrupts_on();
}

static void run(void *unused)
{
	unsigned int index = this_cpu()->index;

	(void)unused;
	start();
	while (!ends) {
		turn(&seen[index]);
		if (index % 2)
			doze(&seen[index]);
		if (index == 0 && inb(SERIAL_LINE_STATUS) & SERIAL_READY)
			ends = inb(SERIAL) == 'q';
		if (index == 0 && seen[0].turns == 1)
			print("runs\n");
	}
	interrupts_off();
	wrmsr(MSR_GLOBAL_CTRL, 0);
	seen[index].done = true;
}

void test_main(void)
{
	pmu_need();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	trap_hook[VECTOR_TIMER] = on_tick;
	count = (unsigned int)option("cpus", 1);
	ok(cpus_start(count), "all processors run");
	for (unsigned int i = 1; i < count; i++)
		cpu_run(i, run, NULL);
	run(NULL);
	for (unsigned int i = 0; i < count; i++) {
		while (!seen[i].done)
			cpu_relax();
		print("cpu %u turns %lu bad %lu traps %lu pmis %lu of %lu\n", i, seen[i].turns,
		      seen[i].bad, seen[i].traps, seen[i].pmis, seen[i].expected);
	}
	finish();
}
