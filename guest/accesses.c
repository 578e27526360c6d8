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

static void on_pmi(struct frame *frame)
{
	uint64_t status = 0;

	(void)frame;
	try_rdmsr(MSR_GLOBAL_STATUS, &status);
	note("pmi", false, 0, status);
	note("rdmsr", false, MSR_GLOBAL_STATUS, status);
	do_wrmsr(MSR_GLOBAL_CTRL, 0);
	do_wrmsr(MSR_GLOBAL_OVF_CTRL, status);
	apic_write(APIC_LVTPC, VECTOR_PMI);
	apic_write(APIC_EOI, 0);
}

static void work(void)
{
	for (volatile unsigned int i = 0; i < 1000; i++)
		barrier();
}

/* Overflow counter 0 of the instructions while GLOBAL_CTRL has it on. */
static void overflow(void)
{
	do_wrmsr(MSR_GLOBAL_CTRL, 0);
	do_wrmsr(MSR_PERFEVTSEL0, event_select(EVENT_INSTRUCTIONS, SEL_ALL | SEL_INT));
	do_wrmsr(MSR_PMC0, (uint32_t)-500);
	do_wrmsr(MSR_GLOBAL_CTRL, 1);
	work();
}

static void on_either_processor(void *unused)
{
	(void)unused;
	interrupts_off();
	do_rdmsr(MSR_PERF_CAPABILITIES);
	do_rdmsr(MSR_FIXED_CTR_CTRL);
	do_wrmsr(MSR_FIXED_CTR_CTRL, 3);
	do_wrmsr(MSR_FIXED_CTR_CTRL, UINT64_MAX);
	do_wrmsr(MSR_A_PMC0, UINT64_C(0xffff00000000));
	do_rdpmc(0);
	do_rdpmc(RDPMC_FIXED);
	do_rdpmc(0x3f);
	do_rdmsr(MSR_MISC_ENABLE);
	/* These are not the PMU's. */
	(void)rdmsr(0x10);
	(void)cpuid(0xa, 0);

	/* Where LVTPC is masked the PMI is due all the same. */
	apic_write(APIC_LVTPC, VECTOR_PMI | LVT_MASKED);
	overflow();
	note("pmi", false, 0, 1);
	do_wrmsr(MSR_GLOBAL_CTRL, 0);
	do_rdmsr(MSR_GLOBAL_STATUS);
	do_wrmsr(MSR_GLOBAL_OVF_CTRL, 1);

	apic_write(APIC_LVTPC, VECTOR_PMI);
	interrupts_on();
	overflow();
	overflow();
	interrupts_off();
	do_rdmsr(MSR_GLOBAL_STATUS);
}

void test_main(void)
{
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
