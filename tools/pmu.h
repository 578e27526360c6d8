/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The PMU options that subcommands share, the plugin argument they become, and
 * the plugin's report read back.
 */
#ifndef VPMU_TOOLS_PMU_H
#define VPMU_TOOLS_PMU_H

#include "arguments.h"
#include "util.h"

#define PMU_AUTO  "auto" /* what the guest's CPU would have; PMU_MOST if it is not named */
#define PMU_MOST  "intel-v5"
#define PMU_USAGE PMU_AUTO ", " ARGUMENTS_PMUS_1

struct pmu_options {
	const char *pmu;    /* PMU_AUTO, or one of ARGUMENTS_PMUS */
	const char *cpi;    /* cycles per instruction; a decimal fraction, checked */
	const char *report; /* the plugin's report; NULL: none */
	const char *trace;  /* where the guest's accesses are recorded; NULL: nowhere */
	const char *plugin; /* its file; NULL: the build's own */
	const char *models; /* "on" or "off": events that only a model counts */
	const char *cache;  /* the caches' geometry, checked; NULL: the model's own */
};

#define PMU_OPTIONS_DEFAULT                                                                        \
	{                                                                                          \
		.pmu = PMU_AUTO, .cpi = "1", .models = "off"                                       \
	}

/*
 * If argv[*i] is one of --pmu, --cpi, --models, --cache, --report, --trace, --plugin (as
 * two words or with "="), take it with its value, leave *i at its last word and return true.
 * Fails with one line if the value is missing or no good.
 */
bool pmu_option(struct pmu_options *options, char **argv, int *i);

/*
 * Settle which PMU a guest has whose CPU is named by QEMU's words for -cpu; *cpu may be NULL,
 * and is then a usual CPU for the PMU, which has the most counters if it is not named either.
 * Returns the CPU's signature. Fails with one line if such a CPU cannot have the PMU.
 */
uint32_t pmu_settle(struct pmu_options *options, const char **cpu);

/* The words "file=...,pmu=..." for QEMU's -plugin; commas in paths are doubled. */
char *pmu_plugin_argument(const struct pmu_options *options);

/*
 * An empty ACPI table, in whose place in the guest's memory the plugin keeps PMUs while QEMU saves
 * the guest: its file, which QEMU is to inherit, and the words for QEMU's -acpitable.
 */
int pmu_state_table(void);
char *pmu_state_argument(int table);

/* Fails with one line if the plugin is not there, or a file cannot be written. */
void pmu_check_files(const struct pmu_options *options);

bool pmu_models(const struct pmu_options *options);

/* The guest's PMU, which is settled, with the events that are counted; version 0: off. */
struct vpmu_config pmu_config(const struct pmu_options *options);

/*
 * What the report at fd says, from where fd stands on: a line on stderr for each encoding
 * that was not counted, with the event's name if it is known, and for each reason why an
 * interrupt has not come. False if there is one.
 */
bool pmu_print_report(int fd, const struct pmu_options *options);

#endif
