/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See monitor.h. Each command and each answer is a line.
 */
#define _GNU_SOURCE
#include "monitor.h"
#include "tools/util.h"

#include <errno.h>
#include <glib.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PATIENCE_SECONDS 60
#define POLL_NANOSECONDS 2000000 /* a guest is saved in milliseconds */

/* NULL: none comes, or a signal does. */
static char *read_line(int connection, const sigset_t *mask)
{
	static const struct timespec patience = { .tv_sec = PATIENCE_SECONDS };
	GString *line = g_string_new(NULL);
	char byte;

	do {
		struct pollfd fd = { .fd = connection, .events = POLLIN };

		if (ppoll(&fd, 1, &patience, mask) <= 0 || recv(connection, &byte, 1, 0) != 1) {
			g_string_free(line, TRUE);
			return NULL;
		}
		g_string_append_c(line, byte);
	} while (byte != '\n');
	return g_string_free(line, FALSE);
}

/* What the command returns; NULL: an error. Events and QEMU's greeting are passed over. */
static json_t *ask(int connection, const sigset_t *mask, json_t *command)
{
	char *words = json_dumps(command, JSON_COMPACT), *line;
	bool sent = send(connection, words, strlen(words), MSG_NOSIGNAL) == (ssize_t)strlen(words);
	json_t *found = NULL;

	json_decref(command);
	free(words);
	while (sent && !found && (line = read_line(connection, mask))) {
		json_t *answer = json_loads(line, 0, NULL);

		g_free(line);
		found = json_incref(json_object_get(answer, "return"));
		sent = answer && !json_object_get(answer, "error");
		json_decref(answer);
	}
	return found;
}

static bool obeys(int connection, const sigset_t *mask, json_t *command)
{
	json_t *answer = ask(connection, mask, command);

	json_decref(answer);
	return answer != NULL;
}

static bool obeys_word(int connection, const sigset_t *mask, const char *word)
{
	return obeys(connection, mask, json_pack("{ss}", "execute", word));
}

/* Waits until it is saved. */
static bool is_saved(int connection, const sigset_t *mask)
{
	static const struct timespec while_saving = { .tv_nsec = POLL_NANOSECONDS };
	bool saved = false, goes_on = true;

	while (goes_on && !saved) {
		json_t *answer =
			ask(connection, mask, json_pack("{ss}", "execute", "query-migrate"));
		const char *status = json_string_value(json_object_get(answer, "status"));

		saved = status && !strcmp(status, "completed");
		goes_on =
			status && strcmp(status, "failed") != 0 && strcmp(status, "cancelled") != 0;
		json_decref(answer);
		if (goes_on && !saved)
			goes_on = !ppoll(NULL, 0, &while_saving, mask);
	}
	return saved;
}

bool monitor_save(int connection, const char *path, const sigset_t *mask)
{
	return obeys_word(connection, mask, "qmp_capabilities") &&
	       obeys_word(connection, mask, "stop") &&
	       obeys(connection, mask,
		     json_pack("{sss{so}}", "execute", "migrate", "arguments", "uri",
			       json_string(text("file:%s", path)))) &&
	       is_saved(connection, mask);
}

bool monitor_continue(int connection, const sigset_t *mask)
{
	return obeys_word(connection, mask, "cont");
}
