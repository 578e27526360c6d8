/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See document.h.
 */
#include "document.h"
#include "toml.h"
#include "tools/util.h"

#include <glib.h>
#include <string.h>

json_t *document_read(const char *path)
{
	GError *error = NULL;
	json_error_t json_error;
	char *data, *json, *wrong = NULL;
	size_t size;
	json_t *object;

	if (!g_file_get_contents(path, &data, &size, &error))
		fail("%s", error->message);
	if (strlen(data) != size)
		fail("%s: it is no text: it has a NUL byte", path);
	json = toml_to_json(data, &wrong);
	if (!json)
		fail("%s: %s", path, wrong);
	object = json_loads(json, JSON_REJECT_DUPLICATES, &json_error);
	if (!json_is_object(object))
		fail("%s: %s", path, json_error.text);
	free(json);
	g_free(data);
	return object;
}

void document_check_keys(const char *path, const char *where, json_t *object,
			 const char *const *keys)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) if (!g_strv_contains(keys, key))
		fail("%s: there is no `%s' in %s, but %s", path, key, where,
		     g_strjoinv(", ", (char **)keys));
}

json_t *document_table(const char *path, json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (value && !json_is_object(value))
		fail("%s: `%s' is a table, such as [%s]", path, key, key);
	return value;
}

const char *document_text(const char *path, json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (value && !json_is_string(value))
		fail("%s: `%s' is a text, in quotes", path, key);
	return value ? json_string_value(value) : NULL;
}

uint64_t document_number(const char *path, json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
		fail("%s: `%s' is a whole number", path, key);
	return value ? (uint64_t)json_integer_value(value) : 0;
}

void document_command(const char *path, json_t *object, const char *key, struct args *words)
{
	json_t *value = json_object_get(object, key), *word;
	size_t i;

	if (json_is_string(value)) {
		args_add(words, "/bin/sh");
		args_add(words, "-c");
		args_add(words, json_string_value(value));
		return;
	}
	json_array_foreach(value, i, word) if (json_is_string(word))
		args_add(words, json_string_value(word));
	if (!words->count || words->count != json_array_size(value))
		fail("%s: `%s' is a text for a shell, or a list of texts", path, key);
}

char *document_quote(const char *plain)
{
	char *valid = g_utf8_make_valid(plain, -1);
	GString *quoted = g_string_new("\"");

	for (const char *at = valid; *at; at++)
		if (*at == '"' || *at == '\\')
			g_string_append_printf(quoted, "\\%c", *at);
		else if (g_ascii_iscntrl(*at))
			g_string_append_printf(quoted, "\\u%04x", (unsigned int)*at);
		else
			g_string_append_c(quoted, *at);
	g_string_append_c(quoted, '"');
	g_free(valid);
	return g_string_free(quoted, FALSE);
}
