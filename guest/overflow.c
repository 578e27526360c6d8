/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Overflow: where it happens, what it leaves in the status, and the interrupt
 * through LVTPC: masked, as a vector, as an NMI, in both of the APIC's modes;
 * freezing; and sampling. SDM vol. 3, "Performance Monitoring"; APM vol. 2, the same.
 */
#include "pmu.h"

#define VECTOR_PMI 0x50
#define WORK       (102 + measure_instructions() - 1) /* short_work, measured */
#define SLED_DEPTH 500
/* No promise of real processors; but beyond this a profile would be of no use. */
#define MOST_SKID 600

extern void sled(void *), short_work(void *), long_work(void *), reading_work(void *),
	reading_once(void *);
extern const char sled_begin[];

/* What the handler saw, and what it is to do. */
static struct {
	volatile unsigned int count;
	uint64_t rip, status, value;
	bool on;
	uint32_t lvtpc;
	bool acknowledge; /* clear the status and unmask */
	unsigned int sampled;
	uint64_t period; /* of the counter sampled; 0: do not reload */
} pmi;

static uint32_t lvtpc_wanted;

static void on_pmi(struct frame *frame)
{
	pmi.status = pmu_status();
	pmi.on = counters_are_on();
	pmi.lvtpc = apic_read(APIC_LVTPC);
	pmi.rip = frame->rip;
	pmi.value = counter_read(pmi.sampled);
	pmi.count++;
	if (pmi.period)
		counter_write(pmi.sampled, pmi.value - pmi.period);
	if (pmi.acknowledge)
		pmu_acknowledge(lvtpc_wanted);
	if (frame->vector == VECTOR_PMI)
		apic_write(APIC_EOI, 0);
}

static void set_lvtpc(uint32_t value)
{
	lvtpc_wanted = value;
	apic_write(APIC_LVTPC, value);
}

static void start_over(uint32_t lvtpc)
{
	pmu_clear();
	memset(&pmi, 0, sizeof(pmi));
	pmi.acknowledge = true;
	set_lvtpc(lvtpc);
}

/* A fixed one, if there are any. */
static unsigned int last_counter(void)
{
	return pmu.fixed ? 32 + pmu.fixed - 1 : pmu.general - 1;
}

static void arm(unsigned int counter, uint64_t distance, uint64_t flags)
{
	counter_program(counter, EVENT_INSTRUCTIONS, flags);
	counter_write(counter, 0 - distance);
}

/* Where there is no status an overflow shows in the counter alone. */
static void is_status(uint64_t wanted, const char *sentence, const char *mode)
{
	if (pmu.status)
		is(pmu_status(), wanted, "%s (%s)", sentence, mode);
}

static void test_exact_value(unsigned int counter, const char *name)
{
	start_over(LVT_MASKED);
	arm(counter, WORK + 1, SEL_ALL);
	measure_all(short_work, NULL);
	ok(counter_read(counter) == pmu_value_mask() && !pmu_status(),
	   "%s one short of its overflow holds all ones and has not overflowed", name);
	arm(counter, WORK, SEL_ALL);
	measure_all(short_work, NULL);
	is(counter_read(counter), 0, "%s overflows to zero at the exact instruction", name);
	is_status(1ull << counter, "its status bit is set", name);
	measure_all(short_work, NULL);
	is(counter_read(counter), WORK, "it counts on from zero");
	is_status(1ull << counter, "the status bit stays", name);
	pmu_clear_status(pmu_all() & ~(1ull << counter));
	is_status(1ull << counter, "clearing other bits leaves it", name);
	pmu_clear_status(1ull << counter);
	is_status(0, "and clearing it does", name);
	arm(counter, 50, SEL_ALL);
	measure_all(short_work, NULL);
	is(counter_read(counter), WORK - 50, "an overflow in the middle leaves the exact value");
}

static void test_masked(const char *mode)
{
	start_over(LVT_MASKED | VECTOR_PMI);
	arm(0, 50, SEL_ALL | SEL_INT);
	interrupts_on();
	measure_all(sled, NULL);
	is(pmi.count, 0, "a masked LVTPC lets no PMI through (%s)", mode);
	is_status(1, "and the status shows the overflow", mode);
	set_lvtpc(VECTOR_PMI);
	sled(NULL);
	interrupts_off();
	is(pmi.count, 0, "unmasking it does not bring the PMI back (%s)", mode);
}

static void test_without_int(const char *mode)
{
	start_over(LVT_NMI);
	arm(0, 50, SEL_ALL);
	arm(last_counter(), 50, SEL_ALL);
	measure_all(sled, NULL);
	is(pmi.count, 0, "a counter without its interrupt bit gives no PMI (%s)", mode);
	is_status(1 | 1ull << last_counter(), "but its status bits", mode);
}

static void check_pmi(uint64_t status, uint32_t lvtpc, const char *kind, const char *mode)
{
	int64_t skid = (int64_t)(pmi.rip - (uintptr_t)sled_begin) - (SLED_DEPTH - 1);

	is(pmi.count, 1, "one overflow is one PMI as %s (%s)", kind, mode);
	if (pmu.status)
		is(pmi.status, status, "its handler sees the counter's status bit (%s)", mode);
	is(pmi.lvtpc, lvtpc | pmu.masked, "and LVTPC %s by the delivery (%s)",
	   pmu.masked ? "masked" : "not masked", mode);
	ok(skid >= 0 && skid <= MOST_SKID, "it comes soon after the overflow (%s)", mode);
	print("# skid: %ld instructions\n", (long)skid);
}

/* One counter's overflow in the sled, at the same place on each PMU. */
static void overflow_in_sled(unsigned int counter, uint32_t lvtpc)
{
	start_over(lvtpc);
	arm(counter, SLED_DEPTH - 1 + measure_instructions_before(counter), SEL_ALL | SEL_INT);
	measure_all(sled, NULL);
}

static void test_delivery(const char *mode)
{
	interrupts_on();
	overflow_in_sled(0, VECTOR_PMI);
	interrupts_off();
	check_pmi(1, VECTOR_PMI, "a vector", mode);
	is_status(0, "the handler has cleared it", mode);
	overflow_in_sled(pmu.general - 1, LVT_NMI);
	check_pmi(1ull << (pmu.general - 1), LVT_NMI, "an NMI with interrupts off", mode);
	if (pmu.fixed) {
		overflow_in_sled(33, LVT_NMI);
		check_pmi(FIXED_BIT(1), LVT_NMI, "a fixed counter's NMI", mode);
	}
	overflow_in_sled(0, VECTOR_PMI);
	is(pmi.count, 0, "with interrupts off a vector waits (%s)", mode);
	interrupts_on();
	sled(NULL);
	interrupts_off();
	is(pmi.count, 1, "and comes when they are on (%s)", mode);
}

/* Intel's first PMI masks LVTPC; until the handler unmasks it there is no other. AMD's does not. */
static void test_not_unmasked(const char *mode)
{
	start_over(LVT_NMI);
	pmi.acknowledge = false;
	arm(0, 100, SEL_ALL | SEL_INT);
	arm(1, 2000, SEL_ALL | SEL_INT);
	measure_all(sled, NULL);
	is(pmi.count, pmu.masked ? 1 : 2, "LVTPC left as it is lets %s through (%s)",
	   pmu.masked ? "one PMI" : "each PMI", mode);
	is_status(3, "and both overflows are in the status", mode);
	is(apic_read(APIC_LVTPC), LVT_NMI | pmu.masked, "LVTPC stays as it is (%s)", mode);
}

static void test_together(const char *mode)
{
	uint64_t general = 0;

	start_over(LVT_NMI);
	pmi.acknowledge = false;
	for (unsigned int i = 0; i < pmu.general; i++)
		arm(i, 50 + i, SEL_ALL | SEL_INT);
	for (unsigned int i = 0; i < pmu.fixed; i++)
		arm(32 + i, 60, SEL_ALL | SEL_INT);
	measure_all(short_work, NULL);
	for (unsigned int i = 0; i < pmu.general; i++)
		general += pmi.count == 0 && counter_read(i) != WORK - 50 - i;
	is_status(pmu_all(), "all counters can overflow at once", mode);
	is(general, 0, "each overflows at its own instruction (%s)", mode);
	is(pmi.count, 1, "and together that is one PMI (%s)", mode);
}

static void arm_to_freeze(uint64_t flags)
{
	start_over(LVT_NMI);
	pmi.acknowledge = false;
	wrmsr(MSR_DEBUGCTL, DEBUGCTL_FREEZE_PERFMON_ON_PMI);
	arm(0, 100, flags);
	arm(last_counter(), 100000, SEL_ALL);
	counters_start(pmu_all());
	sled(NULL);
}

/* The counters' status bit is there from Intel's version 4 on, and in AMD's PerfMonV2. */
static void check_frozen(uint64_t value)
{
	if (!pmu.frozen) {
		ok(!pmi.on, "before version 4 freezing clears GLOBAL_CTRL");
		is(pmi.status, 1, "and the status shows just the overflow");
		return;
	}
	ok(pmi.on, "freezing leaves GLOBAL_CTRL");
	is(pmi.status, 1 | pmu.frozen, "and sets the status bit of frozen counters");
	pmu_clear_status(pmu.frozen);
	sled(NULL);
	ok(counter_read(last_counter()) > value + 4000 || counter_read(last_counter()) < value,
	   "clearing it lets them go on");
}

static void test_freeze(void)
{
	uint64_t frozen;

	if (!pmu.global_ctrl)
		return;
	arm_to_freeze(SEL_ALL | SEL_INT);
	frozen = counter_read(last_counter());
	sled(NULL);
	is(counter_read(last_counter()), frozen,
	   "with freeze-on-PMI all counters stand still after the PMI");
	is(pmi.value, counter_read(0), "so they do in its handler");
	is(pmi.count, 1, "there is one PMI");
	check_frozen(frozen);
	arm_to_freeze(SEL_ALL);
	frozen = counter_read(0);
	ok(frozen >= 3900 && counters_are_on(), "an overflow without a PMI freezes nothing");
	pmu_clear();
}

static void (*in_user)(void *) = long_work;

static uint64_t user_work(void *argument)
{
	in_user(argument);
	return 0;
}

static void work_in_user(void *argument)
{
	user_call(user_work, argument);
}

static void test_sampling(unsigned int counter, uint32_t lvtpc, uint64_t period, const char *name)
{
	uint64_t total;

	start_over(LVT_MASKED);
	counter_program(counter, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR);
	measure_all(work_in_user, NULL);
	total = counter_read(counter);

	start_over(lvtpc);
	pmi.sampled = counter;
	pmi.period = period;
	arm(counter, period, SEL_EN | SEL_USR | SEL_INT);
	/* user_call keeps the interrupt flag. */
	interrupts_on();
	measure_all(work_in_user, NULL);
	interrupts_off();
	is(pmi.count, total / period, "sampling every %lu instructions with %s gives a PMI each",
	   period, name);
	is((counter_read(counter) + period) & pmu_value_mask(), total % period,
	   "and no count is lost");
}

/* An NMI whose handler reads the counter, too, on any instruction of a reader's. */
static void on_pmi_reading(struct frame *frame)
{
	reading_once(NULL);
	on_pmi(frame);
}

static void test_sampled_reader(void)
{
	trap_hook[VECTOR_NMI] = on_pmi_reading;
	in_user = reading_work;
	write_cr4(read_cr4() | CR4_PCE);
	test_sampling(0, LVT_NMI, 97, "an NMI, in the middle of RDPMCs");
	write_cr4(read_cr4() & ~CR4_PCE);
	in_user = long_work;
	trap_hook[VECTOR_NMI] = on_pmi;
}

#define MSR_APIC_BASE    0x1b
#define APIC_BASE_X2     0x400ul
#define APIC_BASE_ENABLE 0x800ul

/* There is no way from this mode to the one that these bits make: PMIs come as before. */
static void test_refused_mode(uint64_t bits, const char *name)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) & ~(APIC_BASE_X2 | APIC_BASE_ENABLE);

	ok(!try_wrmsr(MSR_APIC_BASE, base | bits), "%s is a #GP", name);
	test_sampling(0, LVT_NMI, 1000, "an NMI after it");
}

static void test_mode(const char *mode)
{
	test_masked(mode);
	test_without_int(mode);
	test_delivery(mode);
	test_not_unmasked(mode);
	test_together(mode);
}

void test_main(void)
{
	pmu_need();
	trap_hook[VECTOR_NMI] = on_pmi;
	trap_hook[VECTOR_PMI] = on_pmi;
	test_exact_value(0, "a general counter");
	test_exact_value(pmu.general - 1, "the last general counter");
	if (pmu.fixed) {
		test_exact_value(32, "the first fixed counter");
		test_exact_value(32 + pmu.fixed - 1, "the last fixed counter");
	}
	test_mode("xAPIC");
	test_freeze();
	test_sampling(0, LVT_NMI, 1000, "an NMI");
	test_sampling(1, VECTOR_PMI, 1000, "a vector");
	test_sampling(last_counter(), LVT_NMI, 777, "the last counter's NMI");
	test_sampled_reader();
	test_refused_mode(APIC_BASE_X2, "x2APIC mode of a local APIC that is off");
	apic_enable_x2();
	test_mode("x2APIC");
	test_refused_mode(APIC_BASE_ENABLE, "xAPIC mode right behind x2APIC mode");
	test_freeze();
	test_sampling(0, LVT_NMI, 1000, "an NMI in x2APIC mode");
	test_sampling(last_counter(), VECTOR_PMI, 1001, "the last counter's vector in x2APIC mode");
	is(apic_errors(), 0, "the local APIC has no error");
	apic_leave_x2();
	test_sampling(0, LVT_NMI, 1000, "an NMI in xAPIC mode again");
}
