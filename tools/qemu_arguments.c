/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What QEMU's own arguments mean for the PMU: the accelerator, and the guest's
 * CPU model. QEMU judges everything else about them.
 */
#define _GNU_SOURCE
#include "cpu_models.h"
#include "family.h"
#include "pmu.h"
#include "qemu.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORKS_INTEL                                                                                \
	"-cpu Skylake-Server works, and so does every Intel model from coreduo and Nehalem on"
#define WORKS_AMD "-cpu EPYC works, and so does every AMD model"

#define LEAF_PMU 10

struct cpu {
	const char *model; /* as written; NULL: none was */
	size_t model_length;
	const char *vendor; /* vendor=; NULL: the model's own */
	size_t vendor_length;
	unsigned long level;         /* level=; 0: the model's own */
	const char *family, *number; /* family= and model=; NULL: the model's own */
	bool pmu_off;
};

static bool is(const char *word, size_t length, const char *what)
{
	return strlen(what) == length && !strncmp(word, what, length);
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
	} else if (is(feature, name, "family")) {
		cpu->family = value;
	} else if (is(feature, name, "model")) {
		cpu->number = value;
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

/* What the guest's CPUID says. */
struct identity {
	const char *name; /* of the model */
	size_t length;
	const char *vendor; /* "Intel", "AMD", or another */
	unsigned long level;
	uint32_t signature;
};

static const char *vendor_of(const struct cpu *cpu, const struct cpu_model *model)
{
	if (!cpu->vendor)
		return model ? model->vendor : "Intel";
	if (is(cpu->vendor, cpu->vendor_length, "GenuineIntel"))
		return "Intel";
	if (is(cpu->vendor, cpu->vendor_length, "AuthenticAMD"))
		return "AMD";
	return text("vendor=%.*s", (int)cpu->vendor_length, cpu->vendor);
}

/* A model that is not known is QEMU's to refuse, or a newer one of Intel's. */
static struct identity identify(const struct cpu *cpu)
{
	struct identity id = { .name = cpu->model ? cpu->model : "qemu64",
			       .length = cpu->model ? cpu->model_length : strlen("qemu64") };
	const struct cpu_model *model = cpu_model_find(id.name, id.length);
	unsigned long family = model ? model->family : 0, number = model ? model->model : 0;

	id.vendor = vendor_of(cpu, model);
	id.level = cpu->level ? cpu->level : model ? model->level : LEAF_PMU;
	if (cpu->family)
		family = strtoul(cpu->family, NULL, 0);
	if (cpu->number)
		number = strtoul(cpu->number, NULL, 0);
	id.signature = family_signature((unsigned int)family, (unsigned int)number);
	return id;
}

static bool is_intel(const struct identity *id)
{
	return !strcmp(id->vendor, "Intel");
}

static bool is_amd(const struct identity *id)
{
	return !strcmp(id->vendor, "AMD");
}

/* The PMU of one vendor is none that the other's CPU can have. */
static const char *wrong_vendor(const struct cpu *cpu, const struct identity *id, bool amd)
{
	const char *wanted = amd ? "AMD" : "Intel";
	const char *works = amd ? WORKS_AMD : WORKS_INTEL " (AMD's: --pmu amd-v2)";

	if (cpu->vendor)
		return text("the guest's CPU has %s, which is not %s; %s", id->vendor, wanted,
			    works);
	if (!cpu->model)
		return text("without -cpu QEMU's guest has an AMD CPU, not an Intel one; %s",
			    works);
	return text("-cpu %.*s is not an %s CPU (%s); %s", (int)id->length, id->name, wanted,
		    id->vendor, works);
}

static const char *check_cpu(const struct cpu *cpu, const struct identity *id, bool amd)
{
	if (amd ? !is_amd(id) : !is_intel(id))
		return wrong_vendor(cpu, id, amd);
	if (!amd && id->level < LEAF_PMU)
		return text("-cpu %.*s is too old to have a PMU (its CPUID ends at leaf %lu, "
			    "before 0AH); " WORKS_INTEL,
			    (int)id->length, id->name, id->level);
	return NULL;
}

static const char *settle(const struct cpu *cpu, struct qemu_guest *guest)
{
	struct identity id = identify(cpu);
	struct vpmu_config config;

	guest->signature = id.signature;
	if (cpu->pmu_off)
		guest->pmu = "off";
	else if (!strcmp(guest->pmu, PMU_AUTO))
		guest->pmu = family_pmu(is_amd(&id) ? VPMU_AMD : VPMU_INTEL, id.signature);
	arguments_pmu(guest->pmu, &config);
	return config.version ? check_cpu(cpu, &id, config.vendor == VPMU_AMD) : NULL;
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

const char *qemu_settle_guest(const char *path, char *const *arguments, struct qemu_guest *guest)
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
	/* QEMU prefers KVM if its own name ends so. */
	if (!reading.accelerator_named && has_suffix(path, "kvm"))
		reading.accelerator = "kvm";
	if (reading.accelerator)
		return text("-accel %s is not served yet: there is a PMU only with -accel tcg",
			    reading.accelerator);
	return settle(&reading.cpu, guest);
}
