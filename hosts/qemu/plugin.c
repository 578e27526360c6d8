/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The QEMU plugin: gives a stock QEMU's TCG guests a PMU.
 *
 *   -plugin FILE[,pmu=off|intel-v2|...|intel-v5][,cpi=N][,report=FILE]
 *
 * This file: start, arguments, the vCPUs, and what is said at the end.
 */
#include "plugin.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_ABI_VERSION;

#define VCPUS_MAX   4096
#define REPORTS_MAX 1024

struct statistics statistics;
struct qemu_plugin_scoreboard *scoreboard;

static qemu_plugin_id_t plugin_id;
static struct vpmu_config config;
static struct vcpu *_Atomic vcpus[VCPUS_MAX];

static GMutex report_lock;
static FILE *report_file;
static GHashTable *reported;

static GMutex reset_lock;
static bool resetting;

struct vcpu *vcpu_get(unsigned int index)
{
	return vcpus[index];
}

struct score *vcpu_score(const struct vcpu *vcpu)
{
	return qemu_plugin_scoreboard_find(scoreboard, vcpu->index);
}

void vcpu_leave_block(struct vcpu *vcpu)
{
	vcpu_score(vcpu)->block = 0;
	vcpu_score(vcpu)->alone = 0;
}

/* Each line once: a guest that programs an event in a loop fills no disk. */
void report(const char *format, ...)
{
	va_list args;
	char *line;

	if (!report_file)
		return;
	va_start(args, format);
	line = g_strdup_vprintf(format, args);
	va_end(args);
	g_mutex_lock(&report_lock);
	if (g_hash_table_size(reported) < REPORTS_MAX && !g_hash_table_contains(reported, line)) {
		fputs(line, report_file);
		fflush(report_file);
		g_hash_table_add(reported, line);
		line = NULL;
	}
	g_mutex_unlock(&report_lock);
	g_free(line);
}

static void vcpu_init(unsigned int index, void *unused)
{
	struct vcpu *vcpu;
	enum vpmu_error error;

	(void)unused;
	g_assert(index < VCPUS_MAX);
	if (vcpus[index])
		return;
	registers_init();
	vcpu = g_new0(struct vcpu, 1);
	vcpu->index = index;
	lapic_reset(vcpu);
	error = vpmu_init(&vcpu->pmu, &config, &source_ops, vcpu);
	g_assert(error == VPMU_OK);
	vcpus[index] = vcpu;
}

static void reset_one(struct vcpu *vcpu)
{
	vpmu_reset(&vcpu->pmu);
	lapic_reset(vcpu);
}

/* The boot processor begins again, and so does the machine: the others wait. */
void vcpus_reset(void)
{
	for (unsigned int i = 0; i < VCPUS_MAX && vcpus[i]; i++)
		reset_one(vcpus[i]);
}

static void vcpu_idle(unsigned int index, void *unused)
{
	(void)unused;
	service_idle(vcpu_get(index));
}

static void vcpu_discontinuity(unsigned int index, enum qemu_plugin_discon_type type, uint64_t from,
			       uint64_t to, void *unused)
{
	struct vcpu *vcpu = vcpu_get(index);

	(void)unused;
	if (type == QEMU_PLUGIN_DISCON_EXCEPTION)
		access_raised(vcpu);
	if (type != QEMU_PLUGIN_DISCON_INTERRUPT)
		return;
	access_delivered(vcpu, from, to);
	service_idle(vcpu);
}

/* No vCPU runs, and no translation is left. */
static void flushed(void *unused)
{
	(void)unused;
	translate_forget();
	for (unsigned int i = 0; i < VCPUS_MAX && vcpus[i]; i++)
		vcpu_leave_block(vcpus[i]);
}

static void at_exit(void *unused)
{
	(void)unused;
	report("stats blocks=%" G_GUINT64_FORMAT " instrumented=%" G_GUINT64_FORMAT
	       " counted=%" G_GUINT64_FORMAT " pmis=%" G_GUINT64_FORMAT " rdmsr=%" G_GUINT64_FORMAT
	       " wrmsr=%" G_GUINT64_FORMAT " rdpmc=%" G_GUINT64_FORMAT " cpuid=%" G_GUINT64_FORMAT
	       "\n",
	       statistics.blocks, statistics.instrumented, statistics.counted, statistics.pmis,
	       statistics.rdmsr, statistics.wrmsr, statistics.rdpmc, statistics.cpuid);
}

static void register_callbacks(void)
{
	qemu_plugin_register_vcpu_init_cb(plugin_id, vcpu_init, NULL);
	qemu_plugin_register_vcpu_idle_cb(plugin_id, vcpu_idle, NULL);
	qemu_plugin_register_vcpu_discon_cb(plugin_id, QEMU_PLUGIN_DISCON_ALL, vcpu_discontinuity,
					    NULL);
	qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translate, NULL);
	qemu_plugin_register_flush_cb(plugin_id, flushed, NULL);
	qemu_plugin_register_atexit_cb(plugin_id, at_exit, NULL);
}

static void reset_done(void *unused)
{
	flushed(unused);
	g_mutex_lock(&reset_lock);
	resetting = false;
	source_note_installed();
	g_mutex_unlock(&reset_lock);
	register_callbacks();
}

/* Translate everything anew, for what is counted now. Takes effect before the guest runs on. */
void plugin_retranslate(void)
{
	bool start;

	g_mutex_lock(&reset_lock);
	start = !resetting;
	resetting = true;
	g_mutex_unlock(&reset_lock);
	if (start)
		qemu_plugin_reset(plugin_id, reset_done, NULL);
}

static int refuse(const char *format, const char *what)
{
	fprintf(stderr, "vpmu plugin: ");
	fprintf(stderr, format, what);
	fputc('\n', stderr);
	return -1;
}

static bool parse_pmu(const char *name)
{
	static const char *const names[] = { "intel-v2", "intel-v3", "intel-v4", "intel-v5" };

	if (!strcmp(name, "off")) {
		config = vpmu_config_intel(0, 0);
		return true;
	}
	for (unsigned int i = 0; i < G_N_ELEMENTS(names); i++)
		if (!strcmp(name, names[i])) {
			config = vpmu_config_intel(i + 2, events_architectural());
			return true;
		}
	return false;
}

static int parse_argument(const char *argument)
{
	const char *value = strchr(argument, '=');

	if (g_str_has_prefix(argument, "pmu="))
		return parse_pmu(value + 1) ? 0
					    : refuse("unknown pmu '%s' (off, intel-v2, intel-v3, "
						     "intel-v4, intel-v5)",
						     value + 1);
	if (g_str_has_prefix(argument, "cpi="))
		return source_set_cpi(value + 1)
			       ? 0
			       : refuse("cpi '%s' is no number from 0.001 to 1000", value + 1);
	if (g_str_has_prefix(argument, "report=")) {
		report_file = fopen(value + 1, "ae");
		return report_file ? 0
				   : refuse("cannot write the report file: %s", strerror(errno));
	}
	return refuse("unknown argument '%s' (pmu=, cpi=, report=)", argument);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	if (info->version.cur < PLUGIN_ABI_VERSION || info->version.min > PLUGIN_ABI_VERSION)
		return refuse("%s", "this QEMU's plugin interface is not version 7 (QEMU 11.1)");
	if (!info->system_emulation ||
	    (strcmp(info->target_name, "x86_64") != 0 && strcmp(info->target_name, "i386") != 0))
		return refuse("serves x86 system emulation, not '%s'", info->target_name);
	if (info->system.max_vcpus > VCPUS_MAX)
		return refuse("%s", "serves at most 4096 vCPUs");
	plugin_id = id;
	config = vpmu_config_intel(4, events_architectural());
	reported = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (int i = 0; i < argc; i++)
		if (parse_argument(argv[i]) < 0)
			return -1;
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	if (config.version == 0)
		return 0;
	scoreboard = qemu_plugin_scoreboard_new(sizeof(struct score));
	hooks_init();
	register_callbacks();
	return 0;
}
