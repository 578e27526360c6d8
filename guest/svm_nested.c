/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A guest of svm.c's hypervisor behind nested paging: its memory is the hypervisor's, a gibibyte
 * higher than that has it. What the hypervisor has at the addresses of the guest's tables is no
 * memory. APM vol. 2, "Nested Paging".
 */
#include "svm.h"

#define SVM_FEATURES   0x8000000a /* CPUID */
#define NESTED_PAGING  1u         /* EDX */
#define GIB            (1ull << 30)
#define TABLE          0x7 /* present, to be written, of level 3 */
#define LARGE          0x87
#define APIC_GIB       3
#define VECTOR_PROGRAM 0x41 /* program_int's */

static uint64_t tables[4][PAGE / sizeof(uint64_t)] __attribute__((aligned(PAGE)));
static uint64_t *const root = tables[0], *const gibs = tables[1], *const nested_root = tables[2],
		       *const nested_gibs = tables[3];

static void make_tables(void)
{
	root[0] = GIB + ((uintptr_t)gibs | TABLE);
	gibs[0] = GIB | LARGE;
	gibs[APIC_GIB] = APIC_GIB * GIB | LARGE;
	nested_root[0] = (uintptr_t)nested_gibs | TABLE;
	nested_gibs[1] = LARGE;
	nested_gibs[APIC_GIB] = APIC_GIB * GIB | LARGE;
}

static void use_tables(void)
{
	vmcb_set(VMCB_NESTED_PAGING, 1);
	vmcb_set(VMCB_NESTED_CR3, (uintptr_t)nested_root);
	vmcb_set(VMCB_CR3, GIB + (uintptr_t)root);
	vmcb_set(VMCB_PAT, 0x0007040600070406);
}

static void ignore(struct frame *frame)
{
	(void)frame;
}

static uint64_t run_int(bool nested, uint64_t *exit)
{
	guest_new(program_int, 0, 0);
	if (nested)
		use_tables();
	count_clear();
	*exit = guest_run(COUNT | SEL_GUEST_ONLY);
	return count();
}

static void test_int(void)
{
	uint64_t plain, nested, exits[2];

	trap_hook[VECTOR_PROGRAM] = ignore;
	plain = run_int(false, &exits[0]);
	nested = run_int(true, &exits[1]);
	trap_hook[VECTOR_PROGRAM] = NULL;
	ok(exits[0] == EXIT_VMMCALL && exits[1] == EXIT_VMMCALL && nested == plain && plain > 10,
	   "INT n and its handler count the same behind nested paging (%lu, %lu, exit %lx)", nested,
	   plain, exits[1]);
}

static void test_rdpmc(void)
{
	uint64_t exit;

	counter_write(2, 0x4321);
	guest_new(program_flags, 0, 0);
	use_tables();
	run.rcx = 2;
	run.rbx = ~0ull;
	count_clear();
	exit = guest_run(COUNT | SEL_GUEST_ONLY);
	ok(exit == EXIT_VMMCALL && vmcb_get(VMCB_RAX) == 0x4321 && (run.rbx & 0xff) == 1 &&
		   count() == 10,
	   "so does RDPMC behind code that uses the flags, which reads the counter (%lu, exit %lx)",
	   count(), exit);
}

void test_nested_paging(void)
{
	if (!(cpuid(SVM_FEATURES, 0).edx & NESTED_PAGING)) {
		skip("the CPU has no nested paging", "guests count the same behind it");
		return;
	}
	make_tables();
	test_int();
	test_rdpmc();
}
