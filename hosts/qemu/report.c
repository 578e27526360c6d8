/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See report.h. The lines are read by tools/run.c.
 */
#include "report.h"
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>

/* A guest that programs events in a loop must not fill the disk. */
#define LINES_MAX 1024

struct statistics statistics;

static GMutex lock;
static FILE *file;
static GHashTable *reported;

bool report_open(const char *path)
{
	file = fopen(path, "ae");
	if (!reported)
		reported = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return file != NULL;
}

static void write_line(const char *line)
{
	fputs(line, file);
	fflush(file);
}

void report(const char *format, ...)
{
	va_list args;
	char *line;

	if (!file)
		return;
	va_start(args, format);
	line = g_strdup_vprintf(format, args);
	va_end(args);
	g_mutex_lock(&lock);
	if (g_hash_table_size(reported) < LINES_MAX && !g_hash_table_contains(reported, line)) {
		write_line(line);
		g_hash_table_add(reported, line);
		line = NULL;
	}
	g_mutex_unlock(&lock);
	g_free(line);
}

void report_statistics(void)
{
	char *line;

	if (!file)
		return;
	line = g_strdup_printf("stats blocks=%" G_GUINT64_FORMAT " instrumented=%" G_GUINT64_FORMAT
			       " counted=%" G_GUINT64_FORMAT " pmis=%" G_GUINT64_FORMAT
			       " rdmsr=%" G_GUINT64_FORMAT " wrmsr=%" G_GUINT64_FORMAT
			       " rdpmc=%" G_GUINT64_FORMAT " cpuid=%" G_GUINT64_FORMAT "\n",
			       statistics.blocks, statistics.instrumented, statistics.counted,
			       statistics.pmis, statistics.rdmsr, statistics.wrmsr,
			       statistics.rdpmc, statistics.cpuid);
	g_mutex_lock(&lock);
	write_line(line);
	g_mutex_unlock(&lock);
	g_free(line);
}
