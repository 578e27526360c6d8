/* SPDX-License-Identifier: BSD-2-Clause
 *
 * bin/vpmu of a bundle (tools/bundle): starts the command through the bundle's own dynamic
 * loader, with its own libraries. It is static, as the machine may have another C library than
 * ours, and no shell. The loader lies beside the command: to that, /proc/self/exe is the loader.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_REFUSED 2

__attribute__((noreturn)) static void refuse(const char *what, const char *why)
{
	fprintf(stderr, "vpmu: %s: %s\n", what, why);
	exit(STATUS_REFUSED);
}

/* The folder of the parts; of bin/vpmu it is ../lib/vpmu, also where a link leads to that. */
static void find_parts(char parts[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", parts, PATH_MAX - 1);

	if (length <= 0)
		refuse("/proc/self/exe cannot be read", "is /proc mounted?");
	parts[length] = '\0';
	for (int i = 0; i < 2; i++)
		*strrchr(parts, '/') = '\0';
	if (strlen(parts) + strlen("/lib/vpmu") >= PATH_MAX)
		refuse(parts, strerror(ENAMETOOLONG));
	strcat(parts, "/lib/vpmu");
	/* The loader takes a list of folders. */
	if (strpbrk(parts, ":;$"))
		refuse(parts, "a bundle works in no folder with \":\", \";\" or \"$\" in its path");
}

static char *join(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		refuse(name, strerror(errno));
	return path;
}

int main(int argc, char **argv)
{
	char parts[PATH_MAX];
	char **words = calloc((size_t)argc + 6, sizeof(*words));
	size_t count = 0;

	if (!words)
		refuse("vpmu", strerror(errno));
	find_parts(parts);
	words[count++] = join(parts, "ld-linux-x86-64.so.2");
	words[count++] = (char *)"--inhibit-cache";
	words[count++] = (char *)"--library-path";
	words[count++] = join(parts, "libs");
	words[count++] = join(parts, "vpmu");
	for (int i = 1; i < argc; i++)
		words[count++] = argv[i];
	execv(words[0], words);
	refuse(words[0], strerror(errno));
}
