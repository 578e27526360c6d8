/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See guest.h. Every round runs the programs in each state of the PMU, in guests of
 * two kinds: bare-metal ones, booted anew each time, and Linux guests, booted anew for
 * each round: where things come to lie in memory has a say in the times. What the
 * guests print are ticks of the time stamp counter, which under plain TCG is the
 * host's. The tables are tables.c's.
 */
#define _GNU_SOURCE
#include "guest.h"

#include "figures.h"
#include "process/args.h"
#include "session.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BARE_SECONDS  60
#define LINUX_SECONDS 300 /* until a guest has booted, or has done its programs once */

#define BARE_TIMES 3 /* in each round: they take little time, and differ by little */

#define FRESH_SECONDS 6 /* the plugin keeps what it counts for five */

/* Beside the guests: the same programs on this machine. */
static const char *const natives[NATIVES][3] = {
	[NATIVE_PLAIN] = { NULL },
	[NATIVE_CALLGRIND] = { "--tool=callgrind", "--callgrind-out-file=/dev/null", NULL },
	[NATIVE_CACHEGRIND] = { "--tool=cachegrind", "--cache-sim=yes",
				"--cachegrind-out-file=/dev/null" },
};

struct bench {
	const struct bench_options *options;
	const struct bench_guest_parts *parts;
	struct guest_figures *figures;
	struct session guests[LINUX_GUESTS];
	char *folder; /* with a QEMU that takes no plugins */
	char *wrapper;
	char *program;
	unsigned int turns;
	unsigned int steps, done; /* for the progress */
};

static void step(struct bench *bench)
{
	bench->done++;
	if (bench->options->progress && bench->done < bench->steps)
		bench->options->progress((double)bench->done / bench->steps);
}

/* What is printed. */

static int program_of(const char *name)
{
	for (int i = 0; i < PROGRAMS; i++)
		if (!strcmp(name, guest_programs[i]))
			return i;
	return -1;
}

/* A line "turn NAME TICKS", "pmis NAME N"; others are not ours. Sums what a round's mean needs. */
static void take_turn(const char *line, struct guest_figure *figures, struct guest_round *rounds)
{
	char what[16], name[32];
	unsigned long value;
	int program;

	if (sscanf(line, "%15s %31s %lu", what, name, &value) != 3)
		return;
	program = program_of(name);
	if (program < 0)
		return;
	if (!strcmp(what, "turn")) {
		measure_add(&figures[program].ticks, (double)value);
		rounds[program].ticks += (double)value;
		rounds[program].turns++;
	} else if (!strcmp(what, "pmis")) {
		figures[program].pmis += (double)value;
	}
}

static void close_round(struct guest_figure *figures, const struct guest_round *rounds)
{
	for (int i = 0; i < PROGRAMS; i++) {
		double mean = rounds[i].ticks / rounds[i].turns;

		if (!rounds[i].turns)
			continue;
		figures[i].all += rounds[i].ticks;
		if (figures[i].least_mean == 0 || mean < figures[i].least_mean)
			figures[i].least_mean = mean;
	}
}

static void take_access(const char *line, enum guest_access_place place,
			struct guest_figures *figures)
{
	char name[32];
	unsigned long value;

	if (sscanf(line, "access %31s %lu", name, &value) != 2)
		return;
	for (int i = 0; i < ACCESSES; i++)
		if (!strcmp(name, guest_accesses[i].key))
			measure_add(&figures->accesses[i][place], (double)value / 1000);
}

/* Bare metal. */

static char *empty_plugin(const struct bench *bench)
{
	return g_strdup_printf("%s/bench/guest/libbench-empty.so", bench->parts->build);
}

static void plugin_words(const struct bench *bench, struct args *words, enum guest_pmu pmu)
{
	char *file = pmu == PMU_EMPTY ? empty_plugin(bench) : g_strdup(bench->parts->plugin);
	char *doubled = args_double_commas(file);

	if (pmu != PMU_NONE)
		args_add(words, "-plugin");
	if (pmu == PMU_EMPTY)
		args_add(words, doubled);
	else if (pmu == PMU_OFF)
		args_add_format(words, "%s,pmu=off", doubled);
	else if (pmu != PMU_NONE)
		args_add_format(words, "%s,pmu=%s%s", doubled, bench->parts->pmu,
				pmu == PMU_WITH_MODELS ? ",models=on" : "");
	free(doubled);
	free(file);
}

static void bare_words(const struct bench *bench, struct args *words, const char *append,
		       enum guest_pmu pmu)
{
	static char *const machine[] = { "-m",
					 "64",
					 "-display",
					 "none",
					 "-nodefaults",
					 "-no-user-config",
					 "-no-reboot",
					 "-serial",
					 "stdio",
					 "-device",
					 "isa-debug-exit,iobase=0xf4,iosize=4",
					 NULL };

	args_add_all(words, bench->parts->qemu);
	args_add_all(words, machine);
	args_add(words, "-cpu");
	args_add(words, bench->parts->cpu);
	args_add(words, "-kernel");
	args_add_format(words, "%s/guest/bench.elf", bench->parts->build);
	args_add(words, "-append");
	args_add_format(words, "%s turns=%u khz=%.0f", append, bench->turns,
			measure_frequency() / 1000);
	plugin_words(bench, words, pmu);
}

static const char *stopped_or(struct session *session, const char *what)
{
	if (interrupted())
		return "interrupted";
	return g_strdup_printf("%s: %s", what, session_complaint(session));
}

/* A guest until its end; every line is handed on. */
static const char *run_bare(struct bench *bench, const char *append, enum guest_pmu pmu,
			    void (*take)(struct bench *, void *, const char *), void *argument)
{
	struct session session = { .pid = 0 };
	struct args words = { NULL, 0 };
	bool complete = false;
	const char *error, *line;

	bare_words(bench, &words, append, pmu);
	error = session_start(&session, words.v);
	while (!error && (line = session_line(&session, BARE_SECONDS))) {
		complete |= !strncmp(line, "1..", 3);
		take(bench, argument, line);
	}
	if (!error && !complete)
		error = stopped_or(&session, "the bare-metal guest has not come to its end");
	session_free(&session);
	args_free(&words);
	return error;
}

struct taker {
	struct guest_figure *figures;
	struct guest_round rounds[PROGRAMS];
};

static void take_bare(struct bench *bench, void *argument, const char *line)
{
	struct taker *taker = argument;

	(void)bench;
	take_turn(line, taker->figures, taker->rounds);
}

static const char *bare_round(struct bench *bench, const struct guest_state *state)
{
	struct taker taker = { .figures = bench->figures->bare[state - guest_states] };
	const char *error = run_bare(bench, state->bare, state->pmu, take_bare, &taker);

	close_round(taker.figures, taker.rounds);
	return error;
}

static void take_bare_access(struct bench *bench, void *argument, const char *line)
{
	take_access(line, *(enum guest_access_place *)argument, bench->figures);
}

static const char *access_round(struct bench *bench)
{
	enum guest_access_place place = ACCESS_PLAIN;
	const char *error;

	error = run_bare(bench, "access=1 pmu=0", PMU_NONE, take_bare_access, &place);
	place = ACCESS_OURS;
	if (!error)
		error = run_bare(bench, "access=1", PMU_ON, take_bare_access, &place);
	step(bench);
	return error;
}

/* Linux guests. */

/* vpmu perf always attaches its plugin; this QEMU takes none. */
static const char *write_wrapper(struct bench *bench)
{
	const char *base = getenv("TMPDIR");
	FILE *file;

	bench->folder = g_strdup_printf("%s/vpmu-bench-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(bench->folder))
		return g_strdup_printf("%s: %s", bench->folder, strerror(errno));
	bench->wrapper = g_strdup_printf("%s/qemu", bench->folder);
	file = fopen(bench->wrapper, "we");
	if (!file)
		return g_strdup_printf("%s: %s", bench->wrapper, strerror(errno));
	fputs("#!/bin/sh\n"
	      "[ \"$*\" = \"-plugin help\" ] && exit 0\n"
	      "n=$#\n"
	      "while [ $n -gt 0 ]; do\n"
	      "\tif [ \"$1\" = -plugin ]; then shift; n=$((n - 1)); else set -- \"$@\" \"$1\"; fi\n"
	      "\tshift; n=$((n - 1))\n"
	      "done\n"
	      "exec ",
	      file);
	for (char *const *word = bench->parts->qemu; *word; word++) {
		char *quoted = g_shell_quote(*word);

		fprintf(file, "%s ", quoted);
		free(quoted);
	}
	fputs("\"$@\"\n", file);
	return fclose(file) || chmod(bench->wrapper, 0700) ? "the wrapper cannot be written" : NULL;
}

static void remove_wrapper(struct bench *bench)
{
	if (bench->wrapper)
		unlink(bench->wrapper);
	if (bench->folder)
		rmdir(bench->folder);
	free(bench->wrapper);
	free(bench->folder);
}

static void linux_words(const struct bench *bench, enum linux_guest guest, struct args *words)
{
	const char *watchdog = "";

	args_add(words, bench->parts->vpmu);
	args_add(words, "perf");
	args_add(words, "--memory=512M");
	args_add(words, "--no-snapshot");
	if (guest == LINUX_EMPTY)
		args_add_format(words, "--plugin=%s/bench/guest/libbench-empty.so",
				bench->parts->build);
	else
		args_add_format(words, "--plugin=%s", bench->parts->plugin);
	args_add_format(words, "--cpu=%s", bench->parts->cpu);
	if (guest == LINUX_PLAIN)
		args_add_format(words, "--qemu=%s", bench->wrapper);
	args_add_format(words, "--pmu=%s", guest <= LINUX_OFF ? "off" : bench->parts->pmu);
	if (guest == LINUX_WATCHDOG)
		watchdog = "nmi_watchdog=1";
	if (guest == LINUX_COUNT)
		args_add(words, "--models=on");
	/* Addresses that are the same in every guest. */
	args_add_format(words, "--append=nokaslr norandmaps %s", watchdog);
	args_add_all(words,
		     (char *const[]){ "stat", "-e", "dummy", "-o", "/dev/null", "--", "sh", NULL });
}

/* --quick: two of the guests; the others take their time to boot. */
static bool is_booted(const struct bench *bench, enum linux_guest guest)
{
	if (bench->parts->no_linux || guest >= LINUX_GUESTS)
		return false;
	return !bench->options->quick || guest == LINUX_PLAIN || guest == LINUX_COUNT;
}

static const char *await_done(struct session *session, struct taker *taker)
{
	const char *line;

	while ((line = session_line(session, LINUX_SECONDS))) {
		if (!strcmp(line, "done"))
			return NULL;
		if (!strcmp(line, "failed"))
			break;
		if (taker)
			take_turn(line, taker->figures, taker->rounds);
	}
	return stopped_or(session, "a Linux guest has ended, or its program has");
}

static const char *boot(struct bench *bench, enum linux_guest guest)
{
	struct args words = { NULL, 0 };
	const char *error;

	linux_words(bench, guest, &words);
	error = session_start(&bench->guests[guest], words.v);
	args_free(&words);
	if (!error) {
		session_say(&bench->guests[guest], "echo done\n");
		error = await_done(&bench->guests[guest], NULL);
	}
	step(bench);
	return error;
}

static const char *boot_all(struct bench *bench)
{
	const char *error = NULL;

	for (enum linux_guest guest = 0; guest < LINUX_GUESTS && !error; guest++)
		if (is_booted(bench, guest))
			error = boot(bench, guest);
	return error;
}

static bool is_amd(const struct bench *bench)
{
	return g_str_has_prefix(bench->parts->pmu, "amd-");
}

/* Whether the guests' CPU can be in this state. */
static bool has_state(const struct bench *bench, const struct guest_state *state)
{
	return !state->intel_only || !is_amd(bench);
}

/* It waits; what it says meanwhile is nothing. */
static void let_rest(struct session *guest, double seconds)
{
	session_line(guest, seconds);
}

static const char *linux_round(struct bench *bench, const struct guest_state *state)
{
	struct session *guest = &bench->guests[state->guest];
	struct taker taker = { .figures = bench->figures->linux[state - guest_states] };
	const char *error;

	if (state->fresh)
		let_rest(guest, FRESH_SECONDS);
	session_say(guest, "%s'%s' %u", is_amd(bench) && state->amd ? state->amd : state->perf,
		    bench->program, bench->turns);
	for (int i = 0; i < PROGRAMS; i++)
		session_say(guest, " %s", guest_programs[i]);
	session_say(guest, " || echo failed\necho done\n");
	error = await_done(guest, &taker);
	close_round(taker.figures, taker.rounds);
	return error;
}

/* This machine. */

static const char *native_round(struct bench *bench, enum native native)
{
	struct session session = { .pid = 0 };
	struct taker taker = { .figures = bench->figures->native[native] };
	struct args words = { NULL, 0 };
	const char *error, *line;

	if (native != NATIVE_PLAIN)
		args_add(&words, "valgrind");
	for (int i = 0; i < 3 && natives[native][i]; i++)
		args_add(&words, natives[native][i]);
	args_add(&words, bench->program);
	args_add_format(&words, "%u", bench->turns);
	for (int i = 0; i < PROGRAMS; i++)
		args_add(&words, guest_programs[i]);
	error = session_start(&session, words.v);
	while (!error && (line = session_line(&session, LINUX_SECONDS)))
		take_turn(line, taker.figures, taker.rounds);
	if (!error && (session_end(&session) || interrupted()))
		error = stopped_or(&session, words.v[0]);
	close_round(taker.figures, taker.rounds);
	session_free(&session);
	args_free(&words);
	step(bench);
	return error;
}

/* All of it. */

/* Each state once, starting with another one each time. */
static const char *bare_rounds(struct bench *bench, unsigned int number)
{
	const char *error = NULL;

	for (unsigned int i = 0; i < STATES && !error; i++) {
		const struct guest_state *state = &guest_states[(number + i) % STATES];

		if (state->bare && has_state(bench, state))
			error = bare_round(bench, state);
		step(bench);
	}
	return error;
}

/* In the order of the list, which has what counts more behind what counts less. */
static const char *linux_rounds(struct bench *bench)
{
	const char *error = boot_all(bench);

	for (unsigned int i = 0; i < STATES && !error; i++) {
		const struct guest_state *state = &guest_states[i];

		if (is_booted(bench, state->guest) && has_state(bench, state) &&
		    !(bench->options->quick && state->slow))
			error = linux_round(bench, state);
		step(bench);
	}
	for (enum linux_guest guest = 0; guest < LINUX_GUESTS; guest++)
		session_free(&bench->guests[guest]);
	return error;
}

static const char *round_of(struct bench *bench, unsigned int number)
{
	const char *error = access_round(bench);

	for (unsigned int i = 0; i < BARE_TIMES && !error; i++)
		error = bare_rounds(bench, number * BARE_TIMES + i);
	if (!error)
		error = linux_rounds(bench);
	for (enum native native = 0; native < NATIVES && !error; native++)
		if (native == NATIVE_PLAIN || bench->figures->valgrind)
			error = native_round(bench, native);
	return error;
}

static const char *measure(struct bench *bench)
{
	unsigned int rounds = bench->options->quick ? 1 : 5;
	double end = measure_now() + bench->options->seconds;
	const char *error;

	if (bench->options->repeat)
		rounds = bench->options->repeat;
	bench->steps = rounds * (1 + LINUX_GUESTS + (BARE_TIMES + 1) * STATES + NATIVES) + 1;
	error = bench->parts->no_linux ? NULL : write_wrapper(bench);
	for (unsigned int i = 0; (i < rounds || measure_now() < end) && !error; i++)
		error = round_of(bench, i);
	return error;
}

const char *bench_guest(const struct bench_options *options, struct report *report)
{
	struct bench bench = { .options = options,
			       .parts = options->guest,
			       .turns = options->quick ? 3 : 30 };
	char *valgrind = g_find_program_in_path("valgrind");
	const char *error = NULL;

	bench.figures = g_new(struct guest_figures, 1);
	*bench.figures = (struct guest_figures){ .valgrind = valgrind != NULL,
						 .no_linux = options->guest->no_linux,
						 .quick = options->quick };
	bench.program = g_strdup_printf("%s/tests/programs/bench_guest", bench.parts->build);
	if (access(bench.program, X_OK))
		error = g_strdup_printf("%s: %s", bench.program, strerror(errno));
	interrupt_catch();
	if (!error)
		error = measure(&bench);
	remove_wrapper(&bench);
	interrupt_release();
	if (!error)
		guest_tables(bench.figures, report);
	guest_figures_free(bench.figures);
	free(bench.figures);
	free(bench.program);
	free(valgrind);
	return error;
}
