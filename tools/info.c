/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu info: what this machine, a QEMU and a PMU configuration offer, event by
 * event. The facts are those that the plugin itself uses.
 */
#define _GNU_SOURCE
#include "cache.h"
#include "commands.h"
#include "events.h"
#include "pmu.h"
#include "predictor.h"
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
	"  --pmu PMU      off, intel-v2, intel-v3, intel-v4 or intel-v5: the PMU to describe\n"
	"                 (default: intel-v4)\n"
	"  --cpi N        cycles per instruction, 0.001 to 1000 (default: 1)\n"
	"  --models WHICH on or off: with models of a branch predictor and caches (default:\n"
	"                 off)\n"
	"  --cache CACHES the model's caches, as for vpmu run\n"
	"  --qemu QEMU    the QEMU to check: a path or a name (default: as vpmu perf finds it)\n"
	"  --help         this text\n"
	"\n"
	"The exit status is 0, also if something is missing; 2 for a wrong option.\n";

static void row(const char *name, const char *value)
{
	printf("  %-20s %s\n", name, value);
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

static void print_machine(void)
{
	puts("This machine");
	row("hardware counters", hardware_counters());
	row("perf_event_paranoid", paranoid());
	row("KVM", kvm());
}

static const char *kernel(const char *series)
{
	const char *release = kernel_release(series);

	return release ? release : "missing (`make setup' unpacks it)";
}

static void print_qemu(const char *named)
{
	struct qemu qemu;
	const char *error = qemu_find(named, &qemu);

	puts("\nQEMU");
	row("found", qemu.path ? qemu.path : "none");
	if (qemu.version)
		row("version", qemu.version);
	row("serves", error ? text("no: %s", error) : "yes, with -accel tcg");
	row("plugin", file_exists(paths_get()->plugin) ? paths_get()->plugin : "not built");
	puts("\nGuest kernels of vpmu perf");
	row("6.1", kernel("6.1"));
	row("6.12", kernel("6.12"));
}

static bool is_advertised(const struct vpmu_config *config, enum vpmu_event_id id)
{
	return id != VPMU_EVENT_RAW && (config->events >> id & 1);
}

/* A fixed counter counts the same as the general event of its number. */
static const char *fixed_counter(const struct vpmu_config *config, enum vpmu_event_id id)
{
	static const enum vpmu_event_id fixed[VPMU_MAX_FIXED] = { VPMU_EVENT_INSTRUCTIONS,
								  VPMU_EVENT_CYCLES,
								  VPMU_EVENT_REF_CYCLES,
								  VPMU_EVENT_TOPDOWN_SLOTS };

	for (unsigned int i = 0; i < config->fixed && i < VPMU_MAX_FIXED; i++)
		if (fixed[i] == id)
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

static void print_models(const struct pmu_options *options)
{
	static const char *const names[CACHE_COUNT] = { "L1I", "L1D", "L2", "LLC" };
	struct cache_config config = cache_config_default;

	puts("\nModels (docs/models.md); what they count is not what hardware would");
	row("branch predictor",
	    text("gshare of %u counters and %u outcomes, %u targets, %u returns",
		 PREDICTOR_COUNTERS, PREDICTOR_HISTORY_BITS, PREDICTOR_TARGETS, PREDICTOR_RETURNS));
	if (options->cache)
		cache_config_parse(&config, options->cache);
	for (unsigned int i = 0; i < CACHE_COUNT; i++) {
		const struct cache_geometry *g = &config.level[i];

		row(names[i],
		    text("%u KiB, %u ways of %u bytes", g->size / 1024, g->ways, g->line));
	}
}

static void print_pmu(const struct pmu_options *options)
{
	unsigned int version = pmu_version(options->pmu);
	struct vpmu_config config =
		vpmu_config_intel(version, events_architectural(pmu_models(options)));

	printf("\nPMU %s\n", options->pmu);
	if (!version) {
		row("counters", "none: the guest sees no PMU");
		return;
	}
	row("general counters", text("%u of %u bits", config.general, config.general_width));
	row("fixed counters", text("%u of %u bits", config.fixed, config.fixed_width));
	row("overflow", "interrupt (PMI) through the local APIC's LVTPC, as NMI or vector");
	puts("\nEvents of this PMU under TCG (event select/unit mask)");
	for (size_t i = 0; i < event_rows_count; i++) {
		const struct event_row *event = &event_rows[i];

		printf("  %02x/%02x %-34s %s\n", event->select, event->umask, event->name,
		       how_counted(&config, event, options));
	}
	puts("  any other                                no: a guest that programs one is "
	     "reported");
	if (pmu_models(options))
		print_models(options);
}

int command_info(int argc, char **argv)
{
	struct pmu_options options = PMU_OPTIONS_DEFAULT;
	const char *named = NULL;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		const char *value = option_value(argv, &i, "--qemu");

		if (value) {
			named = value;
		} else if (!strcmp(argv[i], "--help")) {
			fputs(info_usage, stdout);
			return 0;
		} else if (!pmu_option(&options, argv, &i) || options.report || options.trace ||
			   options.plugin) {
			fail("info: unknown option or argument `%s'; there are --pmu, --cpi, "
			     "--models, --cache, --qemu and --help",
			     word);
		}
	}
	print_machine();
	print_qemu(named);
	print_pmu(&options);
	return 0;
}
