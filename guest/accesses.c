/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Accesses of every kind and PMIs, on two processors, and then what they were,
 * a line each, as comments: a recording has to have just these, in this order
 * (tests/trace.py).
 */
#include "pmu.h"

#define VECTOR_PMI 0x50
#define MOST       256

static struct done {
	const char *what;
	bool fault;
	unsigned int cpu;
	uint32_t index;
	uint64_t value;
} done[MOST];

static unsigned int count;

static void note(const char *what, bool fault, uint32_t index, uint64_t value)
{
	if (count < MOST)
		done[count++] =
			(struct done){ what, fault, this_cpu()->index, index, fault ? 0 : value };
}

static uint64_t do_rdmsr(uint32_t msr)
{
	uint64_t value = 0;
	bool good = try_rdmsr(msr, &value);

	note("rdmsr", !good, msr, value);
	return value;
}

static void do_wrmsr(uint32_t msr, uint64_t value)
{
	bool good = try_wrmsr(msr, value);

	note("wrmsr", false, msr, value);
	done[count - 1].fault = !good;
}

static void do_rdpmc(uint32_t index)
{
	uint64_t value = 0;
	bool good = try_rdpmc(index, &value);

	note("rdpmc", !good, index, value);
}

/* Counter 0 of the instructions, by global control or by its event select. */
static uint64_t select_of(uint64_t enable)
{
	return event_select(EVENT_INSTRUCTIONS, SEL_USR | SEL_OS | SEL_INT | enable);
}

static void stop(void)
{
	if (pmu.global_ctrl)
		do_wrmsr(pmu.global_ctrl, 0);
	else
		do_wrmsr(select_msr(0), select_of(0));
}

static void start(void)
{
	if (pmu.global_ctrl)
		do_wrmsr(pmu.global_ctrl, 1);
	else
		do_wrmsr(select_msr(0), select_of(SEL_EN));
}

static void on_pmi(struct frame *frame)
{
	uint64_t status = pmu_status();

	(void)frame;
	note("pmi", false, 0, status);
	if (pmu.status)
		note("rdmsr", false, pmu.status, status);
	stop();
	if (pmu.status)
		do_wrmsr(pmu.status_clear, status);
	apic_write(APIC_LVTPC, VECTOR_PMI);
	apic_write(APIC_EOI, 0);
}

static void work(void)
{
	for (volatile unsigned int i = 0; i < 1000; i++)
		barrier();
}

static void overflow(void)
{
	stop();
	if (pmu.global_ctrl)
		do_wrmsr(select_msr(0), select_of(SEL_EN));
	do_wrmsr(pmu.amd ? counter_msr(0) : MSR_PMC0, pmu.amd ? (uint64_t)-500 : (uint32_t)-500);
	start();
	work();
}

static void access_intel(void)
{
	do_rdmsr(MSR_PERF_CAPABILITIES);
	do_rdmsr(MSR_FIXED_CTR_CTRL);
	do_wrmsr(MSR_FIXED_CTR_CTRL, 3);
	do_wrmsr(MSR_FIXED_CTR_CTRL, UINT64_MAX);
	do_rdmsr(MSR_MISC_ENABLE);
}

/* The K7's numbers, too, and bits that are ignored. */
static void access_amd(void)
{
	do_wrmsr(MSR_K7_COUNTER0 + 1, UINT64_MAX);
	do_rdmsr(counter_msr(1));
	do_wrmsr(select_msr(1), ~(uint64_t)SEL_EN);
	do_rdmsr(MSR_K7_SELECT0 + 1);
	do_rdmsr(MSR_AMD_GLOBAL_STATUS);
	do_wrmsr(MSR_AMD_GLOBAL_STATUS, 1);
}

static void on_either_processor(void *unused)
{
	(void)unused;
	interrupts_off();
	if (pmu.amd)
		access_amd();
	else
		access_intel();
	do_wrmsr(counter_msr(0), UINT64_C(0xffff00000000));
	do_rdpmc(0);
	do_rdpmc(RDPMC_FIXED);
	do_rdpmc(0x3f);
	/* These are not the PMU's. */
	(void)rdmsr(0x10);
	(void)cpuid(0xa, 0);

	/* Where LVTPC is masked the PMI is due all the same. */
	apic_write(APIC_LVTPC, VECTOR_PMI | LVT_MASKED);
	overflow();
	note("pmi", false, 0, pmu.status ? 1 : 0);
	stop();
	if (pmu.status) {
		do_rdmsr(pmu.status);
		do_wrmsr(pmu.status_clear, 1);
	}

	apic_write(APIC_LVTPC, VECTOR_PMI);
	interrupts_on();
	overflow();
	overflow();
	interrupts_off();
	do_rdpmc(0);
}

void test_main(void)
{
	pmu_need();
	if (!pmu.amd) /* pmu_need()'s own */
		note("rdmsr", false, MSR_PERF_CAPABILITIES, CAPABILITIES_FW_WRITE);
	if (!ok(cpus_start(2), "two processors run"))
		return;
	trap_hook[VECTOR_PMI] = on_pmi;
	on_either_processor(NULL);
	cpu_run(1, on_either_processor, NULL);
	cpu_wait(1);
	on_either_processor(NULL);
	ok(count < MOST, "there is room for what was done");
	for (unsigned int i = 0; i < count; i++)
		print("# did: vcpu %u %s %x %lx%s\n", done[i].cpu, done[i].what, done[i].index,
		      done[i].value, done[i].fault ? " #GP" : "");
}
