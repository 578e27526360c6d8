/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu, the command: finds the subcommand. Each has a file of its own.
 */
#include "commands.h"
#include "util.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: vpmu COMMAND [options]\n"
	"\n"
	"  run        start a QEMU with a PMU in its guest\n"
	"  perf       run perf, and a command under it, in a throw-away guest with a PMU\n"
	"  exec       run a command in a throw-away guest with a PMU\n"
	"  gate       compare a command's counts with a baseline, and fail if they have grown\n"
	"  bench      measure what a PMU costs: exits, overflow interrupts, guests\n"
	"  replay     what a recorded trace holds, and what serving its guest costs\n"
	"  info       what this machine, this QEMU and a PMU offer, event by event\n"
	"\n"
	"  --help     this text; vpmu COMMAND --help says more\n"
	"  --version  the version\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", command_run },     { "perf", command_perf },     { "exec", command_exec },
	{ "gate", command_gate },   { "bench", command_bench },   { "replay", command_replay },
	{ "info", command_info },
};

static int run(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name)
		fail("which command? There are run, perf, exec, gate, bench, replay and info "
		     "(and --help, --version)");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		fputs(usage, stdout);
		return 0;
	}
	if (!strcmp(name, "--version")) {
		puts("vpmu " VPMU_TOOLS_VERSION);
		return 0;
	}
	if (name[0] == '-')
		fail("unknown option `%s'; there are --help and --version", name);
	fail("unknown command `%s'; there are run, perf, exec, gate, bench, replay and info", name);
}

/* A file that is opened would get the number of a closed standard stream, and be taken for it. */
static void open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	int status;

	open_standard_streams();
	/* Whoever starts this may ignore it; then nobody could wait for a QEMU. */
	signal(SIGCHLD, SIG_DFL);
	status = run(argc, argv);
	if (fflush(stdout) || ferror(stdout))
		fail("standard output cannot be written");
	return status;
}
