/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu info: what this machine, a QEMU and a PMU configuration offer, event by
 * event. The facts are those that the plugin itself uses.
 */
#define _GNU_SOURCE
#include "bench/lib/json.h"
#include "commands.h"
#include "events.h"
#include "models/cache.h"
#include "models/predictor.h"
#include "pmu.h"
#include "qemu.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vpmu/vpmu.h>

const char info_usage[] =
	"usage: vpmu info [options]\n"
	"\n"
	"Says what this machine has, which QEMU was found and whether it serves, and what a\n"
	"PMU counts, event by event; and why not where not.\n"
	"\n"
	"  --pmu PMU      " PMU_USAGE ",\n"
	"                 " ARGUMENTS_PMUS_2 ": the PMU to describe; auto, the default,\n"
	"                 is what a CPU named by --cpu has, else " PMU_MOST "\n"
	"  --cpu MODEL    the CPU whose events are described, as QEMU's -cpu (default:\n"
	"                 Skylake-Server, or EPYC for one of AMD's PMUs)\n"
	"  --cpi N        cycles per instruction, 0.001 to 1000 (default: 1)\n"
	"  --models WHICH on or off: with models of a branch predictor and caches (default:\n"
	"                 off)\n"
	"  --cache CACHES the model's caches, as for vpmu run\n"
	"  --qemu QEMU    the QEMU to check: a path or a name (default: as vpmu perf finds it)\n"
	"  --json         print JSON: the same facts, yes and no as true and false\n"
	"  --help         this text\n"
	"\n"
	"The exit status is 0, also if something is missing; 2 for a wrong option.\n";

/* Where the facts go: they are printed as text, or collected as JSON. */
struct sheet {
	json_t *json;  /* NULL: text */
	json_t *group; /* of json, that which rows go to */
};

static void begin(struct sheet *sheet, const char *key, const char *title)
{
	if (!sheet->json) {
		puts(title);
		return;
	}
	sheet->group = json_object();
	json_object_set_new(sheet->json, key, sheet->group);
}

/* value: NULL if there is none, for which text has another word. */
static void row(struct sheet *sheet, const char *key, const char *name, const char *value,
		const char *none)
{
	if (sheet->json)
		json_object_set_new(sheet->group, key, json_from_text(value));
	else
		printf("  %-20s %s\n", name, value ? value : none);
}

/* A number of counters and their width. */
static void counters_row(struct sheet *sheet, const char *key, unsigned int count,
			 unsigned int width)
{
	if (sheet->json) {
		json_object_set_new(sheet->group, text("%s_counters", key), json_integer(count));
		json_object_set_new(sheet->group, text("%s_width", key), json_integer(width));
	} else {
		printf("  %-20s %u of %u bits\n", text("%s counters", key), count, width);
	}
}

static const char *hardware_counters(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0) {
		close((int)fd);
		return "yes";
	}
	switch (errno) {
	case ENOENT:
	case EOPNOTSUPP:
		return "no: the kernel sees no PMU that counts cycles";
	case EACCES:
	case EPERM:
		return "not for this user: perf_event_open is not permitted";
	case ENOSYS:
		return "no: this kernel has no perf_event_open";
	default:
		return text("no: %s", strerror(errno));
	}
}

static const char *paranoid(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
	int value;
	bool read = file && fscanf(file, "%d", &value) == 1;

	if (file)
		fclose(file);
	return read ? text("%d", value) : "no such setting";
}

static const char *kvm(void)
{
	if (!file_exists("/dev/kvm"))
		return "no /dev/kvm (vpmu needs none)";
	if (access("/dev/kvm", R_OK | W_OK))
		return "there, but not for this user (vpmu needs none)";
	return "there (vpmu does not use it yet)";
}

static void print_machine(struct sheet *sheet)
{
	begin(sheet, "machine", "This machine");
	row(sheet, "hardware_counters", "hardware counters", hardware_counters(), "");
	row(sheet, "perf_event_paranoid", "perf_event_paranoid", paranoid(), "");
	row(sheet, "kvm", "KVM", kvm(), "");
}

static void print_kernels(struct sheet *sheet)
{
	struct args versions = kernel_versions();

	begin(sheet, "kernels", "\nGuest kernels of vpmu perf");
	for (size_t i = 0; i < versions.count; i++)
		row(sheet, versions.v[i], versions.v[i], kernel_release(versions.v[i]), "");
	if (!versions.count && !sheet->json)
		printf("  none (`make setup' unpacks them)\n");
	args_free(&versions);
}

static void print_qemu(struct sheet *sheet, const char *named)
{
	const char *plugin = paths_get()->plugin;
	struct qemu qemu;
	const char *error = qemu_find(named, &qemu);

	begin(sheet, "qemu", "\nQEMU");
	row(sheet, "found", "found", qemu.path, "none");
	if (qemu.version || sheet->json)
		row(sheet, "version", "version", qemu.version, "");
	if (sheet->json) {
		json_object_set_new(sheet->group, "serves", json_boolean(!error));
		json_object_set_new(sheet->group, "why_not", json_from_text(error));
	} else {
		row(sheet, "", "serves", error ? text("no: %s", error) : "yes, with -accel tcg",
		    "");
	}
	row(sheet, "plugin", "plugin", file_exists(plugin) ? plugin : NULL, "not built");
	print_kernels(sheet);
}

static bool is_advertised(const struct vpmu_config *config, enum vpmu_event_id id)
{
	return config->vendor == VPMU_INTEL && id != VPMU_EVENT_RAW && (config->events >> id & 1);
}

/* A fixed counter counts the same as the general event of its number. */
static const char *fixed_counter(const struct vpmu_config *config, enum vpmu_event_id id)
{
	for (unsigned int i = 0; i < config->fixed; i++)
		if (vpmu_fixed_event(i) == id)
			return text(", and on fixed counter %u", i);
	return "";
}

static const char *how_counted(const struct vpmu_config *config, const struct event_row *event,
			       const struct pmu_options *options)
{
	const char *why = event_why_not(event, pmu_models(options));
	const char *cpi = options->cpi;
	const char *advertised = is_advertised(config, event->id) ? " (CPUID says so)" : "";

	if (why)
		return text("no: %s", why);
	if (event_is_modelled(event))
		return text("of a model, not of hardware%s", advertised);
	if (event->cycles)
		return text("yes%s%s: %s cycle%s an instruction", advertised,
			    fixed_counter(config, event->id), cpi, strcmp(cpi, "1") ? "s" : "");
	return text("yes%s%s", advertised, fixed_counter(config, event->id));
}

static void print_event(json_t *events, const struct vpmu_config *config, enum family family,
			const struct event_row *event, const struct pmu_options *options)
{
	const char *how = how_counted(config, event, options);
	struct event_encoding selects = event_encoding(family, event);
	const char *encoding = text("%02x/%02x", selects.select, selects.umask);

	if (!events) {
		printf("  %s %-34s %s\n", encoding, event->name, how);
		return;
	}
	json_array_append_new(events, json_pack("{s:s, s:s, s:b, s:b, s:b, s:s}", "encoding",
						encoding, "name", event->name, "counted",
						!event_why_not(event, pmu_models(options)),
						"of_model", event_is_modelled(event), "advertised",
						is_advertised(config, event->id), "how", how));
}

static void print_events(struct sheet *sheet, const struct vpmu_config *config, enum family family,
			 const struct pmu_options *options)
{
	const struct event_row *event = NULL;
	json_t *events = sheet->json ? json_array() : NULL;

	if (!events)
		puts("\nEvents of this PMU under TCG (event select/unit mask)");
	while ((event = event_next(family, event)))
		print_event(events, config, family, event, options);
	if (events)
		json_object_set_new(sheet->json, "events", events);
	else
		puts("  any other                                no: a guest that programs one is "
		     "reported");
}

static void print_models(struct sheet *sheet, const struct pmu_options *options)
{
	static const char *const names[CACHE_COUNT] = { "L1I", "L1D", "L2", "LLC" };
	struct cache_config config = cache_config_default;

	begin(sheet, "models",
	      "\nModels (docs/models.md); what they count is not what hardware would");
	row(sheet, "branch_predictor", "branch predictor",
	    text("gshare of %u counters and %u outcomes, %u targets, %u returns",
		 PREDICTOR_COUNTERS, PREDICTOR_HISTORY_BITS, PREDICTOR_TARGETS, PREDICTOR_RETURNS),
	    "");
	if (options->cache)
		cache_config_parse(&config, options->cache);
	for (unsigned int i = 0; i < CACHE_COUNT; i++) {
		const struct cache_geometry *g = &config.level[i];

		row(sheet, names[i], names[i],
		    text("%u KiB, %u ways of %u bytes", g->size / 1024, g->ways, g->line), "");
	}
}

/* cpu: the model whose PMU it is, with this signature. */
static void print_pmu(struct sheet *sheet, const struct pmu_options *options, const char *cpu,
		      uint32_t signature)
{
	struct vpmu_config config = pmu_config(options);

	begin(sheet, "pmu", text("\nPMU %s (-cpu %s)", options->pmu, cpu));
	if (sheet->json) {
		json_object_set_new(sheet->group, "name", json_from_text(options->pmu));
		json_object_set_new(sheet->group, "cpu", json_from_text(cpu));
		json_object_set_new(sheet->group, "signature", json_integer(signature));
		json_object_set_new(sheet->group, "cycles_per_instruction",
				    json_from_text(options->cpi));
	}
	if (!config.version) {
		if (!sheet->json)
			row(sheet, "", "counters", "none: the guest sees no PMU", "");
		return;
	}
	counters_row(sheet, "general", config.general, config.general_width);
	if (config.fixed)
		counters_row(sheet, "fixed", config.fixed, config.fixed_width);
	row(sheet, "overflow", "overflow",
	    "interrupt (PMI) through the local APIC's LVTPC, as NMI or vector", "");
	print_events(sheet, &config, family_of(config.vendor, signature), options);
	if (pmu_models(options))
		print_models(sheet, options);
}

int command_info(int argc, char **argv)
{
	struct pmu_options options = PMU_OPTIONS_DEFAULT;
	struct sheet sheet = { NULL, NULL };
	const char *named = NULL, *cpu = NULL;
	uint32_t signature;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		const char *qemu = option_value(argv, &i, "--qemu");
		const char *model = qemu ? NULL : option_value(argv, &i, "--cpu");

		if (qemu) {
			named = qemu;
		} else if (model) {
			cpu = model;
		} else if (!strcmp(argv[i], "--json")) {
			sheet.json = json_object();
		} else if (!strcmp(argv[i], "--help")) {
			fputs(info_usage, stdout);
			return 0;
		} else if (!pmu_option(&options, argv, &i) || options.report || options.trace ||
			   options.plugin) {
			fail("info: unknown option or argument `%s'; there are --pmu, --cpu, "
			     "--cpi, --models, --cache, --qemu, --json and --help",
			     word);
		}
	}
	signature = pmu_settle(&options, &cpu);
	print_machine(&sheet);
	print_qemu(&sheet, named);
	print_pmu(&sheet, &options, cpu, signature);
	if (sheet.json)
		json_print(stdout, sheet.json);
	return 0;
}
