/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu run: start a QEMU, as its own command line says, with the PMU attached.
 */
#define _GNU_SOURCE
#include "commands.h"
#include "pmu.h"
#include "process/process.h"
#include "qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char run_usage[] =
	"usage: vpmu run [options] -- QEMU [QEMU's arguments]\n"
	"\n"
	"Starts QEMU with a PMU in its guest. QEMU is a path; or a name that is looked up\n"
	"on PATH, then in the QEMU that `make setup' has unpacked. It must be 11.1 or newer\n"
	"and have plugins. The guest's CPU, QEMU's -cpu, is one of Intel's or AMD's; pmu=off\n"
	"there switches the PMU off. The PMU is kept by savevm and migrate: in an ACPI table,\n"
	"VPMU, that QEMU gets.\n"
	"\n"
	"  --pmu PMU      " PMU_USAGE ",\n"
	"                 " ARGUMENTS_PMUS_2 ": the guest's PMU; auto, the default, is what\n"
	"                 such a CPU has\n"
	"  --cpi N        cycles per instruction, 0.001 to 1000 (default: 1)\n"
	"  --models WHICH on or off: count branch and cache misses of models (default: off)\n"
	"  --cache CACHES the model's caches, each NAME=SIZE:WAYS:LINE, of l1i, l1d, l2 and\n"
	"                 llc, separated by + (default: a Skylake server's)\n"
	"  --report FILE  append the plugin's report to FILE instead of printing what was\n"
	"                 programmed and not counted at the end\n"
	"  --trace FILE   record what the guest does with its PMU in FILE\n"
	"  --plugin FILE  the plugin (default: the one of this build)\n"
	"  --help         this text\n"
	"\n"
	"The exit status is QEMU's; 128 + N if signal N ended it; 2 if it was not started.\n";

/* Its place in memory is the only one: nothing is left behind, however a run ends. */
static int own_report(struct pmu_options *options)
{
	int fd;

	if (options->report)
		return -1;
	fd = memfd_create("vpmu-report", 0);
	if (fd < 0)
		fail("no memory for the report: %s", strerror(errno));
	options->report = text("/proc/self/fd/%d", fd);
	return fd;
}

static int start_and_wait(char *const *argv)
{
	siginfo_t signal;
	sigset_t set, before;
	struct process_start start = {
		.argv = argv,
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.death_signal = SIGTERM,
		.mask = &before,
	};
	pid_t pid;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &before);
	pid = process_start(&start);
	if (pid < 0)
		fail("%s: %s", argv[0], strerror(errno));
	while (waitpid(pid, &status, WNOHANG) != pid) {
		int number = sigwaitinfo(&set, &signal);

		/* What the terminal sends, it has sent to QEMU as well. */
		if (number > 0 && number != SIGCHLD && signal.si_code <= 0)
			kill(pid, number);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return process_exit_status(status);
}

/* Read the options up to "--" or the first word that is none; where QEMU is. */
static int parse(struct pmu_options *options, char **argv)
{
	int i = 1;

	for (; argv[i]; i++) {
		if (!strcmp(argv[i], "--"))
			return i + 1;
		if (!strcmp(argv[i], "--help")) {
			fputs(run_usage, stdout);
			return 0;
		}
		if (argv[i][0] != '-')
			return i;
		if (!pmu_option(options, argv, &i))
			fail("run: unknown option `%s'; there are --pmu, --cpi, --models, --cache, "
			     "--report, --trace, --plugin and --help (QEMU and its options come "
			     "after --)",
			     argv[i]);
	}
	return i;
}

int command_run(int argc, char **argv)
{
	struct pmu_options options = PMU_OPTIONS_DEFAULT;
	struct args words = { 0 };
	struct qemu_guest guest;
	struct qemu qemu;
	const char *error;
	int at, report, status;

	(void)argc;
	at = parse(&options, argv);
	if (!at)
		return 0;
	if (!argv[at])
		fail("run: which QEMU? For example: vpmu run -- qemu-system-x86_64 "
		     "-cpu Skylake-Server ...");
	guest.pmu = options.pmu;
	error = qemu_find(argv[at], &qemu);
	if (!error)
		error = qemu_settle_guest(qemu.path, argv + at + 1, &guest);
	if (error)
		fail("%s", error);
	options.pmu = guest.pmu;
	pmu_check_files(&options);
	report = own_report(&options);
	args_add_all(&words, qemu.argv.v);
	args_add(&words, "-plugin");
	args_add(&words, pmu_plugin_argument(&options));
	if (strcmp(options.pmu, "off") != 0) {
		args_add(&words, "-acpitable");
		args_add(&words, pmu_state_argument(pmu_state_table()));
	}
	args_add_all(&words, argv + at + 1);
	status = start_and_wait(words.v);
	if (report >= 0)
		pmu_print_report(report, &options);
	return status;
}
