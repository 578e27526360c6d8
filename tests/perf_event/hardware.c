/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which hardware event is opened for what the guest wants, on which kind of core. The
 * machine that has it need not be this one: none is counted.
 */
#define _GNU_SOURCE
#include "../../sources/perf_event/slot.h"
#include "fixture.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static struct vpmu_event event_of(enum vpmu_event_id id, unsigned int select, unsigned int umask)
{
	return (struct vpmu_event){
		.id = id,
		.select = (uint16_t)select,
		.umask = (uint8_t)umask,
		.user = true,
		.kernel = true,
		.host_mode = true,
		.guest_mode = true,
	};
}

static void architectural_events(void **state)
{
	static const struct {
		enum vpmu_event_id id;
		uint16_t select;
		uint8_t umask;
		uint64_t config;
	} rows[] = {
		{ VPMU_EVENT_CYCLES, 0x3c, 0, PERF_COUNT_HW_CPU_CYCLES },
		{ VPMU_EVENT_CYCLES, 0, 0, PERF_COUNT_HW_CPU_CYCLES },
		{ VPMU_EVENT_INSTRUCTIONS, 0xc0, 0, PERF_COUNT_HW_INSTRUCTIONS },
		{ VPMU_EVENT_INSTRUCTIONS, 0, 0, PERF_COUNT_HW_INSTRUCTIONS },
		/* The bus or crystal clock; the fixed counter's is the time stamp counter's. */
		{ VPMU_EVENT_REF_CYCLES, 0x3c, 0x01, PERF_COUNT_HW_BUS_CYCLES },
		{ VPMU_EVENT_TSC_CYCLES, 0, 0, PERF_COUNT_HW_REF_CPU_CYCLES },
		{ VPMU_EVENT_LLC_REFERENCES, 0x2e, 0x4f, PERF_COUNT_HW_CACHE_REFERENCES },
		{ VPMU_EVENT_LLC_MISSES, 0x2e, 0x41, PERF_COUNT_HW_CACHE_MISSES },
		{ VPMU_EVENT_BRANCHES, 0xc4, 0, PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
		{ VPMU_EVENT_BRANCH_MISSES, 0xc5, 0, PERF_COUNT_HW_BRANCH_MISSES },
		/* AMD's encodings. */
		{ VPMU_EVENT_CYCLES, 0x76, 0, PERF_COUNT_HW_CPU_CYCLES },
		{ VPMU_EVENT_BRANCHES, 0xc2, 0, PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
	};
	const struct vpmu_perf_event_options options = { 0 };
	struct vpmu_event event = event_of(VPMU_EVENT_TOPDOWN_SLOTS, 0, 0);
	struct perf_event_attr attr = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		event = event_of(rows[i].id, rows[i].select, rows[i].umask);
		assert_true(vpmu_perf_event_hardware(&options, &event, &attr));
		assert_int_equal(attr.type, PERF_TYPE_HARDWARE);
		assert_int_equal(attr.config, rows[i].config);
	}
	event = event_of(VPMU_EVENT_TOPDOWN_SLOTS, 0, 0);
	assert_false(vpmu_perf_event_hardware(&options, &event, &attr));
}

static void nested_modes(void **state)
{
	const struct vpmu_perf_event_options options = { .vendor = VPMU_AMD };
	struct vpmu_event event = event_of(VPMU_EVENT_CYCLES, 0x76, 0);
	struct perf_event_attr attr = { 0 };

	(void)state;
	assert_true(vpmu_perf_event_hardware(&options, &event, &attr));
	event.guest_mode = false;
	assert_false(vpmu_perf_event_hardware(&options, &event, &attr));
	event.guest_mode = true;
	event.host_mode = false;
	assert_false(vpmu_perf_event_hardware(&options, &event, &attr));
}

static void raw_configs(void **state)
{
	static const struct {
		enum vpmu_vendor_id vendor;
		struct vpmu_event event;
		uint64_t config, config1; /* config 0: refused */
	} rows[] = {
		{ VPMU_INTEL, { .select = 0xd1, .umask = 0x20 }, 0x20d1, 0 },
		{ VPMU_INTEL,
		  { .select = 0x3c, .cmask = 0x12, .invert = true, .edge = true },
		  0x1284003c,
		  0 },
		{ VPMU_INTEL,
		  { .select = 0xb7, .umask = 1, .extra = 0x3f80400001 },
		  0x1b7,
		  0x3f80400001 },
		{ VPMU_INTEL, { .select = 0xc6, .umask = 1, .extra = 0x11 }, 0x1c6, 0x11 },
		{ VPMU_INTEL, { .select = 0xcd, .umask = 1, .extra = 3 }, 0, 0 },
		{ VPMU_INTEL, { .select = 0xcd, .umask = 2 }, 0x2cd, 0 },
		/* Linux's name of the third fixed counter. */
		{ VPMU_INTEL, { .select = 0, .umask = 3 }, 0, 0 },
		{ VPMU_INTEL, { .select = 0x1c0 }, 0, 0 },
		{ VPMU_AMD, { .select = 0x1c7, .umask = 0x22 }, UINT64_C(0x1000022c7), 0 },
		{ VPMU_AMD, { .select = 0xfff }, UINT64_C(0xf000000ff), 0 },
		{ VPMU_AMD, { .select = 0, .umask = 3 }, 0x300, 0 },
		{ VPMU_AMD, { .select = 0x1000 }, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct perf_event_attr attr = { 0 };

		assert_int_equal(vpmu_pe_raw_event(rows[i].vendor, &rows[i].event, &attr),
				 rows[i].config != 0);
		assert_int_equal(attr.type, rows[i].config ? PERF_TYPE_RAW : 0);
		assert_int_equal(attr.config, rows[i].config);
		assert_int_equal(attr.config1, rows[i].config1);
	}
}

/* CPUID.01H:EAX of this machine; 0 if it is of neither vendor. */
static uint32_t own_signature(enum vpmu_vendor_id *vendor)
{
#if defined(__x86_64__) || defined(__i386__)
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	*vendor = ebx == signature_INTEL_ebx ? VPMU_INTEL : VPMU_AMD;
	if (ebx != signature_INTEL_ebx && ebx != signature_AMD_ebx)
		return 0;
	__cpuid(1, eax, ebx, ecx, edx);
	return eax;
#else
	*vendor = VPMU_INTEL;
	return 0;
#endif
}

static bool maps_raw(enum vpmu_vendor_id vendor, uint32_t signature)
{
	struct vpmu_perf_event_options options = { .vendor = vendor, .signature = signature };
	struct vpmu_event event = event_of(VPMU_EVENT_RAW, 0xd1, 0x20);
	struct perf_event_attr attr = { 0 };

	return vpmu_perf_event_hardware(&options, &event, &attr);
}

static void same_model(void **state)
{
	enum vpmu_vendor_id vendor;
	uint32_t own = own_signature(&vendor);

	(void)state;
	assert_false(maps_raw(VPMU_INTEL, 0));
	assert_false(maps_raw(VPMU_AMD, 0));
	assert_int_equal(maps_raw(vendor, own), own != 0);
	assert_false(maps_raw(vendor == VPMU_AMD ? VPMU_INTEL : VPMU_AMD, own));
	/* The stepping is the same processor; a bit of the model or the family is another. */
	for (unsigned int bit = 0; bit < 32 && own; bit++)
		assert_int_equal(maps_raw(vendor, own ^ (1u << bit)),
				 bit < 4 || (bit >= 12 && bit < 16) || bit >= 28);
}

/* Kinds of cores. A folder as sysfs has it, on any machine. */

static char folder[] = "/tmp/vpmu-cores-XXXXXX";

static void put_file(const char *pmu, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, pmu);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/format", folder, pmu);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", folder, pmu, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_folder(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

static void put_pmu(const char *name, const char *type, const char *cpus)
{
	put_file(name, "type", type);
	put_file(name, "cpus", cpus);
	put_file(name, "format/offcore_rsp", "config1:0-63\n");
}

static void one_kind_of_core(void **state)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_RAW, .config = 0x1b7, .config1 = 1 };
	struct machine machine;

	(void)state;
	make_folder();
	machine = machine_at(folder);
	/* There is none. */
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), ENOENT);
	assert_int_equal(machine.count, 0);
	put_file("uncore_imc", "type", "12\n");
	put_file("uncore_imc", "cpumask", "0\n");
	put_file("cpu", "type", "4\n");
	machine = machine_at(folder);
	/* A kernel that has no name for config1 would ignore it. */
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), ENOENT);
	assert_int_equal(machine.count, 1);
	put_file("cpu", "format/offcore_rsp", "config1:0-63\n");
	machine = machine_at(folder);
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), 0);
	assert_int_equal(attr.type, PERF_TYPE_RAW);
	attr.config = 0x1c6;
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), ENOENT);
	attr = (struct perf_event_attr){ .type = PERF_TYPE_HARDWARE, .config = 1 };
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), 0);
	assert_int_equal(attr.config, 1);
	remove_folder();
}

static void lists_of_cpus(void **state)
{
	static const struct {
		const char *list;
		bool is_one;
		uint64_t cpus;
	} rows[] = {
		{ "0\n", true, 1 },
		{ "0-3\n", true, 0xf },
		{ "1,3-4,63\n", true, UINT64_C(1) << 63 | 0x1a },
		{ "\n", true, 0 },
		{ "3-1\n", false, 0 },
		{ "1-\n", false, 0 },
		{ "0-99999\n", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct machine machine;

		make_folder();
		put_pmu("cpu_atom", "10\n", rows[i].list);
		machine = machine_at(folder);
		assert_int_equal(vpmu_pe_machine_counts(&machine, 10), rows[i].is_one);
		for (unsigned int cpu = 0; cpu < 64 && rows[i].is_one; cpu++)
			assert_int_equal(CPU_ISSET(cpu, &machine.pmus[0].cpus) != 0,
					 rows[i].cpus >> cpu & 1);
		remove_folder();
	}
}

/* A machine whose CPU 0 is of one kind, and its other ones of another. */
static void make_hybrid(void)
{
	make_folder();
	put_pmu("cpu_core", "4\n", "0\n");
	put_pmu("cpu_atom", "10\n", "1-1023\n");
	put_file("cpu_core", "format/frontend", "config1:0-23\n");
}

static uint64_t placed_type(struct machine *machine, int cpu)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE, .config = 5 };

	assert_int_equal(vpmu_pe_machine_place(machine, cpu, &attr), 0);
	assert_int_equal(attr.type, PERF_TYPE_HARDWARE);
	assert_int_equal(attr.config & UINT32_MAX, 5);
	/* Where it is placed already, it can be placed again. */
	assert_int_equal(vpmu_pe_machine_place(machine, 0, &attr), 0);
	assert_int_equal(attr.config, UINT64_C(4) << 32 | 5);
	assert_int_equal(vpmu_pe_machine_place(machine, cpu, &attr), 0);
	return attr.config >> 32;
}

static void two_kinds_of_cores(void **state)
{
	struct perf_event_attr attr;
	struct machine machine;
	int cpus[2];

	(void)state;
	need_two_cpus(cpus);
	if (cpus[0] != 0) {
		print_message("# needs processor 0\n");
		skip();
	}
	make_hybrid();
	machine = machine_at(folder);
	assert_int_equal(placed_type(&machine, 0), 4);
	assert_int_equal(machine.count, 2);
	/* It is read once. */
	remove_folder();
	assert_true(vpmu_pe_machine_counts(&machine, 10));
	assert_false(vpmu_pe_machine_counts(&machine, 11));
	assert_int_equal(placed_type(&machine, 7), 10);
	/* A processor that no list has. */
	attr = (struct perf_event_attr){ .type = PERF_TYPE_HARDWARE };
	assert_int_equal(vpmu_pe_machine_place(&machine, CPU_SETSIZE, &attr), EXDEV);
	/* An event that follows its thread, which may run on both kinds. */
	attr = (struct perf_event_attr){ .type = PERF_TYPE_HARDWARE };
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), EXDEV);
	attr = (struct perf_event_attr){ .type = PERF_TYPE_SOFTWARE };
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), 0);
	/* An encoding means what it does on one of them. */
	attr = (struct perf_event_attr){ .type = PERF_TYPE_RAW, .config = 0x1c6, .config1 = 1 };
	assert_int_equal(vpmu_pe_machine_place(&machine, 0, &attr), EXDEV);
	move_to(0);
	assert_int_equal(placed_type(&machine, -1), 4);
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), 0);
	assert_int_equal(attr.type, 4);
	move_to(cpus[1]);
	assert_int_equal(placed_type(&machine, -1), 10);
	/* The other kind has no FRONTEND register. */
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), ENOENT);
	attr = (struct perf_event_attr){ .type = PERF_TYPE_RAW, .config = 0x1b7, .config1 = 1 };
	assert_int_equal(vpmu_pe_machine_place(&machine, -1, &attr), 0);
	assert_int_equal(attr.type, 10);
}

/* What the kernel was asked for last. This one has no such core: what it answers is its own. */
static void bound_on_two_kinds(void **state)
{
	struct vpmu_perf_event_options options = { .include_host = true };
	struct vcpu v;
	int cpus[2];

	(void)state;
	need_two_cpus(cpus);
	if (cpus[0] != 0) {
		print_message("# needs processor 0\n");
		skip();
	}
	make_hybrid();
	start_with(&v, options);
	v.source->machine = machine_at(folder);
	set(&v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	calls.opens = 0;
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	assert_int_equal(state_of(&v, 0).error, EXDEV);
	assert_false(state_of(&v, 0).bound);
	assert_int_equal(calls.opens, 0);
	/* Limited to one kind, it is asked for that. */
	move_to(cpus[1]);
	vpmu_ask_again(&v.pmu);
	assert_false(vpmu_service(&v.pmu));
	assert_int_equal(calls.opens, 1);
	assert_int_equal(calls.opened.type, PERF_TYPE_HARDWARE);
	assert_int_equal(calls.opened.config, UINT64_C(10) << 32 | PERF_COUNT_HW_INSTRUCTIONS);
	finish(&v);
	/* For a CPU, its own kind is asked for, and again after a move. */
	options.per_cpu = true;
	start_with(&v, options);
	v.source->machine = machine_at(folder);
	set(&v, PERFEVTSEL0, ALL_LEVELS | INSTRUCTIONS);
	assert_false(set_now(&v, GLOBAL_CTRL, 1));
	assert_int_equal(calls.opened.config >> 32, 10);
	move_to(0);
	vpmu_ask_again(&v.pmu);
	assert_false(vpmu_service(&v.pmu));
	assert_int_equal(calls.opened.config >> 32, 4);
	finish(&v);
	remove_folder();
}

int run_hardware_tests(void)
{
	const struct CMUnitTest tests[] = {
		sentence("each architectural event is the machine's own, reference cycles by their "
			 "counter",
			 architectural_events),
		sentence("an event in host or guest mode only is refused", nested_modes),
		sentence("a raw event is laid out as its vendor's event select register",
			 raw_configs),
		sentence("raw events need a guest of this vendor, family and model", same_model),
		sentence("a register that the kernel does not name refuses the event",
			 one_kind_of_core),
		sentence("sysfs' lists of processors are read", lists_of_cpus),
		sentence("an event is of the kind of core that the thread is limited to",
			 two_kinds_of_cores),
		sentence(
			"a thread that may run on two kinds of cores gets no event that follows it",
			bound_on_two_kinds),
	};

	return cmocka_run_group_tests_name("hardware", tests, prepare, NULL);
}
