/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of events against Linux's: perf's event files of each processor (tools/setup
 * unpacks them). Every event of every file is listed as counted, of a model, or refused, as
 * the plugin decides it. What the tables name, the files name alike, and nothing of a file
 * is counted as what another family calls so.
 */
#include "count/formula.h"
#include "count/totals.h"
#include "models/models.h"
#include <glib.h>
#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FOLDER "build/event-files"

/* What a file's event says of itself. */
struct listed {
	const char *name;
	struct vpmu_event event;
	bool fixed;        /* it is a fixed counter's: 00H, or no event select at all */
	bool beyond;       /* an encoding that no event select here has */
	bool is_processor; /* not of the uncore */
};

enum verdict { COUNTED, MODELLED, REFUSED, VERDICTS };

static const char *const verdicts[VERDICTS] = { "counted", "of a model", "refused" };
static unsigned int tests, failed;

static void check(bool holds, const char *file, const char *what)
{
	failed += !holds;
	printf("%s %u - %s: %s\n", holds ? "ok" : "not ok", ++tests, file, what);
}

/* What formula.c has of the plugin; nothing is counted here. */
bool models_enabled(void)
{
	return true;
}

uint64_t totals_entry(const struct vcpu *vcpu, unsigned int entry)
{
	(void)vcpu;
	(void)entry;
	return 0;
}

static unsigned long number(json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? strtoul(text, NULL, 0) : 0;
}

static struct listed read_event(enum family family, json_t *event)
{
	const char *unit = json_string_value(json_object_get(event, "Unit"));
	unsigned long select = number(event, "EventCode"), umask = number(event, "UMask");
	unsigned long selects = family_vendor(family) == VPMU_AMD ? 0xfff : 0xff;
	struct listed listed = {
		.name = json_string_value(json_object_get(event, "EventName")),
		.event = { .select = (uint16_t)select,
			   .umask = (uint8_t)umask,
			   .cmask = (uint8_t)number(event, "CounterMask"),
			   .invert = number(event, "Invert"),
			   .edge = number(event, "EdgeDetect"),
			   .user = true,
			   .kernel = true,
			   .extra = number(event, "MSRValue") },
		.fixed = !select && umask && family_vendor(family) == VPMU_INTEL,
		.beyond = select > selects || umask > 0xff || number(event, "AnyThread"),
		.is_processor = json_object_get(event, "EventName") &&
				(!unit || !strcmp(unit, "cpu_core") || !strcmp(unit, "core")),
	};

	return listed;
}

static const struct event_row *row_of(enum family family, const struct listed *listed)
{
	struct vpmu_event event = listed->event;

	if (listed->beyond)
		return NULL;
	if (!listed->fixed)
		return event_find_encoding(family, event.select, event.umask);
	event.id = vpmu_fixed_event(event.umask - 1);
	return event.id == VPMU_EVENT_RAW ? NULL : event_find(family, &event);
}

static enum verdict judge(enum family family, struct listed listed)
{
	const struct event_row *row = row_of(family, &listed);
	struct formula formula;

	if (!row)
		return REFUSED;
	listed.event.id = row->id;
	formula_set_family(family);
	if (!formula_of(&listed.event, &formula))
		return REFUSED;
	return event_is_modelled(row) ? MODELLED : COUNTED;
}

static bool is_plain(const struct vpmu_event *event)
{
	return !event->cmask && !event->invert && !event->edge;
}

/* Whether a file has the row's event, of that name. */
static bool has(json_t *events, enum family family, const struct event_row *row)
{
	size_t i;
	json_t *each;

	json_array_foreach(events, i, each)
	{
		struct listed listed = read_event(family, each);

		if (listed.is_processor && is_plain(&listed.event) && !listed.beyond &&
		    listed.event.select == row->select && listed.event.umask == row->umask &&
		    !strcasecmp(listed.name, row->name))
			return true;
	}
	return false;
}

/* A name with a blank is ours. */
static void check_rows(json_t *events, enum family family, const char *file)
{
	const struct event_row *row = NULL;
	bool all = true;

	while ((row = event_next(family, row))) {
		if (row->id != VPMU_EVENT_RAW || strchr(row->name, ' ') || has(events, family, row))
			continue;
		printf("# not in %s: %02x/%02x %s\n", file, row->select, row->umask, row->name);
		all = false;
	}
	check(all, file, "has each event of the family's table, of that name");
}

/*
 * What is counted is the event meant: the row's own name is one that the file has for the
 * encoding, or its event is architectural.
 */
static void list_events(json_t *events, enum family family, const char *file)
{
	unsigned int count[VERDICTS] = { 0 };
	char summary[128];
	size_t i;
	json_t *each;

	json_array_foreach(events, i, each)
	{
		struct listed listed = read_event(family, each);
		enum verdict verdict;

		if (!listed.is_processor)
			continue;
		verdict = judge(family, listed);
		count[verdict]++;
		printf("# %s %02x/%02x %s: %s\n", file, listed.event.select, listed.event.umask,
		       listed.name, verdicts[verdict]);
	}
	snprintf(summary, sizeof(summary), "%u events counted, %u of a model, %u refused",
		 count[COUNTED], count[MODELLED], count[REFUSED]);
	check(count[COUNTED] >= 3, file, summary);
}

/* All events of a folder's files. */
static json_t *load(const char *folder)
{
	char *path = g_build_filename(FOLDER, folder, NULL);
	GDir *dir = g_dir_open(path, 0, NULL);
	json_t *events = json_array();
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		char *file = g_build_filename(path, name, NULL);
		json_t *read = json_load_file(file, 0, NULL);

		json_array_extend(events, read); /* another thing than an array has no events */
		json_decref(read);
		g_free(file);
	}
	if (dir)
		g_dir_close(dir);
	g_free(path);
	return events;
}

/* A line of the map: which processors have a folder's events. */
struct line {
	regex_t processors;
	char folder[64];
	bool used;
	enum family family;
};

static struct line lines[128];
static size_t line_count;

static void read_map(FILE *map)
{
	char text[256], processors[128], whole[132];

	while (line_count < G_N_ELEMENTS(lines) && fgets(text, sizeof(text), map)) {
		struct line *line = &lines[line_count];

		if (sscanf(text, "%127[^,],%*[^,],%63[^,],core", processors, line->folder) != 2 ||
		    !strchr(processors, '-') || !strncmp(processors, "Family", 6))
			continue;
		snprintf(whole, sizeof(whole), "^%s$", processors);
		if (!regcomp(&line->processors, whole, REG_EXTENDED | REG_NOSUB))
			line_count++;
	}
}

/* The first line that a processor's name fits; steppings are in some. */
static struct line *find_line(enum vpmu_vendor_id vendor, unsigned int family, unsigned int model,
			      const char *stepping)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-%u-%X%s",
		 vendor == VPMU_AMD ? "AuthenticAMD" : "GenuineIntel", family, model, stepping);
	for (size_t i = 0; i < line_count; i++)
		if (!regexec(&lines[i].processors, name, 0, NULL, 0))
			return &lines[i];
	return NULL;
}

static void place(enum vpmu_vendor_id vendor, unsigned int display, unsigned int model,
		  const char *stepping)
{
	struct line *line = find_line(vendor, display, model, stepping);
	enum family family = family_of(vendor, family_signature(display, model));

	if (!line)
		return;
	if (line->used && line->family != family)
		check(false, line->folder, "its processors are of one family");
	line->used = true;
	line->family = family;
}

static void place_all(void)
{
	for (unsigned int model = 0; model <= 0xff; model++) {
		place(VPMU_INTEL, 0x6, model, "");
		place(VPMU_INTEL, 0x6, model, "-0");
		place(VPMU_INTEL, 0x6, model, "-6");
		place(VPMU_AMD, 0x17, model, "");
		place(VPMU_AMD, 0x19, model, "");
		place(VPMU_AMD, 0x1a, model, "");
	}
}

static void check_line(const struct line *line)
{
	json_t *events = load(line->folder);

	check(line->used, line->folder, "has processors");
	list_events(events, line->family, line->folder);
	check_rows(events, line->family, line->folder);
	json_decref(events);
}

int main(void)
{
	FILE *map = fopen(FOLDER "/mapfile.csv", "re");

	if (!map) {
		printf("1..0 # SKIP perf's event files are not in " FOLDER "\n");
		return 0;
	}
	read_map(map);
	fclose(map);
	place_all();
	for (size_t i = 0; i < line_count; i++)
		check_line(&lines[i]);
	printf("1..%u\n", tests);
	return failed != 0;
}
