/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See ahead.h. A file of the cache is the command's key, and the texts. There are 256 files at
 * most: a command's name is a part of its key, and who comes later takes the place.
 */
#define _GNU_SOURCE
#include "ahead.h"
#include "tools/util.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MAX (16u << 20)

/* Of perf's own words there may be others each time. */
static char *const *command_of(const struct args *words)
{
	for (size_t i = 0; i + 1 < words->count; i++)
		if (!strcmp(words->v[i], "--"))
			return words->v + i + 1;
	return words->v;
}

static char *key_of(const struct args *words)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	char *cwd = g_get_current_dir(), *key;

	g_checksum_update(sum, (const guchar *)cwd, (gssize)strlen(cwd) + 1);
	for (char *const *word = command_of(words); *word; word++)
		g_checksum_update(sum, (const guchar *)*word, (gssize)strlen(*word) + 1);
	key = g_strdup(g_checksum_get_string(sum));
	g_checksum_free(sum);
	g_free(cwd);
	return key;
}

struct ahead ahead_load(const struct args *words)
{
	struct ahead ahead = { .key = key_of(words) };
	char *folder = text("%s/vpmu/files", g_get_user_cache_dir());
	gsize size = 0, key = strlen(ahead.key) + 1;
	char *data = NULL;

	if (g_mkdir_with_parents(folder, 0700))
		return ahead;
	ahead.path = text("%s/%.2s", folder, ahead.key);
	if (g_file_get_contents(ahead.path, &data, &size, NULL) && size > key && size < BYTES_MAX &&
	    !data[size - 1] && !strcmp(data, ahead.key)) {
		ahead.texts = data + key;
		ahead.size = size - key;
	}
	return ahead;
}

void ahead_keep(const struct ahead *ahead, int fd)
{
	size_t key = ahead->key ? strlen(ahead->key) + 1 : 0;
	struct stat st;
	char *data;

	if (!ahead->path || fstat(fd, &st) || !st.st_size || st.st_size > BYTES_MAX)
		return;
	data = g_malloc(key + (size_t)st.st_size);
	memcpy(data, ahead->key, key);
	/* Under another name first. */
	if (pread(fd, data + key, (size_t)st.st_size, 0) == (ssize_t)st.st_size)
		g_file_set_contents_full(ahead->path, data, (gssize)key + (gssize)st.st_size,
					 G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
	g_free(data);
}
