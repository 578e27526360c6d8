/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The QEMU plugin: gives a stock QEMU's TCG guests a PMU.
 *
 *   -plugin FILE[,pmu=off|intel-v2|...|intel-v5][,cpi=N][,report=FILE][,trace=FILE]
 *                [,models=on|off][,cache=CACHES]
 *
 * This file: start, arguments, the vCPUs, and what is said at the end.
 */
#include "plugin.h"
#include "models.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_ABI_VERSION;

#define VCPUS_MAX   255 /* a PMI is a message, whose destination has 8 bits, and one is "all" */
#define REPORTS_MAX 1024
#define DEBUG_BITS  3 /* the guest may set LBR and BTF; nothing comes of them */

struct statistics statistics;
struct qemu_plugin_scoreboard *scoreboard;

static qemu_plugin_id_t plugin_id;
static struct vpmu_config config;
static struct vcpu *_Atomic vcpus[VCPUS_MAX];
static _Atomic unsigned int vcpus_end; /* behind the last; those that are plugged in leave gaps */

static unsigned int pmu_version = 4;
static const char *trace_path;

static GMutex report_lock;
static FILE *report_file;
static GHashTable *reported;

static GMutex reset_lock; /* also of what a new vCPU starts with */
static bool resetting;

struct score *vcpu_score(const struct vcpu *vcpu)
{
	return qemu_plugin_scoreboard_find(scoreboard, vcpu->index);
}

void vcpu_leave_block(struct vcpu *vcpu)
{
	vcpu_score(vcpu)->block = 0;
	vcpu_score(vcpu)->alone = 0;
}

static void write_report(const char *line)
{
	fputs(line, report_file);
	fflush(report_file);
}

/* Each line once, and not too many: a guest that programs events in a loop fills no disk. */
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
		write_report(line);
		g_hash_table_add(reported, line);
		line = NULL;
	}
	g_mutex_unlock(&report_lock);
	g_free(line);
}

/* The last line, whatever a guest has had written before. */
static void report_statistics(void)
{
	char *line;

	if (!report_file)
		return;
	line = g_strdup_printf("stats blocks=%" G_GUINT64_FORMAT " instrumented=%" G_GUINT64_FORMAT
			       " counted=%" G_GUINT64_FORMAT " pmis=%" G_GUINT64_FORMAT
			       " rdmsr=%" G_GUINT64_FORMAT " wrmsr=%" G_GUINT64_FORMAT
			       " rdpmc=%" G_GUINT64_FORMAT " cpuid=%" G_GUINT64_FORMAT "\n",
			       statistics.blocks, statistics.instrumented, statistics.counted,
			       statistics.pmis, statistics.rdmsr, statistics.wrmsr,
			       statistics.rdpmc, statistics.cpuid);
	g_mutex_lock(&report_lock);
	write_report(line);
	g_mutex_unlock(&report_lock);
	g_free(line);
}

/*
 * Where one thread runs all vCPUs (-icount, thread=single) QEMU's code for one vCPU adds to the
 * scoreboard of the one that it was translated for, and others run it, too.
 */
static void need_own_thread(unsigned int index)
{
	static GThread *first;

	if (index == 0)
		first = g_thread_self();
	if (index == 0 || g_thread_self() != first)
		return;
	fputs("vpmu plugin: QEMU runs several vCPUs in one thread (-icount, thread=single) and "
	      "cannot keep their counts apart: use -smp 1\n",
	      stderr);
	_exit(EXIT_FAILURE);
}

/* One that is plugged in may come while others have stopped for a new translation. */
static void vcpu_add(struct vcpu *vcpu)
{
	g_mutex_lock(&reset_lock);
	models_start_vcpu(vcpu);
	vcpus[vcpu->index] = vcpu;
	record(vcpu, TRACE_RESET, VPMU_DONE, 0, 0);
	if (vcpus_end <= vcpu->index)
		vcpus_end = vcpu->index + 1;
	g_mutex_unlock(&reset_lock);
}

static void vcpu_init(unsigned int index, void *unused)
{
	struct vcpu *vcpu;
	enum vpmu_error error;

	(void)unused;
	g_assert(index < VCPUS_MAX);
	if (vcpus[index])
		return;
	need_own_thread(index);
	registers_init();
	vcpu = g_new0(struct vcpu, 1);
	vcpu->index = index;
	lapic_reset(vcpu);
	error = vpmu_init(&vcpu->pmu, &config, &source_ops, vcpu);
	g_assert(error == VPMU_OK);
	vcpu_add(vcpu);
}

/* By the vCPU itself. In the middle of a reset QEMU has no callbacks to tell of a new one. */
struct vcpu *vcpu_get(unsigned int index)
{
	if (!vcpus[index])
		vcpu_init(index, NULL);
	return vcpus[index];
}

void vcpus_each(void (*function)(struct vcpu *vcpu))
{
	unsigned int end = vcpus_end;

	for (unsigned int i = 0; i < end; i++)
		if (vcpus[i])
			function(vcpus[i]);
}

static void reset_one(struct vcpu *vcpu)
{
	vpmu_reset(&vcpu->pmu);
	access_reset(vcpu);
	lapic_reset(vcpu);
	models_reset(vcpu);
	record(vcpu, TRACE_RESET, VPMU_DONE, 0, 0);
}

/* The boot processor begins again, and so does the machine: the others wait. */
void vcpus_reset(void)
{
	vcpus_each(reset_one);
}

/* Unplugged: what it counted is given up, and one plugged in again finds RESET's state. */
static void vcpu_exit(unsigned int index, void *unused)
{
	(void)unused;
	if (vcpus[index])
		reset_one(vcpus[index]);
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
	vcpus_each(models_keep_branch);
	vcpus_each(rerun_keep);
	translate_forget();
	hooks_flushed();
}

/* Also where a QEMU goes into the background: the process that stays behind has no vCPU. */
static void at_exit(void *unused)
{
	(void)unused;
	if (config.version != 0 && !vcpus[0])
		return;
	record_finish();
	report_statistics();
}

static void register_callbacks(void)
{
	qemu_plugin_register_vcpu_init_cb(plugin_id, vcpu_init, NULL);
	qemu_plugin_register_vcpu_exit_cb(plugin_id, vcpu_exit, NULL);
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

/*
 * Translate everything anew, for what is counted now. True: before the next block
 * of the vCPU that calls. False: another one has asked already, and its thread may
 * be long in coming to it; until then blocks run on as they are.
 */
bool plugin_retranslate(void)
{
	bool start;

	g_mutex_lock(&reset_lock);
	start = !resetting;
	resetting = true;
	g_mutex_unlock(&reset_lock);
	if (start)
		qemu_plugin_reset(plugin_id, reset_done, NULL);
	return start;
}

/* Has that been asked for, and not been done yet? */
bool plugin_retranslates(void)
{
	bool is;

	g_mutex_lock(&reset_lock);
	is = resetting;
	g_mutex_unlock(&reset_lock);
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
	if (!arguments_pmu(name, &pmu_version))
		return refuse("unknown pmu '%s' (" ARGUMENTS_PMUS ")", name);
	return 0;
}

static int take_cpi(const char *text)
{
	struct cpi cpi;

	if (!arguments_cpi(text, &cpi))
		return refuse("cpi '%s' is no number from 0.001 to 1000", text);
	source_set_cpi(cpi);
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
		report_file = fopen(value + 1, "ae");
		return report_file ? 0
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

/* A plugin is not told. Where it cannot be found out it may be so. */
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
	reported = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (int i = 0; i < argc; i++)
		if (parse_argument(argv[i]) < 0)
			return -1;
	config = vpmu_config_intel(pmu_version,
				   pmu_version ? events_architectural(models_enabled()) : 0);
	config.debug_bits = DEBUG_BITS;
	if (trace_path && !record_start(trace_path, &config))
		return refuse("cannot write the trace: %s", strerror(errno));
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	if (config.version == 0)
		return 0;
	scoreboard = qemu_plugin_scoreboard_new(SCORE_SIZE);
	hooks_init();
	if (may_be_icount())
		translate_expect_cuts();
	register_callbacks();
	return 0;
}
