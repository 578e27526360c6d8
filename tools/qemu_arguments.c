/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What QEMU's own arguments mean for the PMU: the accelerator, and the guest's
 * CPU model. QEMU judges everything else about them.
 */
#define _GNU_SOURCE
#include "qemu.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORKS_INTEL                                                                                \
	"-cpu Skylake-Server works, and so does every Intel model from coreduo and Nehalem on"
#define WORKS_AMD "-cpu EPYC works, and so does every AMD model"

/*
 * The models that are not Intel's, or end before CPUID leaf 0AH, as QEMU 11.1
 * answers query-cpu-model-expansion. Every other model of QEMU is Intel's and
 * has the leaf; a model that QEMU does not know is QEMU's to refuse. With "*"
 * a name stands for all that begin so.
 */
static const struct model {
	const char *name;
	const char *vendor; /* NULL: Intel's, but ends too early */
	unsigned int level;
} models[] = {
	{ "qemu64", "AMD", 13 },   { "max", "AMD", 13 },      { "athlon", "AMD", 2 },
	{ "phenom", "AMD", 5 },    { "EPYC*", "AMD", 13 },    { "Opteron*", "AMD", 13 },
	{ "Dhyana", "Hygon", 13 }, { "YongFeng", "VIA", 31 }, { "486", NULL, 1 },
	{ "pentium", NULL, 1 },    { "pentium2", NULL, 2 },   { "pentium3", NULL, 3 },
	{ "qemu32", NULL, 4 },     { "kvm32", NULL, 5 },      { "base", "no vendor", 0 },
};

#define LEAF_PMU 10

struct cpu {
	const char *model; /* as written; NULL: none was */
	size_t model_length;
	const char *vendor; /* vendor=; NULL: the model's own */
	size_t vendor_length;
	unsigned long level; /* level=; 0: the model's own */
	bool pmu_off;
};

static bool is(const char *word, size_t length, const char *what)
{
	return strlen(what) == length && !strncmp(word, what, length);
}

/* Without the "-v2" of a versioned model. */
static size_t base_length(const char *model, size_t length)
{
	size_t at = length;

	while (at && model[at - 1] >= '0' && model[at - 1] <= '9')
		at--;
	if (at < length && at >= 2 && !strncmp(model + at - 2, "-v", 2))
		return at - 2;
	return length;
}

static const struct model *find_model(const char *name, size_t length)
{
	length = base_length(name, length);
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		size_t known = strlen(models[i].name);

		if (models[i].name[known - 1] == '*') {
			if (length >= known - 1 && !strncmp(name, models[i].name, known - 1))
				return &models[i];
		} else if (is(name, length, models[i].name)) {
			return &models[i];
		}
	}
	return NULL;
}

static bool is_off(const char *value, size_t length)
{
	return is(value, length, "off") || is(value, length, "no") || is(value, length, "false") ||
	       is(value, length, "n");
}

static void parse_feature(struct cpu *cpu, const char *feature, size_t length)
{
	const char *equals = memchr(feature, '=', length);
	size_t name = equals ? (size_t)(equals - feature) : length;
	const char *value = equals ? equals + 1 : "on";
	size_t value_length = equals ? length - name - 1 : 2;

	if (is(feature, name, "pmu")) {
		cpu->pmu_off = is_off(value, value_length);
	} else if (is(feature, name, "vendor")) {
		cpu->vendor = value;
		cpu->vendor_length = value_length;
	} else if (is(feature, name, "level")) {
		cpu->level = strtoul(value, NULL, 0);
	}
}

/* "model,feature=value,+feature,-feature": + wins over "=", and - over both. */
static struct cpu parse_cpu(const char *word)
{
	struct cpu cpu = { .model = word, .model_length = strcspn(word, ",") };
	bool plus = false, minus = false;

	word += cpu.model_length;
	while (*word) {
		size_t length = strcspn(++word, ",");

		plus |= is(word, length, "+pmu");
		minus |= is(word, length, "-pmu");
		parse_feature(&cpu, word, length);
		word += length;
	}
	cpu.pmu_off = minus || (cpu.pmu_off && !plus);
	return cpu;
}

/* The PMU of one vendor is none that the other's CPU can have. other: whose the CPU is. */
static const char *wrong_vendor(const struct cpu *cpu, bool amd, const char *other)
{
	const char *wanted = amd ? "AMD" : "Intel";
	const char *works = amd ? WORKS_AMD : WORKS_INTEL " (AMD's: --pmu amd-v2)";

	if (cpu->vendor)
		return text("the guest's CPU has vendor=%.*s, which is not %s; %s",
			    (int)cpu->vendor_length, cpu->vendor, wanted, works);
	if (!cpu->model)
		return text("without -cpu QEMU's guest has an AMD CPU, not an Intel one; %s",
			    works);
	return text("-cpu %.*s is not an %s CPU (%s); %s", (int)cpu->model_length, cpu->model,
		    wanted, other, works);
}

static const char *check_cpu(const struct cpu *cpu, enum vpmu_vendor_id pmu)
{
	const char *name = cpu->model ? cpu->model : "qemu64";
	size_t length = cpu->model ? cpu->model_length : strlen(name);
	const struct model *model = find_model(name, length);
	const char *vendor = model && model->vendor ? model->vendor : "Intel";
	unsigned long level = cpu->level ? cpu->level : model ? model->level : LEAF_PMU;

	if (cpu->vendor && is(cpu->vendor, cpu->vendor_length, "GenuineIntel"))
		vendor = "Intel";
	else if (cpu->vendor && is(cpu->vendor, cpu->vendor_length, "AuthenticAMD"))
		vendor = "AMD";
	else if (cpu->vendor)
		vendor = "";
	if (strcmp(vendor, pmu == VPMU_AMD ? "AMD" : "Intel") != 0)
		return wrong_vendor(cpu, pmu == VPMU_AMD, vendor);
	if (pmu == VPMU_INTEL && level < LEAF_PMU)
		return text("-cpu %.*s is too old to have a PMU (its CPUID ends at leaf %lu, "
			    "before 0AH); " WORKS_INTEL,
			    (int)length, name, level);
	return NULL;
}

static bool is_accelerator(const char *word, size_t length)
{
	static const char *const others[] = { "kvm",  "hvf",  "whpx",  "xen",
					      "nvmm", "mshv", "nitro", "qtest" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (is(word, length, others[i]))
			return true;
	return false;
}

/* The first accelerator of "kvm:tcg,option=..." that is not TCG. */
static const char *other_accelerator(const char *list)
{
	size_t length = strcspn(list, ",");

	while (length) {
		size_t word = strcspn(list, ":,");

		if (is_accelerator(list, word))
			return text("%.*s", (int)word, list);
		length -= word;
		list += word;
		if (length) {
			length--;
			list++;
		}
	}
	return NULL;
}

/* The value of name= in "type,name=value,..."; the last one wins. */
static const char *property(const char *list, const char *name)
{
	const char *value = NULL;
	size_t length = strlen(name);

	for (;;) {
		if (!strncmp(list, name, length) && list[length] == '=')
			value = list + length + 1;
		list += strcspn(list, ",");
		if (!*list++)
			return value;
	}
}

/* An option's name without its dashes, or NULL if the word is no option. */
static const char *option_name(const char *word)
{
	if (word[0] != '-' || !word[1])
		return NULL;
	return word + (word[1] == '-' ? 2 : 1);
}

static bool has_suffix(const char *word, const char *suffix)
{
	size_t length = strlen(word), end = strlen(suffix);

	return length >= end && !strcmp(word + length - end, suffix);
}

struct reading {
	struct cpu cpu;
	const char *accelerator; /* one that is not TCG */
	bool accelerator_named;
};

static void read_option(struct reading *reading, const char *name, const char *value)
{
	const char *list = NULL;

	if (!strcmp(name, "enable-kvm"))
		list = "kvm";
	else if (value && !strcmp(name, "cpu"))
		reading->cpu = parse_cpu(value);
	else if (value && !strcmp(name, "accel"))
		list = strncmp(value, "accel=", 6) ? value : value + 6;
	else if (value && (!strcmp(name, "machine") || !strcmp(name, "M")))
		list = property(value, "accel");
	if (!list)
		return;
	reading->accelerator_named = true;
	if (!reading->accelerator)
		reading->accelerator = other_accelerator(list);
}

static bool takes_any_text(const char *name)
{
	static const char *const names[] = { "append", "cpu", "accel", "machine", "M", "name" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

const char *qemu_check_arguments(const char *path, char *const *arguments,
				 const struct vpmu_config *pmu, bool *off)
{
	struct reading reading = { 0 };

	for (; *arguments; arguments++) {
		const char *name = option_name(*arguments);

		if (!name)
			continue;
		read_option(&reading, name, arguments[1]);
		/* What looks like an option is the value of the one before. */
		if (takes_any_text(name) && arguments[1])
			arguments++;
	}
	*off = reading.cpu.pmu_off;
	/* QEMU prefers KVM if its own name ends so. */
	if (!reading.accelerator_named && has_suffix(path, "kvm"))
		reading.accelerator = "kvm";
	if (reading.accelerator)
		return text("-accel %s is not served yet: there is a PMU only with -accel tcg",
			    reading.accelerator);
	return pmu->version && !*off ? check_cpu(&reading.cpu, pmu->vendor) : NULL;
}
