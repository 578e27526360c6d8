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
#define SAMPLING           2 /* the counter that interrupts */

/* What the others count; the last one's encoding is a family's of processors. */
static const enum event events[] = { EVENT_INSTRUCTIONS, EVENT_BRANCHES, EVENT_INSTRUCTIONS,
				     EVENT_CONDITIONAL };

static struct seen {
	uint64_t turns, bad, traps, expected;
	uint64_t counts[ARRAY_SIZE(events)], middle; /* of each turn */
	volatile uint64_t pmis, ticks;
	uint8_t from[BYTES], to[BYTES];
	volatile bool done;
} seen[MAX_CPUS];
static volatile bool ends;
static bool reads; /* by RDPMC, which QEMU has not: it is begun and not finished now and then */
static unsigned int count;

static void on_pmi(struct frame *frame)
{
	struct seen *own = &seen[this_cpu()->index];

	if (pmu.status ? !(pmu_status() & 1u << SAMPLING)
		       : counter_read(SAMPLING) >> (pmu.general_width - 1) & 1)
		own->traps++;
	own->pmis++;
	counter_write(SAMPLING, counter_read(SAMPLING) - PERIOD);
	pmu_acknowledge(frame->vector == VECTOR_PMI ? VECTOR_PMI : LVT_NMI);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
}

static void on_tick(struct frame *frame)
{
	(void)frame;
	seen[this_cpu()->index].ticks++;
	apic_write(APIC_EOI, 0);
}

/* CPUID, which is put right behind the instruction. */
static bool pmu_is_shown(void)
{
	if (pmu.amd)
		return cpuid(pmu.leaf, 0).ecx >> 23 & 1 || pmu.stride == 1 || pmu.version == 2;
	return (cpuid(pmu.leaf, 0).eax & 0xff) == pmu.version;
}

/* At level 3. What RDPMC says in the middle. */
static uint64_t work(void *argument)
{
	struct seen *own = argument;
	uint32_t low = 0, high = 0;
	uint64_t bytes = BYTES;
	void *from = own->from, *to = own->to;

	for (volatile unsigned int i = 0; i < TURNS; i++)
		;
	if (reads)
		__asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(0));
	__asm__ volatile("rep movsb" : "+c"(bytes), "+S"(from), "+D"(to) : : "memory");
	for (volatile unsigned int i = 0; i < TURNS; i++)
		;
	return (uint64_t)high << 32 | low;
}

static void turn(struct seen *own)
{
	uint64_t before[ARRAY_SIZE(events)], middle;

	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++)
		before[i] = counter_read(i);
	middle = user_call(work, own) - before[0];
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++) {
		uint64_t grown = (counter_read(i) - before[i]) & pmu_value_mask();

		if (!own->turns)
			own->counts[i] = grown;
		/* The sampling counter is written in between. */
		own->bad += i != SAMPLING && grown != own->counts[i];
	}
	if (!own->turns++)
		own->middle = middle;
	own->bad += (reads && middle != own->middle) || !pmu_is_shown();
	own->expected = counter_read(0) / PERIOD;
	own->bad += own->pmis != own->expected;
}

/* Stand still for a while. An interrupt that comes before the HLT has to wait for it. */
static void doze(struct seen *own)
{
	uint64_t ticks = own->ticks;

	interrupts_off();
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_TIMER_COUNT, 1000000);
	while (own->ticks == ticks)
		__asm__ volatile("sti; hlt; cli");
	interrupts_on();
}

static void start(void)
{
	unsigned int index = this_cpu()->index;

	if (option("x2", 0))
		apic_enable_x2();
	pmu_clear();
	counter_write(SAMPLING, -PERIOD);
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++)
		counter_program(i, events[i], SEL_USR | SEL_EN | (i == SAMPLING ? SEL_INT : 0));
	apic_write(APIC_LVTPC, index % 2 ? VECTOR_PMI : LVT_NMI);
	counters_start(pmu_all());
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
	counters_stop();
	seen[index].done = true;
}

void test_main(void)
{
	pmu_need();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	trap_hook[VECTOR_TIMER] = on_tick;
	reads = option("rdpmc", 1);
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
