/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pmu.h.
 */
#define _GNU_SOURCE
#include "pmu.h"
#include "events.h"
#include "qemu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const pmu_names[] = {
	"off", NULL, "intel-v2", "intel-v3", "intel-v4", "intel-v5"
};

#define PMU_COUNT (sizeof(pmu_names) / sizeof(pmu_names[0]))

unsigned int pmu_version(const char *pmu)
{
	for (unsigned int version = 0; version < PMU_COUNT; version++)
		if (pmu_names[version] && !strcmp(pmu_names[version], pmu))
			return version;
	fail("there is no PMU `%s': use off, intel-v2, intel-v3, intel-v4 or intel-v5", pmu);
}

/* Whether the word is this option; its value, if it has one in the same word. */
static bool is_option(const char *word, const char *name, const char **value)
{
	size_t length = strlen(name);

	if (strncmp(word, name, length) || (word[length] && word[length] != '='))
		return false;
	*value = word[length] ? word + length + 1 : NULL;
	return true;
}

static bool is_cpi(const char *word)
{
	size_t whole = strspn(word, "0123456789");
	size_t decimals = word[whole] == '.' ? strspn(word + whole + 1, "0123456789") : 0;
	size_t length = whole + (decimals ? decimals + 1 : 0);
	double value;

	if (!whole || whole > 4 || decimals > 3 || word[length])
		return false;
	value = strtod(word, NULL);
	return value > 0 && value <= 1000;
}

bool pmu_option(struct pmu_options *options, char **argv, int *i)
{
	const struct {
		const char *name;
		const char **to;
	} known[] = { { "--pmu", &options->pmu },
		      { "--cpi", &options->cpi },
		      { "--report", &options->report },
		      { "--plugin", &options->plugin } };
	const char *value;
	size_t which = 0;

	while (which < sizeof(known) / sizeof(known[0]) &&
	       !is_option(argv[*i], known[which].name, &value))
		which++;
	if (which == sizeof(known) / sizeof(known[0]))
		return false;
	if (!value)
		value = argv[++*i];
	if (!value || !*value)
		fail("%s needs a value", known[which].name);
	*known[which].to = value;
	pmu_version(options->pmu);
	if (!is_cpi(options->cpi))
		fail("--cpi is a number from 0.001 to 1000 with at most three decimals, not `%s'",
		     options->cpi);
	return true;
}

/* QEMU splits at single commas. */
static char *double_commas(const char *path)
{
	char *doubled = text("%s%s", path, path);
	char *to = doubled;

	for (; *path; path++) {
		*to++ = *path;
		if (*path == ',')
			*to++ = ',';
	}
	*to = '\0';
	return doubled;
}

char *pmu_plugin_argument(const struct pmu_options *options)
{
	const char *plugin = options->plugin ? options->plugin : paths_get()->plugin;
	bool report = options->report;

	return text("file=%s,pmu=%s,cpi=%s%s%s", double_commas(plugin), options->pmu, options->cpi,
		    report ? ",report=" : "", report ? double_commas(options->report) : "");
}

static const struct event_row *find_encoding(unsigned int select, unsigned int umask)
{
	for (size_t i = 0; i < event_rows_count; i++)
		if (event_rows[i].select == select && event_rows[i].umask == umask)
			return &event_rows[i];
	return NULL;
}

struct encoding {
	unsigned int select, umask, cmask, invert, edge;
};

static void print_encoding(const struct encoding *encoding)
{
	const struct event_row *row = find_encoding(encoding->select, encoding->umask);
	const char *why = row && row->why ? row->why : NULL;

	fprintf(stderr, "vpmu: not counted: event %02x/%02x", encoding->select, encoding->umask);
	if (encoding->cmask)
		fprintf(stderr, " cmask=%u%s", encoding->cmask, encoding->invert ? " inv" : "");
	if (encoding->edge)
		fputs(" edge", stderr);
	if (row)
		fprintf(stderr, " (%s)", row->name);
	if (!why)
		why = row ? "not with this counter mask" : "no event of this encoding is known";
	fprintf(stderr, ": %s\n", why);
}

unsigned int pmu_print_uncounted(int fd)
{
	int own = dup(fd);
	FILE *file = own < 0 ? NULL : fdopen(own, "r");
	struct encoding e;
	unsigned int count = 0;
	char line[256];

	if (!file)
		return 0;
	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "uncounted %x %x cmask=%u inv=%u edge=%u", &e.select, &e.umask,
			   &e.cmask, &e.invert, &e.edge) != 5)
			continue;
		print_encoding(&e);
		count++;
	}
	fclose(file);
	return count;
}
