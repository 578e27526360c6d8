/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See user.h.
 */
#define _GNU_SOURCE
#include "user.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MAX 65536 /* the kernel's */

static bool take_identity(char **words)
{
	static gid_t groups[GROUPS_MAX];
	gid_t gid = (gid_t)strtoul(words[1], NULL, 10);
	size_t count = 0;
	char *at = words[2];

	while (*at && count < GROUPS_MAX) {
		groups[count++] = (gid_t)strtoul(at, &at, 10);
		at += *at == ',';
	}
	return !setgroups(count, groups) && !setgid(gid) &&
	       !setuid((uid_t)strtoul(words[0], NULL, 10));
}

void start_as_user(char **words)
{
	if (take_identity(words))
		execvp(words[3], words + 3);
	fprintf(stderr, "%s: %s\n", words[3], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}
