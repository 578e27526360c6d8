/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See machine.h.
 */
#define _GNU_SOURCE
#include "machine.h"

#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#ifndef BENCH_FLAGS
#define BENCH_FLAGS "flags not known"
#endif

/* The first line of a small file, without its end; false if there is none. */
static bool first_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "r");
	bool read = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	return read;
}

/* A value of the first processor in /proc/cpuinfo; "" if it is not there. */
static void cpuinfo(const char *key, char *value, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[512];

	*value = '\0';
	while (file && !*value && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');
		size_t length = strcspn(line, "\t:");

		if (!colon || length != strlen(key) || strncmp(line, key, length) != 0)
			continue;
		colon += strspn(colon + 1, " ") + 1;
		snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
	}
	if (file)
		fclose(file);
}

static void read_cpu(struct machine *machine)
{
	char name[64];
	char family[16];
	char model[16];
	char stepping[16];

	cpuinfo("model name", name, sizeof(name));
	cpuinfo("cpu family", family, sizeof(family));
	cpuinfo("model", model, sizeof(model));
	cpuinfo("stepping", stepping, sizeof(stepping));
	if (*family)
		snprintf(machine->cpu, sizeof(machine->cpu), "%s, family %s model %s stepping %s",
			 name, family, model, stepping);
	else
		snprintf(machine->cpu, sizeof(machine->cpu), "%s", *name ? name : "not known");
}

static void read_virtual(struct machine *machine)
{
	const char *name = "not known";
#if defined(__x86_64__)
	unsigned int a, b, c, d;
	char signature[13] = "";

	if (__get_cpuid(1, &a, &b, &c, &d)) {
		name = "no";
		if (c >> 31) {
			__cpuid(0x40000000, a, b, c, d);
			memcpy(signature, &b, 4);
			memcpy(signature + 4, &c, 4);
			memcpy(signature + 8, &d, 4);
			name = *signature ? signature : "yes, under an unnamed hypervisor";
		}
	}
	if (!strcmp(name, "KVMKVMKVM"))
		name = "yes, under KVM";
	if (!strcmp(name, "TCGTCGTCGTCG"))
		name = "yes, under QEMU's TCG";
#endif
	snprintf(machine->virtual, sizeof(machine->virtual), "%s", name);
}

bool machine_has_cycles(void)
{
	struct machine machine;

	read_virtual(&machine);
	return !strstr(machine.virtual, "TCG");
}

/* "Mitigation: Retpolines; STIBP: disabled" -> "Retpolines". */
static void shorten(char *line)
{
	const char *start = line;

	if (!strncmp(line, "Mitigation: ", 12))
		start += 12;
	memmove(line, start, strlen(start) + 1);
	line[strcspn(line, ";")] = '\0';
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void read_mitigations(struct machine *machine)
{
	static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
	struct dirent **entries;
	int count = scandir(folder, &entries, is_file, alphasort);
	size_t used = 0;

	snprintf(machine->mitigations, sizeof(machine->mitigations), "%s",
		 count < 0 ? "not known" : "none needed");
	for (int i = 0; i < count; i++) {
		char path[sizeof(folder) + 1 + sizeof(entries[i]->d_name)];
		char line[256];

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (first_line(path, line, sizeof(line)) && strcmp(line, "Not affected") != 0 &&
		    used < sizeof(machine->mitigations)) {
			shorten(line);
			used += (size_t)snprintf(machine->mitigations + used,
						 sizeof(machine->mitigations) - used, "%s%s: %s",
						 used ? "; " : "", entries[i]->d_name, line);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void read_governor(struct machine *machine)
{
	if (!first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", machine->governor,
			sizeof(machine->governor)))
		snprintf(machine->governor, sizeof(machine->governor),
			 "none: the kernel does not set this CPU's frequency");
}

static void read_counters(struct machine *machine)
{
	struct measure_counters counters;
	bool instructions;
	bool misses;

	measure_counters_open(&counters);
	instructions = counters.fd[MEASURE_INSTRUCTIONS] >= 0;
	misses = counters.fd[MEASURE_BRANCH_MISSES] >= 0;
	measure_counters_close(&counters);
	if (instructions && misses)
		snprintf(machine->counters, sizeof(machine->counters), "yes");
	else if (instructions || misses)
		snprintf(machine->counters, sizeof(machine->counters), "only of %s",
			 instructions ? "instructions" : "branch misses");
	else
		snprintf(machine->counters, sizeof(machine->counters), "none (%s)",
			 strerror(counters.error[MEASURE_INSTRUCTIONS]));
}

void machine_read(struct machine *machine)
{
	struct utsname name;

	*machine = (struct machine){ 0 };
	uname(&name);
	snprintf(machine->kernel, sizeof(machine->kernel), "%s %s", name.sysname, name.release);
	read_cpu(machine);
	read_virtual(machine);
	read_mitigations(machine);
	read_governor(machine);
	read_counters(machine);
#if defined(__clang__)
	snprintf(machine->compiler, sizeof(machine->compiler), "%s", __VERSION__ ", " BENCH_FLAGS);
#else
	snprintf(machine->compiler, sizeof(machine->compiler), "GCC %s",
		 __VERSION__ ", " BENCH_FLAGS);
#endif
	machine->tsc_hz = measure_frequency();
	if (machine_has_cycles())
		machine->core_hz = measure_core_frequency();
}

static void line(FILE *file, const char *name, const char *value)
{
	fprintf(file, "  %-12s %s\n", name, value);
}

void machine_print(FILE *file, const struct machine *machine)
{
	line(file, "CPU", machine->cpu);
	if (machine->core_hz > 0)
		fprintf(file, "  %-12s time stamp counter %.0f MHz, core then about %.0f MHz\n",
			"clocks", machine->tsc_hz / 1e6, machine->core_hz / 1e6);
	line(file, "governor", machine->governor);
	line(file, "virtualised", machine->virtual);
	line(file, "kernel", machine->kernel);
	line(file, "mitigations", machine->mitigations);
	line(file, "counters", machine->counters);
	line(file, "compiler", machine->compiler);
}

json_t *machine_json(const struct machine *machine)
{
	json_t *json = json_object();

	json_object_set_new(json, "cpu", json_from_text(machine->cpu));
	json_object_set_new(json, "tsc_hz", json_from_number(machine->tsc_hz));
	json_object_set_new(json, "core_hz",
			    json_from_number(machine->core_hz > 0 ? machine->core_hz : NAN));
	json_object_set_new(json, "governor", json_from_text(machine->governor));
	json_object_set_new(json, "virtualised", json_from_text(machine->virtual));
	json_object_set_new(json, "kernel", json_from_text(machine->kernel));
	json_object_set_new(json, "mitigations", json_from_text(machine->mitigations));
	json_object_set_new(json, "counters", json_from_text(machine->counters));
	json_object_set_new(json, "compiler", json_from_text(machine->compiler));
	return json;
}
