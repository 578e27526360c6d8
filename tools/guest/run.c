/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One run of a throw-away guest: the order of things, and how it ends.
 */
#define _GNU_SOURCE
#include "bring_out.h"
#include "guest.h"
#include "launch.h"
#include "phases.h"
#include "process/process.h"
#include "pump.h"
#include "terminal.h"
#include "watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pump_signals signals;
static struct scratch scratch;

static void on_signal(int number)
{
	signals.number = number;
	signals.count++;
}

static void on_resize(int number)
{
	(void)number;
	signals.resized = 1;
}

/* However the command exits, nothing of the run is left. */
static void clean_up(void)
{
	terminal_leave();
	launch_end();
	scratch_remove(&scratch);
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
	action.sa_handler = on_resize;
	sigaction(SIGWINCH, &action, NULL);
	sigaddset(&set, SIGWINCH);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, before);
}

/* Says whether all that was to come has been written. asked: so many are warned about. */
static bool end_bring_out(struct bring_out *bring_out, const struct args *out, size_t asked)
{
	bool came = true;

	for (size_t i = 0; i < asked; i++) {
		if (bring_out_came(bring_out, i))
			continue;
		came = false;
		warn("%s was not written in the guest", out->v[i]);
	}
	return bring_out_end(bring_out) && came;
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
	for (size_t i = 0; i < job->profiles.count; i++) {
		args_add(&out, text("%s" GUEST_MAPS, job->profiles.v[i]));
		if (job->kernel_symbols)
			args_add(&out, text("%s" GUEST_KALLSYMS, job->profiles.v[i]));
	}
	return out;
}

static void print_guest(void)
{
	print_lines(scratch.log, "");
	print_lines(scratch.console, "");
}

static int job_exit_status(const struct guest_job *job, int status)
{
	if (signals.number == SIGTERM && WIFSIGNALED(status) &&
	    WTERMSIG(status) == job->instead_of_term)
		return 128 + SIGTERM;
	return process_exit_status(status);
}

/* One guest that comes to run the job, or does not. */
static enum pump_end run_guest(struct guest_options *options, const struct guest_job *job,
			       const struct qemu *qemu, const struct args *out,
			       struct pump_host *host, int *status)
{
	struct launched launched = launch(options, job, qemu, &scratch, host->mask);
	enum pump_end end;

	host->job = job_words(options, job, out, &host->job_size);
	host->ahead = files_ahead(&host->ahead_size);
	host->restored = launched.restored;
	watchdog_begin(launched.qemu);
	end = pump(launched.streams, host, status);
	close(launched.streams);
	launch_end();
	phases_end("the end");
	return end;
}

static int run(struct guest_options *options, const struct guest_job *job, const struct qemu *qemu,
	       const struct args *out, const sigset_t *before)
{
	struct pump_host host = {
		.input = true,
		.terminal = isatty(STDIN_FILENO) && terminal_output() >= 0,
		.bring_out = bring_out_new(out),
		.printed = job->printed,
		.waits = launch_save,
		.is_dead = watchdog_is_dead,
		.instead_of_term = job->instead_of_term,
		.signals = &signals,
		.mask = before,
	};
	int status = 0;
	enum pump_end end;
	bool complete;

	end = run_guest(options, job, qemu, out, &host, &status);
	if (end == PUMP_NOT_RESTORED) {
		launch_discard();
		end = run_guest(options, job, qemu, out, &host, &status);
	}
	complete = end_bring_out(host.bring_out, out, end == PUMP_STATUS ? options->out.count : 0);
	if (end != PUMP_GONE)
		print_lines(scratch.log, "vpmu plugin: ");
	switch (end) {
	case PUMP_STATUS:
		return complete ? job_exit_status(job, status) : EXIT_REFUSED;
	case PUMP_INTERRUPTED:
		return 128 + (int)signals.number;
	case PUMP_NOT_RESTORED:
	case PUMP_GONE:
		warn("the guest has ended without a result; it said:");
		print_guest();
		return EXIT_REFUSED;
	case PUMP_SILENT:
		warn("the guest does not start: has it enough memory (--memory %s)? It said:",
		     options->memory);
		print_guest();
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
	struct qemu qemu;
	const char *error;
	int report, status;

	phases_begin();
	catch_signals(&before);
	atexit(clean_up);
	scratch_make(&scratch, options);
	report = guest_has_kvm(options) ? -1 : open_report(options);
	error = qemu_find(options->qemu, &qemu);
	if (error)
		fail("%s", error);
	status = run(options, job, &qemu, &out, &before);
	if (report >= 0 && !pmu_print_report(report, &options->pmu) && options->strict && !status)
		status = EXIT_BEYOND;
	if (options->verbose)
		phases_print();
	return status;
}
