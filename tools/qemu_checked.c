/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See qemu_checked.h. A file's name is that of a QEMU's path, and it holds that file's identity and
 * version.
 */
#include "qemu_checked.h"
#include "util.h"

#include <glib.h>
#include <string.h>

/* NULL: nothing can be kept. */
static char *place_of(const char *path)
{
	char *folder = text("%s/vpmu/qemu", g_get_user_cache_dir());
	char *name = g_compute_checksum_for_string(G_CHECKSUM_SHA256, path, -1);
	char *place = g_mkdir_with_parents(folder, 0700) ? NULL : text("%s/%s", folder, name);

	g_free(name);
	g_free(folder);
	return place;
}

char *qemu_checked(const char *path)
{
	char *place = place_of(path), *identity = file_identity(path), *content = NULL;
	char *version = NULL;
	size_t size = identity ? strlen(identity) : 0;

	if (place && identity && g_file_get_contents(place, &content, NULL, NULL) &&
	    !strncmp(content, identity, size) && content[size] == '\n')
		version = text("%s", content + size + 1);
	g_free(content);
	g_free(identity);
	g_free(place);
	return version;
}

void qemu_keep_checked(const char *path, const char *version)
{
	char *place = place_of(path), *identity = file_identity(path);

	if (place && identity && !is_script(path)) {
		char *content = text("%s\n%s", identity, version);

		g_file_set_contents_full(place, content, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600,
					 NULL);
		g_free(content);
	}
	g_free(identity);
	g_free(place);
}
