/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu exec: run a program in a throw-away guest that has a PMU (guest/guest.h).
 */
#define _GNU_SOURCE
#include "commands.h"
#include "guest/guest.h"

#include <glib.h>

const char exec_usage[] =
	"usage: vpmu exec [options] [--] COMMAND ...\n"
	"\n"
	"Runs COMMAND in a throw-away guest with a PMU. The guest sees this machine's files;\n"
	"what it writes is lost, but for what --bring-out names. Exits as COMMAND does; with\n"
	"128 + N if signal N ends it.\n";

int command_exec(int argc, char **argv)
{
	struct guest_options options = GUEST_OPTIONS_DEFAULT;
	struct guest_job job = { 0 };
	int at = guest_options_take(&options, argv, exec_usage);
	const char *program;

	(void)argc;
	if (!at)
		return 0;
	if (!argv[at])
		fail("exec: which command? For example: vpmu exec -- uname -r");
	program = g_find_program_in_path(argv[at]);
	if (!program)
		fail("exec: there is no program `%s'", argv[at]);
	args_add(&job.words, program);
	args_add_all(&job.words, argv + at + 1);
	return guest_run(&options, &job);
}
