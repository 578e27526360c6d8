/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See stacks.h. The format of callgrind's files is chapter "Callgrind Format Specification" of
 * valgrind's manual.
 */
#define _GNU_SOURCE
#include "stacks.h"
#include "tools/util.h"

#include <glib.h>
#include <string.h>

/* --- reading ------------------------------------------------------------------------------- */

/* "7f1234 memcpy+0x10 (/lib/libc.so.6)": the name, without the offset, and the file. */
static bool read_frame(char *line, char **name, char **object)
{
	char *space = strchr(line, ' ');
	char *open = space ? g_strrstr(line, " (") : NULL;
	char *offset;

	if (!open || open < space || !g_ascii_isxdigit(*line))
		return false;
	*open = 0;
	*object = open + 2;
	(*object)[strcspn(*object, ")")] = 0;
	*name = open > space ? space + 1 : (char *)"";
	offset = g_strrstr(*name, "+0x");
	if (offset)
		*offset = 0;
	return true;
}

/*
 * What has no name is called after its file. A caller in no file is none: code without frame
 * pointers has left something else there.
 */
static void add_frame(struct stack *stack, char *line)
{
	char *name, *object, *base;

	if (!read_frame(g_strstrip(line), &name, &object) ||
	    (!strcmp(object, "[unknown]") && stack->frames.count))
		return;
	base = g_path_get_basename(object);
	args_add(&stack->frames, *name && strcmp(name, "[unknown]") ? name
				 : *base == '['                     ? base
								    : text("[%s]", base));
	args_add(&stack->objects, object);
	g_free(base);
}

static struct stack *add_stack(struct stacks *stacks, const char *process)
{
	struct stack *added;

	if (!(stacks->count & (stacks->count + 1)))
		stacks->v = g_renew(struct stack, stacks->v, 2 * stacks->count + 2);
	added = &stacks->v[stacks->count++];
	*added = (struct stack){ .process = g_strdup(process) };
	return added;
}

/* A sample is a line with the process's name, lines with its frames, and an empty one. */
void stacks_parse(struct stacks *stacks, const char *script)
{
	char **lines = g_strsplit(script, "\n", -1);
	struct stack *stack = NULL;

	for (char **line = lines; *line; line++) {
		if (!*g_strstrip(*line))
			stack = NULL;
		else if (stack)
			add_frame(stack, *line);
		else
			stack = add_stack(stacks, *line);
	}
	g_strfreev(lines);
}

/* --- summing up ---------------------------------------------------------------------------- */

static void count(GHashTable *counts, char *key)
{
	uint64_t value = (uint64_t)(uintptr_t)g_hash_table_lookup(counts, key);

	g_hash_table_insert(counts, key, (void *)(uintptr_t)(value + 1));
}

static GHashTable *new_counts(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static GList *sorted_keys(GHashTable *counts)
{
	return g_list_sort(g_hash_table_get_keys(counts), (GCompareFunc)strcmp);
}

static uint64_t value_of(GHashTable *counts, const void *key)
{
	return (uint64_t)(uintptr_t)g_hash_table_lookup(counts, key);
}

void stacks_profile(const struct stacks *stacks, struct profile *profile, uint64_t period)
{
	GHashTable *counts = new_counts();

	for (size_t i = 0; i < stacks->count; i++)
		if (stacks->v[i].frames.count)
			count(counts,
			      text("%s/%s", stacks->v[i].process, stacks->v[i].frames.v[0]));
	profile_take_run(profile, counts, period);
	g_hash_table_destroy(counts);
}

void stacks_free(struct stacks *stacks)
{
	for (size_t i = 0; i < stacks->count; i++) {
		g_free(stacks->v[i].process);
		args_free(&stacks->v[i].frames);
		args_free(&stacks->v[i].objects);
	}
	g_free(stacks->v);
	*stacks = (struct stacks){ 0 };
}

/* A semicolon separates frames. */
static char *fold(const struct stack *stack)
{
	GString *folded = g_string_new(stack->process);

	for (size_t i = stack->frames.count; i--;) {
		char *frame = g_strdelimit(g_strdup(stack->frames.v[i]), ";\n", ':');

		g_string_append_printf(folded, ";%s", frame);
		g_free(frame);
	}
	return g_string_free(folded, FALSE);
}

void stacks_print_folded(FILE *file, const struct stacks *stacks, uint64_t period)
{
	GHashTable *counts = new_counts();
	GList *keys;

	for (size_t i = 0; i < stacks->count; i++)
		count(counts, fold(&stacks->v[i]));
	keys = sorted_keys(counts);
	for (GList *key = keys; key; key = key->next)
		fprintf(file, "%s %ju\n", (const char *)key->data,
			(uintmax_t)(value_of(counts, key->data) * period));
	g_list_free(keys);
	g_hash_table_destroy(counts);
}

/* --- callgrind's format -------------------------------------------------------------------- */

/* "OBJECT\tFUNCTION", and for a call "OBJECT\tCALLER\tOBJECT\tCALLED". */
static char *place(const struct stack *stack, size_t i)
{
	return text("%s\t%s", stack->objects.v[i], stack->frames.v[i]);
}

/* Is the same call further out on the stack? Recursion is not to count twice. */
static bool is_outer(const struct stack *stack, size_t caller)
{
	for (size_t i = caller + 1; i < stack->frames.count; i++)
		if (!strcmp(stack->frames.v[i], stack->frames.v[caller]) &&
		    !strcmp(stack->frames.v[i - 1], stack->frames.v[caller - 1]))
			return false;
	return true;
}

static void count_calls(GHashTable *calls, const struct stack *stack)
{
	for (size_t i = 1; i < stack->frames.count; i++)
		if (is_outer(stack, i))
			count(calls, text("%s\t%s", place(stack, i), place(stack, i - 1)));
}

static void print_self(FILE *file, GHashTable *self, uint64_t period)
{
	GList *keys = sorted_keys(self);

	for (GList *key = keys; key; key = key->next) {
		char **parts = g_strsplit(key->data, "\t", 2);

		fprintf(file, "\nob=%s\nfl=???\nfn=%s\n0 %ju\n", parts[0], parts[1],
			(uintmax_t)(value_of(self, key->data) * period));
		g_strfreev(parts);
	}
	g_list_free(keys);
}

/* How often one calls the other is not known: perf samples. */
static void print_calls(FILE *file, GHashTable *calls, uint64_t period)
{
	GList *keys = sorted_keys(calls);

	for (GList *key = keys; key; key = key->next) {
		char **parts = g_strsplit(key->data, "\t", 4);

		fprintf(file, "\nob=%s\nfl=???\nfn=%s\ncob=%s\ncfi=???\ncfn=%s\ncalls=1 0\n0 %ju\n",
			parts[0], parts[1], parts[2], parts[3],
			(uintmax_t)(value_of(calls, key->data) * period));
		g_strfreev(parts);
	}
	g_list_free(keys);
}

void stacks_print_callgrind(FILE *file, const struct stacks *stacks, uint64_t period,
			    const char *command)
{
	GHashTable *self = new_counts(), *calls = new_counts();
	uint64_t samples = 0;

	for (size_t i = 0; i < stacks->count; i++)
		if (stacks->v[i].frames.count) {
			count(self, place(&stacks->v[i], 0));
			count_calls(calls, &stacks->v[i]);
			samples++;
		}
	fprintf(file,
		"# callgrind format\nversion: 1\ncreator: vpmu gate " VPMU_TOOLS_VERSION "\n"
		"cmd: %s\ndesc: Trigger: samples, one in %ju instructions\n"
		"positions: line\nevents: Ir\nsummary: %ju\n",
		command, (uintmax_t)period, (uintmax_t)(samples * period));
	print_self(file, self, period);
	print_calls(file, calls, period);
	fprintf(file, "\ntotals: %ju\n", (uintmax_t)(samples * period));
	g_hash_table_destroy(self);
	g_hash_table_destroy(calls);
}
