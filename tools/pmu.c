/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pmu.h.
 */
#define _GNU_SOURCE
#include "pmu.h"
#include "events.h"
#include "models/cache.h"
#include "process/args.h"
#include "qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct vpmu_config pmu_config(const struct pmu_options *options)
{
	struct vpmu_config config;

	arguments_pmu(options->pmu, &config);
	return arguments_pmu_counting(options->pmu,
				      events_with_id(config.vendor, pmu_models(options)));
}

bool pmu_models(const struct pmu_options *options)
{
	return !strcmp(options->models, "on");
}

static void check_pmu(const char *name)
{
	struct vpmu_config config;

	if (strcmp(name, PMU_AUTO) != 0 && !arguments_pmu(name, &config))
		fail("there is no PMU `%s': there are " PMU_AUTO ", " ARGUMENTS_PMUS, name);
}

static void check_models(const struct pmu_options *options)
{
	struct cache_config config = cache_config_default;
	const char *error;

	if (!pmu_models(options) && strcmp(options->models, "off") != 0)
		fail("--models is on or off, not `%s'", options->models);
	error = options->cache ? cache_config_parse(&config, options->cache) : NULL;
	if (error)
		fail("--cache %s: %s", options->cache, error);
}

bool pmu_option(struct pmu_options *options, char **argv, int *i)
{
	const struct option_text known[] = {
		{ "--pmu", &options->pmu },       { "--cpi", &options->cpi },
		{ "--report", &options->report }, { "--trace", &options->trace },
		{ "--plugin", &options->plugin }, { "--models", &options->models },
		{ "--cache", &options->cache },
	};
	struct cpi cpi;

	if (!option_take(argv, i, known, sizeof(known) / sizeof(known[0])))
		return false;
	check_pmu(options->pmu);
	if (!arguments_cpi(options->cpi, &cpi))
		fail("--cpi is a number from 0.001 to 1000 with at most three decimals, not `%s'",
		     options->cpi);
	check_models(options);
	return true;
}

uint32_t pmu_settle(struct pmu_options *options, const char **cpu)
{
	struct qemu_guest guest = { .pmu = options->pmu };
	const char *error;

	check_pmu(options->pmu);
	/* A processor that nobody has named has the counters of the newest: none has to take turns.
	 */
	if (!*cpu && !strcmp(guest.pmu, PMU_AUTO))
		guest.pmu = PMU_MOST;
	if (!*cpu)
		*cpu = strncmp(options->pmu, "amd-", 4) ? "Skylake-Server" : "EPYC";
	error = qemu_settle_guest("", (char *[]){ "-cpu", text("%s", *cpu), NULL }, &guest);
	if (error)
		fail("%s", error);
	if (!strcmp(guest.pmu, "off") && strcmp(options->pmu, "off") != 0)
		fail("--cpu `%s' switches the PMU off: --pmu off is for that", *cpu);
	options->pmu = guest.pmu;
	return guest.signature;
}

static const char *file_argument(const char *name, const char *path)
{
	return path ? text(",%s=%s", name, args_double_commas(path)) : "";
}

static const char *models_argument(const struct pmu_options *options)
{
	if (!pmu_models(options))
		return "";
	return text(",models=on%s%s", options->cache ? ",cache=" : "",
		    options->cache ? options->cache : "");
}

char *pmu_plugin_argument(const struct pmu_options *options)
{
	const char *plugin = options->plugin ? options->plugin : paths_get()->plugin;

	return text("file=%s,pmu=%s,cpi=%s%s%s%s", args_double_commas(plugin), options->pmu,
		    options->cpi, file_argument("report", options->report),
		    file_argument("trace", options->trace), models_argument(options));
}

/* Above 64 KiB of all tables QEMU warns. */
int pmu_state_table(void)
{
	int fd = memfd_create("vpmu-state", 0);

	if (fd < 0 || ftruncate(fd, 32768))
		fail("no memory for the table: %s", strerror(errno));
	return fd;
}

char *pmu_state_argument(int table)
{
	return text("sig=VPMU,rev=1,data=/proc/self/fd/%d", table);
}

static void check_writable(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

void pmu_check_files(const struct pmu_options *options)
{
	const char *plugin = options->plugin ? options->plugin : paths_get()->plugin;

	if (!file_exists(plugin))
		fail("%s: no such file", plugin);
	if (options->report)
		check_writable(options->report);
	if (options->trace)
		check_writable(options->trace);
}

struct encoding {
	unsigned int select, umask, cmask, invert, edge;
	unsigned long long extra; /* the value of the event register that goes with it */
};

static const char *why_not(const struct encoding *encoding, const struct event_row *row,
			   bool models)
{
	const char *why = row ? event_why_not(row, models) : "no event of this encoding is known";

	if (why)
		return why;
	if (encoding->cmask || encoding->edge)
		return "not with this counter mask";
	return "not with this value of OFFCORE_RSP";
}

static void print_encoding(const struct encoding *encoding, enum family family, bool models)
{
	const struct event_row *row =
		event_find_encoding(family, encoding->select, encoding->umask);

	fprintf(stderr, "vpmu: not counted: event %02x/%02x", encoding->select, encoding->umask);
	if (encoding->cmask)
		fprintf(stderr, " cmask=%u%s", encoding->cmask, encoding->invert ? " inv" : "");
	if (encoding->edge)
		fputs(" edge", stderr);
	if (encoding->extra)
		fprintf(stderr, " extra=0x%llx", encoding->extra);
	if (row)
		fprintf(stderr, " (%s)", row->name);
	fprintf(stderr, ": %s\n", why_not(encoding, row, models));
}

static bool print_uncounted(const char *line, enum family family, bool models)
{
	struct encoding e;

	if (sscanf(line, "uncounted %x %x cmask=%u inv=%u edge=%u extra=%llx", &e.select, &e.umask,
		   &e.cmask, &e.invert, &e.edge, &e.extra) != 6)
		return false;
	print_encoding(&e, family, models);
	return true;
}

/* Why interrupts of the counters have not come. */
static bool print_lost(const char *line)
{
	unsigned long long base;
	unsigned int number;

	if (sscanf(line, "pmi-lost apic-id=%u", &number) == 1)
		warn("counters' interrupts lost: QEMU sends none to APIC ID %u, above 254", number);
	else if (sscanf(line, "pmi-lost delivery-mode=%u", &number) == 1)
		warn("counters' interrupts lost: LVTPC has no delivery mode %u", number);
	else if (sscanf(line, "apic-base %llx", &base) == 1)
		warn("the guest has moved its local APIC to %#llx: QEMU has left it at 0xfee00000",
		     base);
	else
		return false;
	return true;
}

bool pmu_print_report(int fd, const struct pmu_options *options)
{
	const enum vpmu_vendor_id vendor = pmu_config(options).vendor;
	enum family family = family_unknown(vendor);
	int own = dup(fd);
	FILE *file = own < 0 ? NULL : fdopen(own, "r");
	unsigned int signature;
	bool complete = true;
	char line[256];

	if (!file)
		return true;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "cpu %x", &signature) == 1)
			family = family_of(vendor, signature);
		else if (print_uncounted(line, family, pmu_models(options)) || print_lost(line))
			complete = false;
	fclose(file);
	return complete;
}
