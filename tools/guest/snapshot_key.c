/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a snapshot is good for: the same QEMU with the same words, and the same files, of which the
 * inode says whether they are. And until this machine is started again: the guest's clock has the
 * rate of its processor, and what a crash of the machine has left of a file is never used.
 */
#include "snapshot.h"
#include "tools/util.h"

#include <glib.h>
#include <string.h>

#define FORMAT "1" /* of snapshots, and what the guest's init and vpmu say to each other */

static void add(GChecksum *sum, const char *word)
{
	g_checksum_update(sum, (const guchar *)word, (gssize)strlen(word) + 1);
}

static void add_file(GChecksum *sum, const char *path)
{
	char *identity = file_identity(path);

	add(sum, path);
	if (identity)
		add(sum, identity);
	g_free(identity);
}

char *snapshot_key(const struct args *words, const struct args *files)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	char *boot = NULL, *key;

	add(sum, FORMAT);
	if (g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL))
		add(sum, boot);
	for (size_t i = 0; i < words->count; i++)
		add(sum, words->v[i]);
	for (size_t i = 0; i < files->count; i++)
		add_file(sum, files->v[i]);
	key = g_strdup(g_checksum_get_string(sum));
	g_checksum_free(sum);
	g_free(boot);
	return key;
}
