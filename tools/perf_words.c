/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See perf_words.h.
 */
#include "perf_words.h"

#include <string.h>

/* perf takes a name's first letters for the name. Fewer than these are not tried. */
#define SHORTEST 3

/* Options of one letter that take no value, so that another may follow in the same word. */
static const char flags[] = "aABbcdfghijnNPqRsSTvW";

static bool is_end(const char *word)
{
	return !word || !strcmp(word, "--");
}

/* The value within the word, "" if it is the next word, or NULL if this is another option. */
static const char *value_of_letter(const char *word, char letter)
{
	while (*++word)
		if (*word == letter)
			return word + 1;
		else if (!strchr(flags, *word))
			return NULL;
	return NULL;
}

static const char *value_of_name(const char *word, const char *name)
{
	size_t length = strcspn(word + 2, "=");

	if (length < SHORTEST || strncmp(word + 2, name, length) != 0)
		return NULL;
	word += 2 + length;
	return *word ? word + 1 : word;
}

static const char *value_in(const char *word, char letter, const char *name)
{
	if (word[0] != '-' || !word[1])
		return NULL;
	return word[1] == '-' ? value_of_name(word, name) : value_of_letter(word, letter);
}

void perf_words_values(char *const *words, char letter, const char *name, struct args *values)
{
	for (; !is_end(*words); words++) {
		const char *value = value_in(*words, letter, name);

		if (value && !*value && !is_end(words[1]))
			value = *++words;
		if (value && *value)
			args_add(values, value);
	}
}

bool perf_words_have(char *const *words, const char *word)
{
	for (; !is_end(*words); words++)
		if (!strcmp(*words, word))
			return true;
	return false;
}

/* The modifiers of an event stand behind the last ":" or "/". Those of a group are its last one's.
 */
static bool is_user_only(const char *event, size_t length)
{
	size_t at = length;

	while (at && !strchr(":/", event[at - 1]))
		at--;
	return at && memchr(event + at, 'u', length - at) && !memchr(event + at, 'k', length - at);
}

static bool are_user_only(const char *events)
{
	const char *first = events;
	bool inside = false;

	for (;; events++) {
		inside ^= *events == '/';
		if (*events && (inside || *events != ','))
			continue;
		if (!is_user_only(first, (size_t)(events - first)))
			return false;
		if (!*events)
			return true;
		first = events + 1;
	}
}

bool perf_words_user_only(char *const *words)
{
	struct args events = { 0 };
	bool only = true;

	if (perf_words_have(words, "--all-user"))
		return true;
	perf_words_values(words, 'e', "event", &events);
	for (size_t i = 0; i < events.count; i++)
		only = only && are_user_only(events.v[i]);
	only = only && events.count;
	args_free(&events);
	return only;
}
