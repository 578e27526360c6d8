/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Not a test: the bare-metal guest of vpmu bench guest. It times programs while
 * counters count or sample, and single accesses, with the time stamp counter,
 * which under plain TCG is the host's. Lines of "turn NAME TICKS",
 * "access NAME TICKS" (of a thousand) and "pmis NAME N". What it does is on its command line:
 *
 *   turns=N      turns of each program
 *   events=N     count so many of the events below
 *   period=N     ... with an interrupt each so many events, at first
 *   khz=N        ... changed to a thousand a second: time stamp counter ticks in a millisecond
 *   watchdog=1   one counter of cycles, whose interrupt does not come
 *   misses=1     count branch misses; 2: cache misses (models)
 *   access=1     time accesses instead; pmu=0: on a machine without a PMU
 */
#include "bench_work.h"
#include "pmu.h"

#define BATCH   1000
#define BATCHES 100
#define FAR     (1ull << 40) /* events; no interrupt comes */

static struct {
	unsigned int counter;
	enum event event; /* of a general counter */
	uint64_t period;  /* 0: it is not to overflow */
} uses[11];

static unsigned int use_count;
static volatile uint64_t pmis;
static bool has_pmu;

static uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* What is counted: so many from the first. There are no more counters. */
struct offer {
	unsigned int counter;
	enum event event;
};

static const struct offer offers_intel[] = {
	{ 32, EVENT_INSTRUCTIONS }, { 33, EVENT_CYCLES }, { 0, EVENT_BRANCHES },
	{ 1, EVENT_CONDITIONAL },   { 2, EVENT_LOADS },   { 3, EVENT_STORES },
	{ 34, EVENT_REF_CYCLES },
};

static const struct offer offers_amd[] = {
	{ 0, EVENT_INSTRUCTIONS }, { 1, EVENT_CYCLES },  { 2, EVENT_BRANCHES },
	{ 3, EVENT_CONDITIONAL },  { 4, EVENT_RETURNS }, { 5, EVENT_FAR_BRANCHES },
};

static const struct offer *offers(void)
{
	return pmu.amd ? offers_amd : offers_intel;
}

static size_t offers_count(void)
{
	return pmu.amd ? ARRAY_SIZE(offers_amd) : ARRAY_SIZE(offers_intel);
}

static void use(unsigned int counter, enum event event, uint64_t period)
{
	uses[use_count].counter = counter;
	uses[use_count].event = event;
	uses[use_count++].period = period;
	counter_write(counter, period ? -period : 0);
	counter_program(counter, event, SEL_ALL | (period ? SEL_INT : 0));
}

/* Without a status, a counter has overflowed whose highest bit is clear. */
static bool has_overflowed(unsigned int counter, uint64_t status)
{
	if (pmu.status)
		return status >> counter & 1;
	return !(rdpmc(counter_index(counter)) >> (pmu.general_width - 1) & 1);
}

/* What Linux's handlers do, in their order. */
static void on_pmi(struct frame *frame)
{
	uint64_t status = 0;

	(void)frame;
	if (pmu.global_ctrl) {
		wrmsr(pmu.global_ctrl, 0);
		status = pmu_status();
		pmu_clear_status(status);
	}
	for (unsigned int i = 0; i < use_count; i++) {
		if (!uses[i].period || !has_overflowed(uses[i].counter, status))
			continue;
		rdpmc(counter_index(uses[i].counter));
		counter_write(uses[i].counter, -uses[i].period);
	}
	pmu_status();
	pmis++;
	apic_write(APIC_LVTPC, LVT_NMI);
	if (pmu.global_ctrl)
		wrmsr(pmu.global_ctrl, pmu_all());
}

static void start_events(void)
{
	uint64_t misses = option("misses", 0);
	uint64_t events = option("events", 0);

	if (option("watchdog", 0))
		use(offers()[1].counter, EVENT_CYCLES, FAR / 64);
	if (misses)
		use(0, misses == 1 ? EVENT_BRANCH_MISSES : EVENT_LLC_MISSES, 0);
	for (size_t i = 0; i < events && i < offers_count(); i++)
		use(offers()[i].counter, offers()[i].event, option("period", 0));
	if (use_count)
		counters_start(pmu_all());
}

/* The periods that make a thousand interrupts a second, from a turn without any. */
static void adapt_periods(const struct bench_work *work)
{
	uint64_t khz = option("khz", 0), before[ARRAY_SIZE(uses)], ticks;

	if (!khz || !option("period", 0))
		return;
	for (unsigned int i = 0; i < use_count; i++) {
		counter_write(uses[i].counter, pmu_value_mask() / 2 + 1);
		before[i] = counter_read(uses[i].counter);
	}
	ticks = now();
	work->run();
	ticks = now() - ticks;
	for (unsigned int i = 0; i < use_count; i++) {
		uint64_t counted = counter_read(uses[i].counter) - before[i];

		uses[i].period = counted * khz / ticks;
		if (uses[i].period < 100)
			uses[i].period = FAR;
		counter_write(uses[i].counter, -uses[i].period);
	}
}

static void time_works(void)
{
	uint64_t turns = option("turns", 10);
	static uint64_t ticks[1000];

	if (turns > ARRAY_SIZE(ticks))
		turns = ARRAY_SIZE(ticks);
	for (size_t k = 0; k < bench_works_count; k++) {
		uint64_t before;

		bench_works[k].run();
		adapt_periods(&bench_works[k]);
		bench_works[k].run();
		before = pmis;
		for (uint64_t i = 0; i < turns; i++) {
			uint64_t from = now();

			bench_works[k].run();
			ticks[i] = now() - from;
		}
		before = pmis - before;
		for (uint64_t i = 0; i < turns; i++)
			print("turn %s %lu\n", bench_works[k].name, ticks[i]);
		print("pmis %s %lu\n", bench_works[k].name, before);
	}
}

/* Accesses. Each loop is compiled on its own: nothing but the access differs. */

#define LOOP(name, body)                                                                           \
	static __attribute__((noinline)) void name(void)                                           \
	{                                                                                          \
		for (unsigned int i = 0; i < BATCH; i++)                                           \
			body;                                                                      \
	}

static void bare_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
}

static void bare_wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void bare_rdpmc(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("rdpmc" : "=a"(low), "=d"(high) : "c"(index));
}

static void bare_cpuid(uint32_t leaf)
{
	uint32_t b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(leaf), "=b"(b), "+c"(c), "=d"(d));
}

/* The registers that are accessed: the counter of instructions, and what controls it. */
static struct {
	uint32_t counter, index, written;
	uint32_t status, status_clear; /* 0: there is none */
	uint32_t control;
	uint64_t off, on;
} regs;

LOOP(loop_empty, barrier())
LOOP(loop_rdmsr, bare_rdmsr(regs.counter))
LOOP(loop_rdmsr_status, bare_rdmsr(regs.status))
LOOP(loop_rdmsr_other, bare_rdmsr(0x10a))
LOOP(loop_wrmsr, bare_wrmsr(regs.written, i))
LOOP(loop_wrmsr_other, bare_wrmsr(0x10a, i))
LOOP(loop_rdpmc, bare_rdpmc(regs.index))
LOOP(loop_cpuid, bare_cpuid(0))
LOOP(loop_cpuid_pmu, bare_cpuid(pmu.leaf))

static void loop_wrmsr_enable(void)
{
	for (unsigned int i = 0; i < BATCH / 2; i++) {
		bare_wrmsr(regs.control, regs.off);
		bare_wrmsr(regs.control, regs.on);
	}
}

/* Of BATCH, the least of all; the loop itself is in it. */
static void time_loop(const char *name, void (*loop)(void))
{
	uint64_t least = UINT64_MAX;

	loop();
	for (unsigned int i = 0; i < BATCHES; i++) {
		uint64_t from = now(), ticks;

		loop();
		ticks = now() - from;
		if (ticks < least)
			least = ticks;
	}
	print("access %s %lu\n", name, least);
}

/*
 * An NMI until its handler is back: sent by the local APIC's command register, on
 * any machine; or a PMI, from the write of a counter that is about to overflow.
 */

static volatile bool came;

static void send_nmi(void)
{
	bare_wrmsr(regs.counter, 0);
	apic_icr(0, ICR_ASSERT | LVT_NMI);
}

static void overflow(void)
{
	bare_wrmsr(regs.counter, pmu_value_mask() - 20);
}

static void clear_status(void)
{
	if (regs.status)
		bare_wrmsr(regs.status_clear, 1ull << offers()[0].counter);
}

static void read_status(void)
{
	if (regs.status)
		bare_rdmsr(regs.status);
}

/* A function, as Linux's: RDPMC is dear behind what changes flags in its block. */
static __attribute__((noinline)) void read_by_rdpmc(void)
{
	bare_rdpmc(regs.index);
}

static void on_nmi_short(struct frame *frame)
{
	(void)frame;
	clear_status();
	apic_write(APIC_LVTPC, LVT_NMI);
	came = true;
}

/* The accesses of Linux's handler; RDPMC only where there is one. */
static void on_nmi_long(struct frame *frame)
{
	(void)frame;
	bare_wrmsr(regs.control, regs.off);
	read_status();
	clear_status();
	if (has_pmu)
		read_by_rdpmc();
	bare_wrmsr(regs.counter, 0);
	read_status();
	apic_write(APIC_LVTPC, LVT_NMI);
	bare_wrmsr(regs.control, regs.on);
	came = true;
}

/* The least of all; times BATCH, as the loops are. */
static void time_nmi(const char *name, void (*handler)(struct frame *))
{
	uint64_t least = UINT64_MAX;

	trap_hook[VECTOR_NMI] = handler;
	for (unsigned int i = 0; i < BATCH; i++) {
		uint64_t from = now(), ticks;

		came = false;
		if (has_pmu)
			overflow();
		else
			send_nmi();
		while (!came)
			barrier();
		ticks = now() - from;
		if (ticks < least)
			least = ticks;
	}
	print("access %s %lu\n", name, least * BATCH);
}

/* Without a PMU the numbers are those of one that there could be, and PerfMonV2's on AMD's. */
static void find_registers(void)
{
	const unsigned int first = offers()[0].counter;
	const bool v2 = pmu.amd && (pmu.global_ctrl || !has_pmu);

	regs.counter = counter_msr(first);
	regs.index = counter_index(first);
	regs.written = counter_msr(0);
	regs.status = v2 ? MSR_AMD_GLOBAL_STATUS : pmu.amd ? 0 : MSR_GLOBAL_STATUS;
	regs.status_clear = v2 ? MSR_AMD_GLOBAL_STATUS_CLR : MSR_GLOBAL_OVF_CTRL;
	regs.control = v2 ? MSR_AMD_GLOBAL_CTRL : pmu.amd ? select_msr(0) : MSR_GLOBAL_CTRL;
	regs.on = 1ull << first;
	if (!pmu.amd || v2)
		return;
	regs.off = event_select(EVENT_INSTRUCTIONS, SEL_USR | SEL_OS | SEL_INT);
	regs.on = regs.off | SEL_EN;
}

static void count_instructions(uint64_t flags)
{
	if (!has_pmu)
		return;
	counter_program(offers()[0].counter, EVENT_INSTRUCTIONS, flags);
	counters_start(pmu_all());
}

static void time_accesses(void)
{
	find_registers();
	count_instructions(SEL_ALL);
	time_loop("empty", loop_empty);
	time_loop("rdmsr", loop_rdmsr);
	if (regs.status)
		time_loop("rdmsr-status", loop_rdmsr_status);
	time_loop("rdmsr-other", loop_rdmsr_other);
	time_loop("wrmsr", loop_wrmsr);
	time_loop("wrmsr-enable", loop_wrmsr_enable);
	time_loop("wrmsr-other", loop_wrmsr_other);
	if (has_pmu)
		time_loop("rdpmc", loop_rdpmc);
	time_loop("cpuid", loop_cpuid);
	time_loop("cpuid-pmu", loop_cpuid_pmu);
	count_instructions(SEL_ALL | SEL_INT);
	time_nmi("pmi", on_nmi_short);
	time_nmi("pmi-linux", on_nmi_long);
}

void test_main(void)
{
	has_pmu = pmu_find() && option("pmu", 1);
	apic_enable();
	if (has_pmu) {
		pmu_clear();
		apic_write(APIC_LVTPC, LVT_NMI);
		trap_hook[VECTOR_NMI] = on_pmi;
	}
	if (option("access", 0)) {
		time_accesses();
	} else {
		start_events();
		time_works();
	}
	finish();
}
