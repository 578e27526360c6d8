/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The options of a throw-away guest: what --help says of them, taking and checking them.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "tools/qemu.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CPUS_MAX 64

/* Bytes that a kernel needs to start, beside those of its own file: found by trying. */
#define BESIDE_KERNEL (32ull << 20)

const char guest_usage[] =
	"  --pmu PMU          " PMU_USAGE ",\n"
	"                     " ARGUMENTS_PMUS_2 "; auto, the default, is what a CPU\n"
	"                     named by --cpu has, else " PMU_MOST ": the most counters\n"
	"  --cpi N            cycles per instruction (default 1)\n"
	"  --models on|off    models of a branch predictor and caches (default off)\n"
	"  --cache CACHES     the model's caches, such as l1d=48k:12:64+llc=2m:16:64\n"
	"  --cpu MODEL        the guest's CPU, as QEMU's -cpu (default Skylake-Server or EPYC)\n"
	"  --cpus N           virtual CPUs (default 1)\n"
	"  --memory SIZE      as QEMU's -m (default 2G)\n"
	"  --files HOW        how the guest sees this machine's files: virtiofs, 9p, or auto, the\n"
	"                     default: virtiofs where it works\n"
	"  --deterministic    the same command counts the same: fixed addresses, entropy, clock,\n"
	"                     environment, and one CPU\n"
	"  --kernel VERSION   6.1, 6.12 or 7.3 (default 6.1)\n"
	"  --bring-out FILE   bring FILE, which may be a folder, out of the guest; repeatable\n"
	"  --bring-out-all    bring all new or changed files of the working directory out\n"
	"  --writable DIR     what is written in DIR is written here; repeatable\n"
	"  --regions          count only what the program has marked (vpmu/region.h)\n"
	"  --qemu PATH        the QEMU to use\n"
	"  --tcg PROPERTIES   of QEMU's TCG, such as one-insn-per-tb=on\n"
	"  --append TEXT      more kernel parameters\n"
	"  --console FILE     write the guest kernel's messages to FILE\n"
	"  --report FILE      append the plugin's report to FILE\n"
	"  --trace FILE       record what the guest does with its PMU in FILE\n"
	"  --plugin FILE      the plugin to use\n"
	"  --accel ACCEL      tcg (default), or kvm: this machine's KVM, and the PMU is KVM's;\n"
	"                     --pmu is auto or off then\n"
	"  --module FILE[:PARAMETERS]\n"
	"                     load this module of the guest's kernel first; repeatable, in order\n"
	"  --strict           exit with 3 if the guest wanted an event that is not counted\n"
	"  --no-snapshot      boot the guest, though one is kept that has booted already\n"
	"  --verbose          say how long each phase of the run takes\n"
	"  --help             this text\n";

static char *folder_path(const char *name)
{
	char *path = realpath(name, NULL);
	struct stat st;

	if (!path || stat(path, &st))
		fail("--writable %s: %s", name, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		fail("--writable %s: it is no folder", name);
	if (!strcmp(path, "/"))
		fail("--writable /: all of this machine's files, those of the guest's system among "
		     "them, are never writable");
	return path;
}

/* Those that may come several times. */
static bool take_repeatable(struct guest_options *options, char **argv, int *i)
{
	const char *value = option_value(argv, i, "--bring-out");

	if (value) {
		args_add(&options->out, value);
		return true;
	}
	value = option_value(argv, i, "--writable");
	if (value) {
		args_add(&options->writable, folder_path(value));
		return true;
	}
	value = option_value(argv, i, "--module");
	if (value)
		args_add(&options->modules, value);
	return value != NULL;
}

/* Those that are there or not. */
static bool take_switch(struct guest_options *options, const char *word)
{
	const struct {
		const char *name;
		bool *to;
	} known[] = {
		{ "--bring-out-all", &options->out_all },
		{ "--regions", &options->regions },
		{ "--deterministic", &options->deterministic },
		{ "--strict", &options->strict },
		{ "--no-snapshot", &options->no_snapshot },
		{ "--verbose", &options->verbose },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(word, known[i].name))
			return *known[i].to = true;
	return false;
}

bool guest_option_take(struct guest_options *options, char **argv, int *i)
{
	const struct option_text known[] = {
		{ "--accel", &options->accel },   { "--cpu", &options->cpu },
		{ "--cpus", &options->cpus },     { "--memory", &options->memory },
		{ "--kernel", &options->kernel }, { "--qemu", &options->qemu },
		{ "--append", &options->append }, { "--console", &options->console },
		{ "--tcg", &options->tcg },       { "--files", &options->files },
	};

	if (option_take(argv, i, known, sizeof(known) / sizeof(known[0])))
		return true;
	return take_switch(options, argv[*i]) || take_repeatable(options, argv, i) ||
	       pmu_option(&options->pmu, argv, i);
}

static bool memory_is_good(const char *memory)
{
	size_t digits = strspn(memory, "0123456789");

	return digits && digits < 7 &&
	       (!memory[digits] || (strchr("MGmg", memory[digits]) && !memory[digits + 1]));
}

/* MiB, if there is no letter. */
uint64_t guest_memory(const struct guest_options *options)
{
	char *unit;
	uint64_t size = strtoull(options->memory, &unit, 10);

	return size << (*unit && strchr("Gg", *unit) ? 30 : 20);
}

/* With less, a kernel panics early or hangs without a word. */
static void check_memory(const struct guest_options *options)
{
	const char *kernel = text("%s/%s/vmlinux", paths_get()->kernel, options->kernel);
	unsigned long long least;
	struct stat st;

	if (!memory_is_good(options->memory))
		fail("--memory is a size such as 512M or 2G, not `%s'", options->memory);
	if (stat(kernel, &st))
		fail("%s: %s", kernel, strerror(errno));
	least = (unsigned long long)st.st_size + BESIDE_KERNEL;
	if (guest_memory(options) < least)
		fail("--memory %s is too little: this kernel does not start with less than %lluM",
		     options->memory, (least >> 20) + 1);
}

static void check_kernel(const char *version)
{
	struct args versions = kernel_versions();

	if (!versions.count)
		fail("there is no guest kernel below %s: `make setup' brings them",
		     paths_get()->kernel);
	if (!g_strv_contains((const char *const *)versions.v, version))
		fail("there is no guest kernel `%s' for --kernel, but %s", version,
		     g_strjoinv(", ", versions.v));
	args_free(&versions);
}

static void check_files(const char *files)
{
	if (strcmp(files, FILES_AUTO) != 0 && strcmp(files, FILES_VIRTIOFS) != 0 &&
	    strcmp(files, FILES_9P) != 0)
		fail("--files is " FILES_AUTO ", " FILES_VIRTIOFS " or " FILES_9P ", not `%s'",
		     files);
}

static void check_options(const struct guest_options *options)
{
	unsigned long cpus;

	if (!parse_number(options->cpus, CPUS_MAX, &cpus) || !cpus)
		fail("--cpus is a number from 1 to %d, not `%s'", CPUS_MAX, options->cpus);
	if (options->deterministic && cpus != 1)
		fail("--deterministic needs --cpus 1: what CPUs do at the same time is chance");
	check_files(options->files);
	check_kernel(options->kernel);
	check_memory(options);
}

bool guest_has_kvm(const struct guest_options *options)
{
	return !strcmp(options->accel, "kvm");
}

/* What only TCG and our plugin can do. */
static const char *option_of_tcg(const struct guest_options *options)
{
	const struct pmu_options *pmu = &options->pmu, defaults = PMU_OPTIONS_DEFAULT;

	if (strcmp(pmu->pmu, PMU_AUTO) != 0 && strcmp(pmu->pmu, "off") != 0)
		return text("--pmu %s", pmu->pmu);
	if (strcmp(pmu->cpi, defaults.cpi) != 0)
		return "--cpi";
	if (strcmp(pmu->models, defaults.models) != 0 || pmu->cache)
		return "--models";
	if (pmu->report || pmu->trace)
		return pmu->report ? "--report" : "--trace";
	if (options->tcg || pmu->plugin)
		return pmu->plugin ? "--plugin" : "--tcg";
	return options->deterministic ? "--deterministic" : NULL;
}

static void settle_kvm(struct guest_options *options)
{
	const char *option = option_of_tcg(options);

	if (option)
		fail("with --accel kvm the guest's PMU is KVM's: there is no %s", option);
	if (access("/dev/kvm", R_OK | W_OK))
		fail("/dev/kvm: %s", strerror(errno));
	if (!options->cpu)
		options->cpu = "host";
	if (!strcmp(options->pmu.pmu, "off"))
		options->cpu = text("%s,pmu=off", options->cpu);
}

void guest_options_settle(struct guest_options *options)
{
	check_options(options);
	if (guest_has_kvm(options))
		settle_kvm(options);
	else if (!strcmp(options->accel, "tcg"))
		pmu_settle(&options->pmu, &options->cpu);
	else
		fail("--accel is tcg or kvm, not `%s'", options->accel);
}

int guest_options_take(struct guest_options *options, char **argv, const char *usage)
{
	int i = 1;

	for (; argv[i] && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--help")) {
			fprintf(stdout, "%s\n%s", usage, guest_usage);
			return 0;
		}
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (!guest_option_take(options, argv, &i))
			fail("%s: unknown option `%s' (vpmu %s --help lists them; the options of "
			     "what it runs come after that)",
			     argv[0], argv[i], argv[0]);
	}
	guest_options_settle(options);
	return i;
}
