/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See machine.h; perf_event_open(2) on PERF_TYPE_HARDWARE's extended type, the kernel's
 * Documentation/ABI/testing/sysfs-bus-event_source-devices-*, and SDM vol. 2, CPUID.
 */
#define _GNU_SOURCE
#include "machine.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* CPUID.01H:EAX without the stepping and the processor type. */
#define FAMILY_AND_MODEL UINT32_C(0x0fff0ff0)

static bool is_vendor(enum vpmu_vendor_id vendor)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx))
		return false;
	switch (vendor) {
	case VPMU_INTEL:
		return ebx == signature_INTEL_ebx && ecx == signature_INTEL_ecx &&
		       edx == signature_INTEL_edx;
	case VPMU_AMD:
		return ebx == signature_AMD_ebx && ecx == signature_AMD_ecx &&
		       edx == signature_AMD_edx;
	}
	return false;
}

bool vpmu_pe_machine_is(enum vpmu_vendor_id vendor, uint32_t signature)
{
	unsigned int eax, ebx, ecx, edx;

	return is_vendor(vendor) && __get_cpuid(1, &eax, &ebx, &ecx, &edx) &&
	       ((eax ^ signature) & FAMILY_AND_MODEL) == 0;
}
#else
bool vpmu_pe_machine_is(enum vpmu_vendor_id vendor, uint32_t signature)
{
	(void)vendor;
	(void)signature;
	return false;
}
#endif

/* Sysfs. */

/* FOLDER/PMU/NAME; empty if that is too long. */
struct path {
	char name[512];
};

static struct path path_of(const char *folder, const char *pmu, const char *name)
{
	struct path path;

	if (snprintf(path.name, sizeof(path.name), "%s/%s/%s", folder, pmu, name) >=
	    (int)sizeof(path.name))
		path.name[0] = '\0';
	return path;
}

static FILE *open_file(const char *folder, const char *pmu, const char *name)
{
	return fopen(path_of(folder, pmu, name).name, "re");
}

static bool has_file(const char *folder, const char *pmu, const char *name)
{
	return access(path_of(folder, pmu, name).name, F_OK) == 0;
}

/* A list as 0-3,8,10-11; one that is empty is a list, too. */
static bool read_cpus(FILE *file, cpu_set_t *cpus)
{
	unsigned int first, last;
	int next;

	CPU_ZERO(cpus);
	for (int found = fscanf(file, "%u", &first); found == 1;) {
		last = first;
		next = fgetc(file);
		if (next == '-') {
			if (fscanf(file, "%u", &last) != 1)
				return false;
			next = fgetc(file);
		}
		if (last < first || last >= CPU_SETSIZE)
			return false;
		for (unsigned int cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, cpus);
		if (next != ',')
			break;
		found = fscanf(file, "%u", &first);
	}
	return true;
}

static unsigned int read_formats(const char *folder, const char *pmu)
{
	unsigned int formats = 0;

	if (has_file(folder, pmu, "format/offcore_rsp"))
		formats |= MACHINE_OFFCORE_RSP;
	if (has_file(folder, pmu, "format/frontend"))
		formats |= MACHINE_FRONTEND;
	return formats;
}

/* A PMU of cores has a file "cpus"; one outside of the cores has a "cpumask". */
static bool read_pmu(struct machine_pmu *pmu, const char *folder, const char *name)
{
	FILE *cpus = open_file(folder, name, "cpus");
	FILE *type = open_file(folder, name, "type");
	bool is_one = cpus && type && fscanf(type, "%" SCNu32, &pmu->type) == 1 &&
		      read_cpus(cpus, &pmu->cpus);

	if (cpus)
		fclose(cpus);
	if (type)
		fclose(type);
	if (is_one)
		pmu->formats = read_formats(folder, name);
	return is_one;
}

/* Where all cores are the same, their PMU has this name, and says nothing of CPUs. */
static bool read_only_pmu(struct machine *machine)
{
	if (!has_file(machine->folder, "cpu", "type"))
		return false;
	machine->count = 1;
	machine->pmus[0].type = PERF_TYPE_RAW;
	machine->pmus[0].formats = read_formats(machine->folder, "cpu");
	return true;
}

static void read_pmus(struct machine *machine)
{
	DIR *directory = opendir(machine->folder);
	struct dirent *entry;

	if (!directory)
		return;
	while (machine->count < MACHINE_PMUS && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' &&
		    read_pmu(&machine->pmus[machine->count], machine->folder, entry->d_name))
			machine->count++;
	closedir(directory);
}

/* What cannot be read is not there. */
static void read_machine(struct machine *machine)
{
	if (machine->is_read)
		return;
	machine->is_read = true;
	machine->count = 0;
	if (!read_only_pmu(machine))
		read_pmus(machine);
}

bool vpmu_pe_machine_counts(struct machine *machine, uint32_t type)
{
	switch (type) {
	case PERF_TYPE_HARDWARE:
	case PERF_TYPE_HW_CACHE:
	case PERF_TYPE_RAW:
		return true;
	case PERF_TYPE_SOFTWARE:
	case PERF_TYPE_TRACEPOINT:
	case PERF_TYPE_BREAKPOINT:
		return false;
	default:
		break;
	}
	read_machine(machine);
	for (unsigned int i = 0; i < machine->count; i++)
		if (machine->pmus[i].type == type)
			return true;
	return false;
}

/* Placement. */

static const struct machine_pmu *pmu_of_all(const struct machine *machine, const cpu_set_t *cpus)
{
	for (unsigned int i = 0; i < machine->count && CPU_COUNT(cpus) > 0; i++) {
		cpu_set_t common;

		CPU_AND(&common, cpus, &machine->pmus[i].cpus);
		if (CPU_EQUAL(&common, cpus))
			return &machine->pmus[i];
	}
	return NULL;
}

/* The only kind of core that the event may run on; NULL: there are several. */
static const struct machine_pmu *find_pmu(const struct machine *machine, int cpu)
{
	cpu_set_t cpus;

	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET((unsigned int)cpu, &cpus);
	} else if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0) {
		return NULL;
	}
	return pmu_of_all(machine, &cpus);
}

/* The format that says what config1 is for an event select of Intel's. */
static unsigned int needed_format(const struct perf_event_attr *attr)
{
	switch (attr->config1 ? attr->config & 0xff : 0) {
	case 0xb7:
	case 0xbb:
	case 0x2a:
	case 0x2b:
		return MACHINE_OFFCORE_RSP;
	case 0xc6:
		return MACHINE_FRONTEND;
	default:
		return 0;
	}
}

static int place_raw(const struct machine *machine, struct perf_event_attr *attr)
{
	const struct machine_pmu *pmu = machine->pmus;

	/* What an encoding means is up to the kind of core, also of a thread that moves. */
	if (machine->count > 1)
		pmu = find_pmu(machine, -1);
	if (!pmu)
		return EXDEV;
	/* A kernel that does not know config1 ignores it. */
	if (needed_format(attr) & ~(machine->count ? pmu->formats : 0))
		return ENOENT;
	if (machine->count > 1)
		attr->type = pmu->type;
	return 0;
}

/* Linux's own events exist on every kind of core; attr.config's upper half says which. */
static int place_generic(const struct machine *machine, int cpu, struct perf_event_attr *attr)
{
	const struct machine_pmu *pmu;

	if (machine->count < 2)
		return 0;
	pmu = find_pmu(machine, cpu);
	if (!pmu)
		return EXDEV;
	attr->config = (attr->config & UINT32_MAX) | (uint64_t)pmu->type << 32;
	return 0;
}

int vpmu_pe_machine_place(struct machine *machine, int cpu, struct perf_event_attr *attr)
{
	switch (attr->type) {
	case PERF_TYPE_HARDWARE:
	case PERF_TYPE_HW_CACHE:
		read_machine(machine);
		return place_generic(machine, cpu, attr);
	case PERF_TYPE_RAW:
		read_machine(machine);
		return place_raw(machine, attr);
	default:
		return 0;
	}
}
