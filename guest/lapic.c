/* SPDX-License-Identifier: BSD-2-Clause
 *
 * LVTPC and what is around it: INIT, the delivery mode SMI, modes that there are not for it,
 * a register page elsewhere, and APIC IDs beyond what a message reaches. SDM vol. 3,
 * "Advanced Programmable Interrupt Controller (APIC)".
 */
#include "pmu.h"

#define LVT_SMI    0x200
#define LVT_EXTINT 0x700
#define DISTANCE   100 /* to an overflow in lapic_sled() */

#define MSR_APIC_BASE  0x1b
#define APIC_BASE_PAGE 0xffffff000ul
#define ELSEWHERE      0xfea00000ul

/* i440FX: PCI configuration mechanism 1, and the register of SMM's memory. */
#define PCI_ADDRESS    0xcf8
#define PCI_DATA       0xcfc
#define SMRAM_REGISTER 0x72
#define SMRAM_ENABLE   0x0a
#define SMRAM_OPEN     0x40
#define SMM_ENTRY      0xa8000ul /* where the firmware has moved it */

extern void lapic_sled(void *);
extern const char lapic_smi_handler[], lapic_smi_handler_end[];
volatile uint32_t lapic_smis;

/* A WRMSR that starts counting, and where to say that it has; lapic.S knows the offsets. */
struct start {
	uint32_t msr, unused;
	uint64_t value;
	volatile bool *there;
};

void lapic_count_and_halt(const struct start *);

static volatile uint64_t nmis[MAX_CPUS];

static void on_nmi(struct frame *frame)
{
	(void)frame;
	nmis[this_cpu()->index]++;
}

/* Counter 0, which began just below zero. */
static bool overflowed(void)
{
	return !(counter_read(0) >> (pmu.general_width - 1)) && (!pmu.status || pmu_status() == 1);
}

static void overflow_once(uint32_t lvtpc)
{
	pmu_clear();
	apic_write(APIC_LVTPC, lvtpc);
	counter_program(0, EVENT_INSTRUCTIONS, SEL_ALL | SEL_INT);
	counter_write(0, 0ul - DISTANCE);
	measure_all(lapic_sled, NULL);
}

static void enter_x2(void *unused)
{
	(void)unused;
	apic_enable_x2();
}

/* INIT */

static volatile bool halts;
static struct {
	uint32_t lvtpc, id;
	bool overflowed;
} found;

/* It will overflow at the sixth instruction, and halts at the second. */
static void halt_before_overflow(void *unused)
{
	const struct start start = {
		.msr = pmu.global_ctrl ? pmu.global_ctrl : select_msr(0),
		.value = pmu.global_ctrl
				 ? 1
				 : event_select(EVENT_INSTRUCTIONS, SEL_EN | SEL_OS | SEL_INT),
		.there = &halts,
	};

	(void)unused;
	pmu_clear();
	apic_write(APIC_LVTPC, LVT_NMI);
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_OS | SEL_INT);
	counter_write(0, 0ul - 6);
	lapic_count_and_halt(&start);
}

static void look(void *unused)
{
	(void)unused;
	found.overflowed = overflowed();
	found.lvtpc = apic_read(APIC_LVTPC);
	pmu_clear();
}

static void test_init(const char *mode)
{
	nmis[1] = 0;
	halts = false;
	cpu_run(1, halt_before_overflow, NULL);
	while (!halts)
		cpu_relax();
	cpu_init_sipi(1);
	while (!cpus[1].online)
		cpu_relax();
	cpu_run(1, look, NULL);
	cpu_wait(1);
	is(found.lvtpc, LVT_MASKED, "after INIT LVTPC is 10000H (%s)", mode);
	ok(found.overflowed, "the counter overflows in the code that SIPI starts (%s)", mode);
	is(nmis[1], 0, "and there is no PMI (%s)", mode);
}

/* SMI */

static void write_smram_register(uint8_t value)
{
	__asm__ volatile("outl %0, %1"
			 :
			 : "a"(0x80000000u | (SMRAM_REGISTER & ~3u)), "Nd"((uint16_t)PCI_ADDRESS));
	outb(PCI_DATA + (SMRAM_REGISTER & 3), value);
}

static void install_smi_handler(void)
{
	volatile char *to = (volatile char *)SMM_ENTRY;

	write_smram_register(SMRAM_ENABLE | SMRAM_OPEN);
	for (const char *from = lapic_smi_handler; from < lapic_smi_handler_end; from++)
		*to++ = *from;
	write_smram_register(SMRAM_ENABLE);
}

static void test_smi(const char *mode)
{
	lapic_smis = 0;
	overflow_once(LVT_SMI);
	is(lapic_smis, 1, "with the delivery mode SMI an overflow is an SMI (%s)", mode);
	is(apic_read(APIC_LVTPC), LVT_SMI | pmu.masked, "and LVTPC is as after any PMI (%s)", mode);
	is(nmis[0], 0, "and no NMI (%s)", mode);
}

static void test_not_for_it(const char *mode)
{
	overflow_once(LVT_EXTINT);
	ok(overflowed() && !nmis[0] && lapic_smis == 1,
	   "with the delivery mode ExtINT there is an overflow and no PMI (%s)", mode);
}

/* IA32_APIC_BASE */

static void test_elsewhere(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	wrmsr(MSR_APIC_BASE, (base & ~APIC_BASE_PAGE) | ELSEWHERE);
	overflow_once(LVT_NMI);
	is(nmis[0], 1, "IA32_APIC_BASE elsewhere leaves LVTPC where QEMU has it");
	wrmsr(MSR_APIC_BASE, base);
	nmis[0] = 0;
}

/* APIC IDs */

static void overflow_far_away(void *unused)
{
	enter_x2(unused);
	found.id = apic_read(APIC_ID);
	overflow_once(LVT_NMI);
	look(unused);
}

/* What is not sent to this processor is sent to no other, either. */
static void test_wide_id(uint32_t id)
{
	enter_x2(NULL);
	cpus[1].apic_id = id;
	if (!ok(cpus_start(2), "a processor with APIC ID %u starts", id))
		return;
	cpu_run(1, overflow_far_away, NULL);
	cpu_wait(1);
	is(found.id, id, "it reads its ID");
	ok(found.overflowed, "it counts, and overflows");
	is(found.lvtpc, LVT_NMI, "there is no PMI, which would have masked LVTPC");
}

static void test_mode(const char *mode)
{
	test_init(mode);
	test_smi(mode);
	test_not_for_it(mode);
}

void test_main(void)
{
	pmu_need();
	trap_hook[VECTOR_NMI] = on_nmi;
	if (option("id", 0)) {
		test_wide_id((uint32_t)option("id", 0));
		return;
	}
	if (!ok(cpus_start(2), "2 processors start"))
		return;
	install_smi_handler();
	test_elsewhere();
	test_mode("xAPIC");
	cpu_run(1, enter_x2, NULL);
	cpu_wait(1);
	enter_x2(NULL);
	test_mode("x2APIC");
}
