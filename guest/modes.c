/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU from code that is not 64-bit: compatibility mode, and, out of long
 * mode, protected, real and virtual-8086 mode, with 32-bit and 16-bit code, at
 * level 0 and 3. SDM vol. 2, RDMSR, WRMSR, RDPMC, by mode.
 */
#include "modes.h"
#include "pmu.h"

#define MSR_GS_BASE 0xc0000101
#define VALUE       0x123456789abcull
#define TURNS       100
#define COUNTERS    4 /* those that count */
#define VECTOR_OF   4
#define VECTOR_BR   5
#define GATE_KERNEL 0x8e
#define GATE_USER   0xee
#define FLAGS_MADE  (FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF)

struct request {
	uint32_t eax, ebx, ecx, edx, flags, turns, entry;
	uint32_t vector, error, ip, cs; /* how it left its mode */
	int32_t bounds[2];
};

struct legacy {
	uint32_t cs, ip, ss, sp, ds;
};

struct gate {
	uint16_t offset_low, selector;
	uint8_t zero, type;
	uint16_t offset_high;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* Code of one size; 16-bit code is linked where it is not. */
struct code {
	const char *rdmsr, *rdmsr_at, *wrmsr, *wrmsr_at, *rdpmc, *rdpmc_at, *cpuid, *lock_rdpmc,
		*lock_rdpmc_at, *data_rdpmc, *behind_flags, *count, *run, *run_untaken, *run_into,
		*run_bound, *run_fault, *run_gp;
};

#define CODE_NAMES(size)                                                                           \
	extern const char code##size##_rdmsr[], code##size##_rdmsr_at[], code##size##_wrmsr[],     \
		code##size##_wrmsr_at[], code##size##_rdpmc[], code##size##_rdpmc_at[],            \
		code##size##_cpuid[], code##size##_lock_rdpmc[], code##size##_lock_rdpmc_at[],     \
		code##size##_data_rdpmc[], code##size##_behind_flags[], code##size##_count[],      \
		code##size##_run[], code##size##_run_untaken[], code##size##_run_into[],           \
		code##size##_run_bound[], code##size##_run_fault[], code##size##_run_gp[]
#define CODE(size)                                                                                 \
	{                                                                                          \
		code##size##_rdmsr, code##size##_rdmsr_at, code##size##_wrmsr,                     \
			code##size##_wrmsr_at, code##size##_rdpmc, code##size##_rdpmc_at,          \
			code##size##_cpuid, code##size##_lock_rdpmc, code##size##_lock_rdpmc_at,   \
			code##size##_data_rdpmc, code##size##_behind_flags, code##size##_count,    \
			code##size##_run, code##size##_run_untaken, code##size##_run_into,         \
			code##size##_run_bound, code##size##_run_fault, code##size##_run_gp        \
	}

CODE_NAMES(16);
CODE_NAMES(32);
static const struct code code16 = CODE(16), code32 = CODE(32);

extern const char low_start[], low_end[], real_stubs[], legacy_stubs[];
extern const char compatible_leave[];
void legacy_enter(void (*how)(void), const struct legacy *to);
void legacy_protected(void), legacy_virtual(void), legacy_real(void);
void compatible_enter(const struct legacy *to);

static const struct mode {
	const char *name;
	const struct code *code;
	void (*how)(void); /* null: compatibility mode */
	bool user;
	uint32_t cs, ss, ds;
} modes[] = {
	{ "compatibility mode, 32-bit, level 0", &code32, NULL, false, SEL_CODE32, SEL_DATA,
	  SEL_DATA },
	{ "compatibility mode, 32-bit, level 3", &code32, NULL, true, SEL_USER_CODE32,
	  SEL_USER_DATA, SEL_USER_DATA },
	{ "compatibility mode, 16-bit, level 0", &code16, NULL, false, SEL_CODE16, SEL_DATA,
	  SEL_DATA16 },
	{ "compatibility mode, 16-bit, level 3", &code16, NULL, true, SEL_USER_CODE16,
	  SEL_USER_DATA, SEL_USER_DATA16 },
	{ "protected mode, 32-bit, level 0", &code32, legacy_protected, false, SEL_CODE32, SEL_DATA,
	  SEL_DATA },
	{ "protected mode, 32-bit, level 3", &code32, legacy_protected, true, SEL_USER_CODE32,
	  SEL_USER_DATA, SEL_USER_DATA },
	{ "protected mode, 16-bit, level 0", &code16, legacy_protected, false, SEL_CODE16, SEL_DATA,
	  SEL_DATA16 },
	{ "protected mode, 16-bit, level 3", &code16, legacy_protected, true, SEL_USER_CODE16,
	  SEL_USER_DATA, SEL_USER_DATA16 },
	{ "real mode", &code16, legacy_real, false, LOW_SEGMENT, 0, 0 },
	{ "real mode, CS amid a page", &code16, legacy_real, false, LOW_SEGMENT - 5, 0, 0 },
	{ "virtual-8086 mode", &code16, legacy_virtual, true, LOW_SEGMENT, 0, 0 },
	{ "virtual-8086 mode, CS amid a page", &code16, legacy_virtual, true, LOW_SEGMENT - 5, 0,
	  0 },
};

struct gate legacy_idt[VECTOR_LEAVE + 1] __attribute__((aligned(16)));
static uint64_t gdt[SELECTORS_END / 8] __attribute__((aligned(16)));
static uint32_t task_state[26];
static char task_stack[STACK_SIZE] __attribute__((aligned(16)));
static char mode_stack[STACK_SIZE] __attribute__((aligned(16)));

static volatile struct request *const request = (volatile struct request *)(LOW + LOW_REQUEST);

/* Tables */

static void make_task_state(void)
{
	uint64_t base = (uintptr_t)task_state;

	task_state[1] = (uint32_t)(uintptr_t)(task_stack + STACK_SIZE);
	task_state[2] = SEL_DATA;
	task_state[25] = sizeof(task_state) << 16; /* no map of ports */
	gdt[SEL_TSS32 / 8] = (sizeof(task_state) - 1) | (base & 0xffffff) << 16 |
			     (base >> 24 & 0xff) << 56 | 0x89ull << 40;
}

static void make_gdt(void)
{
	struct table_pointer pointer;

	__asm__ volatile("sgdt %0" : "=m"(pointer));
	memcpy(gdt, (const void *)pointer.base, pointer.limit + 1u);
	gdt[SEL_CODE16 / 8] = 0x00009b010000ffff;
	gdt[SEL_DATA16 / 8] = 0x000093010000ffff;
	gdt[SEL_USER_CODE32 / 8] = 0x00cffb000000ffff;
	gdt[SEL_USER_CODE16 / 8] = 0x0000fb010000ffff;
	gdt[SEL_USER_DATA16 / 8] = 0x0000f3010000ffff;
	make_task_state();
	pointer = (struct table_pointer){ sizeof(gdt) - 1, (uintptr_t)gdt };
	__asm__ volatile("lgdt %0" : : "m"(pointer));
}

static void make_idt(void)
{
	for (unsigned int i = 0; i <= VECTOR_LEAVE; i++) {
		uint32_t at = (uint32_t)(uintptr_t)legacy_stubs + i * 16;

		legacy_idt[i] =
			(struct gate){ .offset_low = (uint16_t)at,
				       .selector = SEL_CODE32,
				       .type = i == VECTOR_LEAVE || i == VECTOR_OF ? GATE_USER
										   : GATE_KERNEL,
				       .offset_high = (uint16_t)(at >> 16) };
	}
}

static void make_low(void)
{
	volatile uint32_t *vectors = (volatile uint32_t *)(LOW + LOW_VECTORS);
	volatile char *to = (volatile char *)LOW;

	for (const char *from = low_start; from < low_end; from++)
		*to++ = *from;
	for (unsigned int i = 0; i < 256; i++)
		vectors[i] = LOW_SEGMENT << 16 | (uint32_t)(real_stubs - low_start + i * 8);
}

/* The way in and out */

/* In long mode: what legacy_common does elsewhere. */
static void on_leave(struct frame *frame)
{
	request->vector = (uint32_t)frame->vector;
	request->error = (uint32_t)frame->error;
	request->ip = (uint32_t)frame->rip;
	request->cs = (uint32_t)frame->cs;
	frame->rip = (uintptr_t)compatible_leave;
	frame->cs = SEL_CODE;
	frame->ss = SEL_DATA;
}

/* What the way through another mode has left changed. */
static void restore(void)
{
	uint64_t *descriptor = &gdt[SEL_TSS / 8];

	*descriptor &= ~(2ull << 40); /* not busy */
	gdt[SEL_TSS32 / 8] &= ~(2ull << 40);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
	__asm__ volatile("mov %0, %%fs\n\tmov %0, %%gs" : : "r"(SEL_DATA));
	wrmsr(MSR_GS_BASE, (uintptr_t)&cpus[0]);
}

static uint32_t address(const struct mode *mode, const char *at)
{
	uint32_t offset = (uint32_t)(at - low_start);

	if (mode->code == &code32)
		return (uint32_t)(uintptr_t)at;
	if (mode->how == legacy_real || mode->how == legacy_virtual)
		return offset + (LOW_SEGMENT - mode->cs) * 16;
	return offset;
}

static void run(const struct mode *mode, const char *code)
{
	struct legacy to = { mode->cs, address(mode, code), mode->ss,
			     (uint32_t)(uintptr_t)(mode_stack + STACK_SIZE), mode->ds };

	request->vector = request->error = request->ip = request->cs = 0;
	if (!mode->how) {
		compatible_enter(&to);
		return;
	}
	legacy_enter(mode->how, &to);
	restore();
}

static bool works(const struct mode *mode, const char *code, uint32_t eax, uint32_t ecx,
		  uint32_t edx)
{
	request->eax = eax;
	request->ebx = 0x5a5a5a5a;
	request->ecx = ecx;
	request->edx = edx;
	run(mode, code);
	return request->vector == VECTOR_LEAVE;
}

static bool faults(const struct mode *mode, unsigned int vector, const char *code, const char *at,
		   uint32_t ecx, uint32_t edx)
{
	bool done = works(mode, code, 0, ecx, edx);

	if (!done && request->vector == vector && request->error == 0 &&
	    request->ip == address(mode, at) && request->cs == mode->cs)
		return true;
	print("# %s: vector %u, error %x, at %x:%x\n", mode->name, request->vector, request->error,
	      request->cs, request->ip);
	return false;
}

static bool reads(const struct mode *mode, const char *code, uint32_t ecx, uint64_t value)
{
	bool good = works(mode, code, 0x77777777, ecx, 0x66666666) &&
		    request->eax == (uint32_t)value && request->edx == value >> 32;

	if (!good)
		print("# %s: vector %u at %x:%x, eax %x, edx %x\n", mode->name, request->vector,
		      request->cs, request->ip, request->eax, request->edx);
	return good;
}

/* The tests */

static void test_msrs(const struct mode *mode)
{
	const struct code *code = mode->code;

	counter_write(1, 0);
	counter_program(1, EVENT_BRANCHES, SEL_USR);
	if (mode->user) {
		ok(faults(mode, VECTOR_GP, code->rdmsr, code->rdmsr_at, select_msr(1), 0) &&
			   faults(mode, VECTOR_GP, code->wrmsr, code->wrmsr_at, counter_msr(1), 0),
		   "%s: RDMSR and WRMSR are a #GP", mode->name);
		return;
	}
	ok(reads(mode, code->rdmsr, select_msr(1), event_select(EVENT_BRANCHES, SEL_USR)),
	   "%s: RDMSR reads", mode->name);
	ok(works(mode, code->wrmsr, (uint32_t)VALUE, counter_msr(1), VALUE >> 32) &&
		   counter_read(1) == VALUE,
	   "%s: WRMSR writes", mode->name);
	if (pmu_absent_msr())
		ok(faults(mode, VECTOR_GP, code->rdmsr, code->rdmsr_at, pmu_absent_msr(), 0),
		   "%s: RDMSR of an absent register is a #GP", mode->name);
	/* AMD's are ignored. */
	if (!pmu.amd)
		ok(faults(mode, VECTOR_GP, code->wrmsr, code->wrmsr_at, MSR_GLOBAL_CTRL, 1 << 24),
		   "%s: WRMSR of a reserved bit is a #GP", mode->name);
}

static void test_flags(const struct mode *mode)
{
	if (mode->how == legacy_virtual) {
		works(mode, mode->code->behind_flags, 0, 1, 0);
		ok(request->vector == VECTOR_UD || request->vector == VECTOR_LEAVE,
		   "%s: RDPMC behind a flag producer reads, or is a #UD", mode->name);
		return;
	}
	ok(reads(mode, mode->code->behind_flags, 1, VALUE) &&
		   (request->flags & FLAG_STATUS) == FLAGS_MADE,
	   "%s: RDPMC behind a flag producer reads, and keeps the flags", mode->name);
}

static void test_absent_counter(const struct mode *mode)
{
	const struct code *code = mode->code;

	if (!mode->user) {
		ok(!works(mode, code->rdpmc, 0, pmu.general, 0) &&
			   request->ip == address(mode, code->rdpmc_at),
		   "%s: RDPMC of an absent counter faults", mode->name);
		return;
	}
	ok(faults(mode, VECTOR_GP, code->rdpmc, code->rdpmc_at, pmu.general, 0),
	   "%s: RDPMC of an absent counter is a #GP", mode->name);
}

static void test_rdpmc(const struct mode *mode)
{
	const struct code *code = mode->code;
	unsigned int last = pmu.fixed ? 32 : pmu.general - 1;

	counter_write(1, VALUE);
	counter_write(last, VALUE + 1);
	write_cr4(read_cr4() & ~CR4_PCE);
	if (mode->user) {
		ok(faults(mode, VECTOR_GP, code->rdpmc, code->rdpmc_at, 1, 0),
		   "%s: RDPMC is a #GP with CR4.PCE clear", mode->name);
		write_cr4(read_cr4() | CR4_PCE);
	}
	ok(reads(mode, code->rdpmc, 1, VALUE) &&
		   reads(mode, code->rdpmc, counter_index(last), VALUE + 1) &&
		   reads(mode, code->data_rdpmc, 1, VALUE),
	   "%s: RDPMC reads%s", mode->name, mode->user ? " with CR4.PCE set" : "");
	test_flags(mode);
	test_absent_counter(mode);
	ok(faults(mode, VECTOR_UD, code->lock_rdpmc, code->lock_rdpmc_at, 1, 0),
	   "%s: LOCK RDPMC is a #UD", mode->name);
	write_cr4(read_cr4() & ~CR4_PCE);
}

static void test_cpuid(const struct mode *mode)
{
	struct cpuid leaf = cpuid(pmu.leaf, 0);

	ok(works(mode, mode->code->cpuid, pmu.leaf, 0, 0) && request->eax == leaf.eax &&
		   request->ebx == leaf.ebx && request->ecx == leaf.ecx && request->edx == leaf.edx,
	   "%s: CPUID of the PMU is what it is in 64-bit mode", mode->name);
}

static void run_counted(const struct mode *mode, const char *code)
{
	counters_start((1 << COUNTERS) - 1);
	run(mode, code);
	counters_stop();
}

/* The code switches counters itself: all at once, or one in each run. */
static void run_counting(const struct mode *mode, const char *code)
{
	request->ebx = 0;
	request->ecx = pmu.global_ctrl;
	request->eax = (1 << COUNTERS) - 1;
	if (pmu.global_ctrl)
		run(mode, code);
	for (unsigned int i = 0; i < COUNTERS && !pmu.global_ctrl; i++) {
		request->ecx = select_msr(i);
		request->ebx = (uint32_t)rdmsr(select_msr(i));
		request->eax = request->ebx | SEL_EN;
		run(mode, code);
	}
}

/* What a turn holds, what else there is, and how many far branches are of it. */
static bool counts(const struct mode *mode, const char *code, unsigned int per_turn,
		   unsigned int more, unsigned int far)
{
	uint64_t level = mode->user ? SEL_USR : SEL_OS;
	bool good = true;

	for (unsigned int turns = TURNS; turns <= 2 * TURNS; turns += TURNS) {
		pmu_clear();
		counter_program(0, EVENT_INSTRUCTIONS, SEL_EN | level);
		counter_program(1, EVENT_CONDITIONAL, SEL_EN | level);
		counter_program(2, EVENT_BRANCHES, SEL_EN | level);
		counter_program(3, EVENT_FAR_BRANCHES, SEL_EN | level);
		request->turns = turns;
		if (mode->user)
			run_counted(mode, code);
		else
			run_counting(mode, code);
		if (counter_read(0) == per_turn * turns + more && counter_read(1) == turns &&
		    counter_read(2) == turns + far && counter_read(3) == far)
			continue;
		good = false;
		print("# %u turns: %lu instructions, branches: %lu, %lu conditional, %lu far\n",
		      turns, counter_read(0), counter_read(2), counter_read(1), counter_read(3));
	}
	pmu_clear();
	return good;
}

/* An INTO that the gate's privilege level refuses is a #GP. */
static bool counts_refused_into(const struct mode *mode)
{
	bool good;

	legacy_idt[VECTOR_OF].type = GATE_KERNEL;
	good = counts(mode, mode->code->run_into, 2, 3, 0) && request->vector == VECTOR_GP;
	legacy_idt[VECTOR_OF].type = GATE_USER;
	return good;
}

static void test_counts(const struct mode *mode)
{
	const struct code *code = mode->code;

	if (!mode->user) {
		ok(counts(mode, code->count, 2, 3, 0), "%s: instructions and branches are exact",
		   mode->name);
		return;
	}
	ok(counts(mode, code->run, 2, 2, 1), "%s: instructions and branches are exact", mode->name);
	ok(counts(mode, code->run_fault, 2, 1, 0) && counts(mode, code->run_gp, 2, 1, 0),
	   "%s: also where a fault ends the code", mode->name);
	ok(counts(mode, code->run_untaken, 5, 2, 1),
	   "%s: INTO without OF, and BOUND, are no branches", mode->name);
	ok(counts(mode, code->run_into, 2, 4, 1) && request->vector == VECTOR_OF,
	   "%s: INTO with OF is a far branch", mode->name);
	ok(counts(mode, code->run_bound, 2, 2, 0) && request->vector == VECTOR_BR,
	   "%s: BOUND that faults is no branch", mode->name);
	if (mode->how)
		ok(counts_refused_into(mode), "%s: INTO that is a #GP is no branch", mode->name);
}

/* The same code with nothing in between: a mode follows another one at the same place. */
static void test_by_turns(void)
{
	bool good = true;

	counter_write(1, VALUE);
	write_cr4(read_cr4() | CR4_PCE);
	for (unsigned int i = 0; i < 5 * ARRAY_SIZE(modes); i++) {
		const struct mode *mode = &modes[i * 7 % ARRAY_SIZE(modes)];

		good = good && reads(mode, mode->code->rdpmc, 1, VALUE);
	}
	ok(good, "RDPMC reads in all modes by turns");
	write_cr4(read_cr4() & ~CR4_PCE);
}

void test_main(void)
{
	pmu_need();
	pmu_clear();
	trap_hook[VECTOR_GP] = on_leave;
	trap_hook[VECTOR_UD] = on_leave;
	trap_hook[VECTOR_OF] = on_leave;
	trap_hook[VECTOR_BR] = on_leave;
	trap_hook[VECTOR_LEAVE] = on_leave;
	make_gdt();
	make_idt();
	make_low();
	request->bounds[0] = 0;
	request->bounds[1] = INT32_MAX;
	for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
		test_msrs(&modes[i]);
		test_rdpmc(&modes[i]);
		test_cpuid(&modes[i]);
		test_counts(&modes[i]);
	}
	test_by_turns();
}
