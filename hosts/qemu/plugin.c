/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The QEMU plugin: gives a stock QEMU's TCG guests a PMU.
 *
 *   -plugin
 * FILE[,pmu=off|intel-v1|...|intel-v5|amd-k7|amd-core|amd-v2][,cpi=N][,report=FILE][,trace=FILE]
 *                [,models=on|off][,cache=CACHES]
 *
 * This file: start, arguments, QEMU's callbacks, translating everything anew.
 */
#include "plugin.h"
#include "arguments.h"
#include "count/installed.h"
#include "models/models.h"
#include "record.h"
#include "report.h"
#include "service.h"
#include "translate/counting.h"
#include "translate/translate.h"
#include "vcpu.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_ABI_VERSION;

#define DEBUG_BITS 3 /* the guest may set LBR and BTF; nothing comes of them */

static qemu_plugin_id_t plugin_id;
static const char *pmu_name = ARGUMENTS_PMU;
static struct vpmu_config config;
static const char *trace_path;

static bool retranslating; /* under vcpus_lock() */

static void vcpu_idle(unsigned int index, void *unused)
{
	(void)unused;
	service_idle(vcpu_get(index));
	saved_idle(vcpu_get(index));
}

static void vcpu_resume(unsigned int index, void *unused)
{
	(void)unused;
	saved_resume(vcpu_get(index));
}

static void vcpu_discontinuity(unsigned int index, enum qemu_plugin_discon_type type, uint64_t from,
			       uint64_t to, void *unused)
{
	struct vcpu *vcpu = vcpu_get(index);

	(void)to;
	(void)unused;
	if (type == QEMU_PLUGIN_DISCON_EXCEPTION)
		exceptions_raised(vcpu);
	if (type != QEMU_PLUGIN_DISCON_INTERRUPT)
		return;
	exceptions_delivered(vcpu, from);
	service_idle(vcpu);
}

/* No vCPU runs, and no translation is left. */
static void flushed(void *unused)
{
	(void)unused;
	vcpus_each(branches_keep);
	vcpus_each(rerun_keep);
	block_free_all();
}

/*
 * A QEMU that goes into the background (-daemonize) has two ends: the process in the
 * foreground exits as well. That one has no vCPU.
 */
static void at_exit(void *unused)
{
	(void)unused;
	if (config.version != 0 && !vcpus_exist())
		return;
	record_finish();
	report_statistics();
}

static void register_callbacks(void)
{
	qemu_plugin_register_vcpu_init_cb(plugin_id, vcpu_started, NULL);
	qemu_plugin_register_vcpu_exit_cb(plugin_id, vcpu_stopped, NULL);
	qemu_plugin_register_vcpu_idle_cb(plugin_id, vcpu_idle, NULL);
	qemu_plugin_register_vcpu_resume_cb(plugin_id, vcpu_resume, NULL);
	qemu_plugin_register_vcpu_discon_cb(plugin_id, QEMU_PLUGIN_DISCON_ALL, vcpu_discontinuity,
					    NULL);
	qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translate, NULL);
	qemu_plugin_register_flush_cb(plugin_id, flushed, NULL);
	qemu_plugin_register_atexit_cb(plugin_id, at_exit, NULL);
}

static void reset_done(void *unused)
{
	flushed(unused);
	vcpus_lock();
	retranslating = false;
	installed_update();
	vcpus_unlock();
	register_callbacks();
}

bool plugin_retranslate(void)
{
	bool start;

	vcpus_lock();
	start = !retranslating;
	retranslating = true;
	vcpus_unlock();
	if (start)
		qemu_plugin_reset(plugin_id, reset_done, NULL);
	return start;
}

bool plugin_is_retranslating(void)
{
	bool is;

	vcpus_lock();
	is = retranslating;
	vcpus_unlock();
	return is;
}

static int refuse(const char *format, const char *what)
{
	fprintf(stderr, "vpmu plugin: ");
	fprintf(stderr, format, what);
	fputc('\n', stderr);
	return -1;
}

static int take_pmu(const char *name)
{
	struct vpmu_config named;

	if (!arguments_pmu(name, &named))
		return refuse("unknown pmu '%s' (" ARGUMENTS_PMUS ")", name);
	pmu_name = g_intern_string(name);
	return 0;
}

static int take_cpi(const char *text)
{
	struct cpi cpi;

	if (!arguments_cpi(text, &cpi))
		return refuse("cpi '%s' is no number from 0.001 to 1000", text);
	formula_set_cpi(cpi);
	return 0;
}

static int take_caches(const char *text)
{
	const char *error = models_set_caches(text);

	if (!error)
		return 0;
	fprintf(stderr, "vpmu plugin: cache '%s': %s\n", text, error);
	return -1;
}

static int parse_argument(const char *argument)
{
	const char *value = strchr(argument, '=');

	if (g_str_has_prefix(argument, "pmu="))
		return take_pmu(value + 1);
	if (g_str_has_prefix(argument, "cpi="))
		return take_cpi(value + 1);
	if (g_str_has_prefix(argument, "report=")) {
		return report_open(value + 1)
			       ? 0
			       : refuse("cannot write the report file: %s", strerror(errno));
	}
	if (g_str_has_prefix(argument, "trace=")) {
		trace_path = value + 1;
		return 0;
	}
	if (g_str_has_prefix(argument, "models="))
		return models_set(value + 1) ? 0
					     : refuse("models is on or off, not '%s'", value + 1);
	if (g_str_has_prefix(argument, "cache="))
		return take_caches(value + 1);
	return refuse("unknown argument '%s' (pmu=, cpi=, report=, trace=, models=, cache=)",
		      argument);
}

/* QEMU does not tell a plugin of -icount. If its command line cannot be read, it may be there. */
static bool may_be_icount(void)
{
	char *words;
	gsize size;
	bool found = false;

	if (!g_file_get_contents("/proc/self/cmdline", &words, &size, NULL))
		return true;
	for (const char *word = words; word < words + size; word += strlen(word) + 1) {
		const char *name = word + strspn(word, "-");

		found |= name != word && (!strcmp(name, "icount") || !strcmp(name, "readconfig"));
	}
	g_free(words);
	return found;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{

	if (info->version.cur < PLUGIN_ABI_VERSION || info->version.min > PLUGIN_ABI_VERSION)
		return refuse("%s", "this QEMU's plugin interface is not version 7 (QEMU 11.1)");
	if (!info->system_emulation ||
	    (strcmp(info->target_name, "x86_64") != 0 && strcmp(info->target_name, "i386") != 0))
		return refuse("serves x86 system emulation, not '%s'", info->target_name);
	if (info->system.max_vcpus > VCPUS_MAX)
		return refuse("%s", "serves at most 255 vCPUs");
	plugin_id = id;
	for (int i = 0; i < argc; i++)
		if (parse_argument(argv[i]) < 0)
			return -1;
	arguments_pmu(pmu_name, &config);
	config = arguments_pmu_counting(pmu_name, events_with_id(config.vendor, models_enabled()));
	formula_set_family(family_unknown(config.vendor));
	config.nested = config.vendor == VPMU_AMD && config.version != 0;
	if (config.vendor == VPMU_INTEL && config.version != 0)
		config.event_registers = models_event_registers();
	config.debug_bits = DEBUG_BITS;
	if (trace_path && !record_start(trace_path, &config))
		return refuse("cannot write the trace: %s", strerror(errno));
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	if (config.version == 0)
		return 0;
	vcpus_init(&config);
	if (may_be_icount())
		counting_under_icount();
	register_callbacks();
	return 0;
}
