/* SPDX-License-Identifier: BSD-2-Clause
 *
 * INIT leaves a processor's PMU as it is; a machine reset clears it. The guest
 * boots twice; memory says which time it is. SDM vol. 3, "Processor State
 * Following Power-up, Reset, or INIT".
 */
#include "pmu_registers.h"

#define RESET_CONTROL 0xcf9
#define MAGIC         0x7650736574206d75ull
#define VALUE         0x1234567890

struct survivor {
	uint64_t magic;
	uint32_t verdicts;
};

struct registers {
	uint64_t select, control, fixed_control, value, last;
	bool reset; /* all registers are as after RESET */
};

/* A fixed one, if there are any. */
static unsigned int last_counter(void)
{
	return pmu.fixed ? 33 : pmu.general - 1;
}

static bool all_are_reset(void)
{
	bool reset = true;

	for (unsigned int i = 0; i < pmu_register_rows; i++)
		reset = reset && pmu_register_is_reset(&pmu_registers[i]);
	return reset;
}

/* What this PMU has not reads as after RESET. */
static struct registers read_registers(void)
{
	return (struct registers){
		.select = rdmsr(select_msr(0)),
		.control = pmu.global_ctrl ? rdmsr(pmu.global_ctrl) : pmu_general_mask(),
		.fixed_control = pmu.fixed ? rdmsr(MSR_FIXED_CTR_CTRL) : 0,
		.value = counter_read(0),
		.last = counter_read(last_counter()),
		.reset = all_are_reset(),
	};
}

static void program(void *unused)
{
	(void)unused;
	pmu_clear();
	counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | SEL_USR);
	counter_program(last_counter(), EVENT_CYCLES, SEL_EN | SEL_USR);
	counter_write(0, VALUE);
	counter_write(last_counter(), VALUE + 1);
	counters_start(pmu_all());
}

static void look(void *registers)
{
	*(struct registers *)registers = read_registers();
}

static struct registers of_processor(unsigned int index)
{
	static struct registers registers;

	if (index == 0)
		return read_registers();
	cpu_run(index, look, &registers);
	cpu_wait(index);
	return registers;
}

static void check_reset(unsigned int index)
{
	ok(of_processor(index).reset,
	   "RESET gives processor %u its first GLOBAL_CTRL, if it has one, and clears all else",
	   index);
}

static void test_init(void)
{
	struct registers before, after;

	cpu_run(1, program, NULL);
	cpu_wait(1);
	before = of_processor(1);
	cpu_init_sipi(1);
	while (!cpus[1].online)
		cpu_relax();
	after = of_processor(1);
	ok(before.value == VALUE &&
		   before.control == (pmu.global_ctrl ? pmu_all() : pmu_general_mask()),
	   "processor 1 is programmed");
	is(after.select, before.select, "INIT keeps PERFEVTSEL");
	if (pmu.global_ctrl)
		is(after.control, before.control, "INIT keeps GLOBAL_CTRL");
	if (pmu.fixed)
		is(after.fixed_control, before.fixed_control, "INIT keeps FIXED_CTR_CTRL");
	is(after.value, before.value, "INIT keeps a general counter");
	is(after.last, before.last, "INIT keeps another counter");
	ok(of_processor(0).reset, "and leaves other processors alone");
}

#define RESET_VECTOR 0xfffffff0ul

static void leave_reset_vector(struct frame *frame)
{
	uint64_t *stack = (uint64_t *)frame->rsp;

	if (frame->rip != RESET_VECTOR)
		bail_out("an instruction is invalid that should not be");
	frame->rip = *stack;
	frame->rsp += sizeof(*stack);
}

/* The far jump that is there is no instruction of 64-bit mode. */
static void test_reset_vector(void)
{
	program(NULL);
	trap_hook[VECTOR_UD] = leave_reset_vector;
	((void (*)(void))RESET_VECTOR)();
	trap_hook[VECTOR_UD] = NULL;
	is(counter_read(0), VALUE,
	   "code at the reset vector that no RESET has led to is just code");
	pmu_clear();
}

static _Noreturn void reset_machine(void)
{
	outb(RESET_CONTROL, 0x02);
	outb(RESET_CONTROL, 0x06);
	for (;;)
		cpu_relax();
}

void test_main(void)
{
	struct survivor *survivor = (struct survivor *)SURVIVES;
	unsigned int cpus_count = (unsigned int)option("cpus", 2);

	pmu_need();
	pmu_registers_find();
	if (survivor->magic == MAGIC) {
		survivor->magic = 0;
		verdicts = survivor->verdicts;
		ok(cpus_start(cpus_count), "processors start again after the machine's reset");
		for (unsigned int i = 0; i < cpus_count; i++)
			check_reset(i);
		return;
	}
	ok(cpus_start(cpus_count), "%u processors start", cpus_count);
	check_reset(0);
	test_init();
	test_reset_vector();
	program(NULL);
	survivor->verdicts = verdicts;
	survivor->magic = MAGIC;
	reset_machine();
}
