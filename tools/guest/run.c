/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One run of a throw-away guest: the order of things, how it ends, and the cleaning up.
 */
#define _GNU_SOURCE
#include "bring_out.h"
#include "guest.h"
#include "process/process.h"
#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	files_stop();
	if (scratch.folder)
		nftw(scratch.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	scratch.folder = NULL;
}

static void make_scratch(const struct guest_options *options)
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

/* The lines that begin with these words. */
static void print_lines(const char *path, const char *words)
{
	char line[512];
	/* It may be a pipe of the user's, in which nothing comes. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

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
static bool end_bring_out(struct bring_out *bring_out, const struct args *out, size_t asked)
{
	for (size_t i = 0; i < asked; i++)
		if (!bring_out_came(bring_out, i))
			warn("%s was not written in the guest", out->v[i]);
	return bring_out_end(bring_out);
}

/* What is to be brought out. What the user has named himself comes first. */
static struct args list_out(const struct guest_options *options, const struct guest_job *job)
{
	struct args out = { 0 };

	for (size_t i = 0; i < options->out.count; i++)
		args_add(&out, options->out.v[i]);
	if (options->out_all)
		args_add(&out, ".");
	for (size_t i = 0; i < job->out.count; i++)
		args_add(&out, job->out.v[i]);
	return out;
}

static int run(const struct guest_options *options, const struct args *out, int files,
	       const sigset_t *before)
{
	struct bring_out *bring_out = bring_out_new(out);
	int streams, status = 0;
	enum pump_end end;
	bool complete;

	guest = guest_start(options, &scratch, files, before, &streams);
	end = pump(streams, !isatty(STDIN_FILENO), bring_out, &stop, before, &status);
	process_stop(guest);
	guest = 0;
	files_stop();
	complete = end_bring_out(bring_out, out, end == PUMP_STATUS ? options->out.count : 0);
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
static int open_report(struct guest_options *options)
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

int guest_run(struct guest_options *options, const struct guest_job *job)
{
	struct args out = list_out(options, job);
	sigset_t before;
	int report, files, status;

	catch_signals(&before);
	atexit(clean_up);
	make_scratch(options);
	report = guest_has_kvm(options) ? -1 : open_report(options);
	files = files_start(options, job, &before);
	job_write(options, job, &out, scratch.initramfs);
	status = run(options, &out, files, &before);
	if (report >= 0)
		pmu_print_report(report, &options->pmu);
	return status;
}
