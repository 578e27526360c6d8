/* SPDX-License-Identifier: BSD-2-Clause
 *
 * vpmu perf: run perf, and a command under it, in a throw-away guest that has
 * a PMU and sees this machine's files. The guest is perf_guest.c, its streams
 * are pump.c; here are the options, the order of things, and the cleaning up.
 */
#define _GNU_SOURCE
#include "perf.h"
#include "bring_out.h"
#include "commands.h"
#include "process/process.h"
#include "pump.h"
#include "qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CPUS_MAX 64

const char perf_usage[] =
	"usage: vpmu perf [options] PERF-COMMAND [perf's own options] [-- COMMAND ...]\n"
	"\n"
	"Runs perf in a throw-away guest with a PMU. The guest sees this machine's files;\n"
	"what it writes is lost, but for perf record's output and what --bring-out names.\n"
	"Exits as perf does, which is as COMMAND does; with 128 + N if signal N ends it.\n"
	"\n"
	"  --pmu PMU          " PMU_USAGE ",\n"
	"                     " ARGUMENTS_PMUS_2 "; auto, the default, is what such a CPU\n"
	"                     has\n"
	"  --cpi N            cycles per instruction (default 1)\n"
	"  --models on|off    models of a branch predictor and caches (default off)\n"
	"  --cache CACHES     the model's caches, such as l1d=48k:12:64+llc=2m:16:64\n"
	"  --cpu MODEL        the guest's CPU, as QEMU's -cpu (default Skylake-Server or EPYC)\n"
	"  --cpus N           virtual CPUs (default 1)\n"
	"  --memory SIZE      as QEMU's -m (default 2G)\n"
	"  --deterministic    the same command counts the same: fixed addresses, entropy, clock,\n"
	"                     environment, and one CPU\n"
	"  --kernel VERSION   6.1, 6.12 or 7.3 (default 6.1)\n"
	"  --bring-out FILE   bring FILE, which may be a folder, out of the guest; repeatable\n"
	"  --bring-out-all    bring all new or changed files of the working directory out\n"
	"  --qemu PATH        the QEMU to use\n"
	"  --tcg PROPERTIES   of QEMU's TCG, such as one-insn-per-tb=on\n"
	"  --append TEXT      more kernel parameters\n"
	"  --console FILE     write the guest kernel's messages to FILE\n"
	"  --report FILE      append the plugin's report to FILE\n"
	"  --trace FILE       record what the guest does with its PMU in FILE\n"
	"  --plugin FILE      the plugin to use\n"
	"  --help             this text\n";

static volatile sig_atomic_t stop; /* the signal that asks to end */
static struct scratch scratch;
static pid_t guest;

static void on_signal(int number)
{
	stop = number;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

/* However the command exits, nothing of the run is left. */
static void clean_up(void)
{
	if (guest > 0)
		process_stop(guest);
	guest = 0;
	if (scratch.folder)
		nftw(scratch.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	scratch.folder = NULL;
}

static void make_scratch(const struct perf_options *options)
{
	const char *base = getenv("TMPDIR");

	scratch.folder = text("%s/vpmu-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(scratch.folder)) {
		const char *folder = scratch.folder;

		scratch.folder = NULL;
		fail("%s: %s", folder, strerror(errno));
	}
	scratch.initramfs = text("%s/initramfs", scratch.folder);
	scratch.log = text("%s/log", scratch.folder);
	scratch.console = options->console ? text("%s", options->console)
					   : text("%s/console", scratch.folder);
}

static bool take_option(struct perf_options *options, char **argv, int *i)
{
	const struct {
		const char *name;
		const char **to;
	} known[] = {
		{ "--cpu", &options->cpu },         { "--cpus", &options->cpus },
		{ "--memory", &options->memory },   { "--kernel", &options->kernel },
		{ "--qemu", &options->qemu },       { "--append", &options->append },
		{ "--console", &options->console }, { "--tcg", &options->tcg },
	};
	const char *value;

	for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
		value = option_value(argv, i, known[k].name);
		if (value) {
			*known[k].to = value;
			return true;
		}
	}
	if (!strcmp(argv[*i], "--bring-out-all")) {
		options->out_all = true;
		return true;
	}
	if (!strcmp(argv[*i], "--deterministic")) {
		options->deterministic = true;
		return true;
	}
	value = option_value(argv, i, "--bring-out");
	if (value)
		args_add(&options->out, value);
	return value || pmu_option(&options->pmu, argv, i);
}

static bool memory_is_good(const char *memory)
{
	size_t digits = strspn(memory, "0123456789");

	return digits && digits < 7 &&
	       (!memory[digits] || (strchr("MGmg", memory[digits]) && !memory[digits + 1]));
}

static void check_kernel(const char *version)
{
	struct args versions = kernel_versions();

	if (!versions.count)
		fail("there is no guest kernel below %s: `make setup' brings them",
		     paths_get()->kernel);
	if (!g_strv_contains((const char *const *)versions.v, version))
		fail("there is no guest kernel `%s' for --kernel, but %s", version,
		     g_strjoinv(", ", versions.v));
	args_free(&versions);
}

static void check_options(const struct perf_options *options)
{
	unsigned long cpus;

	if (!parse_number(options->cpus, CPUS_MAX, &cpus) || !cpus)
		fail("--cpus is a number from 1 to %d, not `%s'", CPUS_MAX, options->cpus);
	if (options->deterministic && cpus != 1)
		fail("--deterministic needs --cpus 1: what CPUs do at the same time is chance");
	if (!memory_is_good(options->memory))
		fail("--memory is a size such as 512M or 2G, not `%s'", options->memory);
	check_kernel(options->kernel);
}

/* Returns the index of perf's own first word, or 0 if there is nothing more to do. */
static int parse(struct perf_options *options, char **argv)
{
	int i = 1;

	for (; argv[i] && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--help")) {
			fputs(perf_usage, stdout);
			return 0;
		}
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (!take_option(options, argv, &i))
			fail("perf: unknown option `%s' (perf's own options come after perf's "
			     "command; vpmu perf --help lists those before it)",
			     argv[i]);
	}
	if (!argv[i])
		fail("perf: which perf command? For example: vpmu perf stat -- true");
	return i;
}

/* A file that perf writes; the one it replaces gets ".old" added, as perf does it. */
static void add_output(struct perf_options *options, const char *file)
{
	if (!*file || !strcmp(file, "-"))
		return;
	args_add(&options->out, file);
	args_add(&options->out, text("%s.old", file));
}

/* perf record -o FILE, or perf.data. Without "--" the command's own -o looks the same. */
static void add_record_output(struct perf_options *options, char **words)
{
	bool found = false, sure = false;

	for (char **word = words; *word; word++)
		sure |= !strcmp(*word, "--");
	for (; *words && strcmp(*words, "--"); words++) {
		const char *file = NULL;

		if ((!strcmp(*words, "-o") || !strcmp(*words, "--output")) && words[1])
			file = words[1];
		else if (!strncmp(*words, "--output=", 9))
			file = *words + 9;
		else if (!strncmp(*words, "-o", 2) && (*words)[2])
			file = *words + 2;
		if (file)
			add_output(options, file);
		found |= file != NULL;
	}
	if (!found || !sure)
		add_output(options, "perf.data");
}

/* The lines that begin with these words. */
static void print_lines(const char *path, const char *words)
{
	char line[512];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, words, strlen(words)) &&
		    !strstr(line, "warning: TCG doesn't support"))
			fputs(line, stderr);
	if (file)
		fclose(file);
}

static void catch_signals(sigset_t *before)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&set, numbers[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, before);
}

/* Says whether all that was to come has been written. asked: so many are warned about. */
static bool end_bring_out(struct bring_out *bring_out, const struct perf_options *options,
			  size_t asked)
{
	for (size_t i = 0; i < asked; i++)
		if (!bring_out_came(bring_out, i))
			warn("%s was not written in the guest", options->out.v[i]);
	return bring_out_end(bring_out);
}

/* asked: so many of the files to bring out the user has named himself. */
static int run(const struct perf_options *options, size_t asked, const sigset_t *before)
{
	struct bring_out *bring_out = bring_out_new(&options->out);
	int streams, status = 0;
	enum pump_end end;
	bool complete;

	guest = perf_guest_start(options, &scratch, before, &streams);
	end = pump(streams, !isatty(STDIN_FILENO), bring_out, &stop, before, &status);
	process_stop(guest);
	guest = 0;
	complete = end_bring_out(bring_out, options, end == PUMP_STATUS ? asked : 0);
	if (end != PUMP_GONE)
		print_lines(scratch.log, "vpmu plugin: ");
	switch (end) {
	case PUMP_STATUS:
		return complete ? process_exit_status(status) : EXIT_REFUSED;
	case PUMP_INTERRUPTED:
		return 128 + (int)stop;
	case PUMP_CLOSED:
		return 128 + SIGPIPE;
	case PUMP_GONE:
		warn("the guest has ended without a result; it said:");
		print_lines(scratch.log, "");
		print_lines(scratch.console, "");
		return EXIT_REFUSED;
	case PUMP_NONSENSE:
		warn("the guest's init has been tampered with: what it sends makes no sense");
		return EXIT_REFUSED;
	case PUMP_ERROR:
		return EXIT_REFUSED;
	}
	return EXIT_REFUSED;
}

/* What this run adds to the report is behind the end it has now. */
static int open_report(struct perf_options *options)
{
	int fd;

	if (!options->pmu.report)
		options->pmu.report = text("%s/report", scratch.folder);
	fd = open(options->pmu.report, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		fail("%s: %s", options->pmu.report, strerror(errno));
	lseek(fd, 0, SEEK_END);
	return fd;
}

int command_perf(int argc, char **argv)
{
	struct perf_options options = {
		.pmu = PMU_OPTIONS_DEFAULT, .kernel = "6.1", .cpus = "1", .memory = "2G"
	};
	sigset_t before;
	size_t asked;
	int at, report, status;

	(void)argc;
	at = parse(&options, argv);
	if (!at)
		return 0;
	check_options(&options);
	pmu_settle(&options.pmu, &options.cpu);
	asked = options.out.count;
	if (options.out_all)
		args_add(&options.out, ".");
	if (!strcmp(argv[at], "record"))
		add_record_output(&options, argv + at + 1);
	catch_signals(&before);
	atexit(clean_up);
	make_scratch(&options);
	report = open_report(&options);
	job_write(&options, argv + at, kernel_release(options.kernel), scratch.initramfs);
	status = run(&options, asked, &before);
	pmu_print_report(report, &options.pmu);
	return status;
}
