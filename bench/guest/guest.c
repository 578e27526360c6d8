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

#include "bench/lib/alloc.h"
#include "figures.h"
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
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
	struct process guests[LINUX_GUESTS];
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

/* QEMU splits an option's value at single commas. */
static void put_path(struct words *words, const char *path, const char *more)
{
	char *doubled = alloc_resize(NULL, 2 * strlen(path) + 1, 1), *to = doubled;

	for (; *path; path++) {
		if (*path == ',')
			*to++ = ',';
		*to++ = *path;
	}
	*to = '\0';
	words_add(words, "%s%s", doubled, more);
	free(doubled);
}

static char *empty_plugin(const struct bench *bench)
{
	return alloc_format("%s/bench/guest/libbench-empty.so", bench->parts->build);
}

static void plugin_words(const struct bench *bench, struct words *words,
			 const struct guest_state *state)
{
	char *text;

	if (state == &guest_states[STATE_EMPTY]) {
		text = empty_plugin(bench);
		words_add(words, "-plugin");
		put_path(words, text, "");
		free(text);
	} else if (state->pmu) {
		text = alloc_format(",pmu=%s", state->pmu);
		words_add(words, "-plugin");
		put_path(words, bench->parts->plugin, text);
		free(text);
	}
}

static void bare_words(const struct bench *bench, struct words *words, const char *append,
		       const struct guest_state *state)
{
	static char *const machine[] = { "-cpu",
					 "Skylake-Server",
					 "-m",
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

	words_add_all(words, bench->parts->qemu);
	words_add_all(words, machine);
	words_add(words, "-kernel");
	words_add(words, "%s/guest/bench.elf", bench->parts->build);
	words_add(words, "-append");
	words_add(words, "%s turns=%u khz=%.0f", append, bench->turns, measure_frequency() / 1000);
	plugin_words(bench, words, state);
}

static const char *stopped_or(struct process *process, const char *what)
{
	if (run_stopped())
		return "interrupted";
	return alloc_format("%s: %s", what, process_complaint(process));
}

/* A guest until its end; every line is handed on. */
static const char *run_bare(struct bench *bench, const char *append,
			    const struct guest_state *state,
			    void (*take)(struct bench *, void *, const char *), void *argument)
{
	struct process process = { .pid = 0 };
	struct words words = { NULL, 0 };
	bool complete = false;
	const char *error, *line;

	bare_words(bench, &words, append, state);
	error = process_start(&process, words.v);
	while (!error && (line = process_line(&process, BARE_SECONDS))) {
		complete |= !strncmp(line, "1..", 3);
		take(bench, argument, line);
	}
	if (!error && !complete)
		error = stopped_or(&process, "the bare-metal guest has not come to its end");
	process_free(&process);
	words_free(&words);
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
	const char *error = run_bare(bench, state->bare, state, take_bare, &taker);

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

	error = run_bare(bench, "access=1 pmu=0", &guest_states[STATE_PLAIN], take_bare_access,
			 &place);
	place = ACCESS_OURS;
	if (!error)
		error = run_bare(bench, "access=1", &guest_states[STATE_COUNT_2], take_bare_access,
				 &place);
	step(bench);
	return error;
}

/* Linux guests. */

static void put_quoted(FILE *file, const char *word)
{
	fputc('\'', file);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", file);
		else
			fputc(*word, file);
	fputs("' ", file);
}

/* vpmu perf always attaches its plugin; this QEMU takes none. */
static const char *write_wrapper(struct bench *bench)
{
	const char *base = getenv("TMPDIR");
	FILE *file;

	bench->folder = alloc_format("%s/vpmu-bench-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(bench->folder))
		return alloc_format("%s: %s", bench->folder, strerror(errno));
	bench->wrapper = alloc_format("%s/qemu", bench->folder);
	file = fopen(bench->wrapper, "we");
	if (!file)
		return alloc_format("%s: %s", bench->wrapper, strerror(errno));
	fputs("#!/bin/sh\n"
	      "[ \"$*\" = \"-plugin help\" ] && exit 0\n"
	      "n=$#\n"
	      "while [ $n -gt 0 ]; do\n"
	      "\tif [ \"$1\" = -plugin ]; then shift; n=$((n - 1)); else set -- \"$@\" \"$1\"; fi\n"
	      "\tshift; n=$((n - 1))\n"
	      "done\n"
	      "exec ",
	      file);
	for (char *const *word = bench->parts->qemu; *word; word++)
		put_quoted(file, *word);
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

static void linux_words(const struct bench *bench, enum linux_guest guest, struct words *words)
{
	const char *watchdog = "";

	words_add(words, "%s", bench->parts->vpmu);
	words_add(words, "perf");
	words_add(words, "--memory=512M");
	if (guest == LINUX_EMPTY)
		words_add(words, "--plugin=%s/bench/guest/libbench-empty.so", bench->parts->build);
	else
		words_add(words, "--plugin=%s", bench->parts->plugin);
	switch (guest) {
	case LINUX_PLAIN:
		words_add(words, "--pmu=off");
		words_add(words, "--qemu=%s", bench->wrapper);
		break;
	case LINUX_EMPTY:
	case LINUX_OFF:
		words_add(words, "--pmu=off");
		break;
	case LINUX_WATCHDOG:
		watchdog = "nmi_watchdog=1";
		break;
	case LINUX_COUNT:
		words_add(words, "--models=on");
		break;
	case LINUX_IDLE:
	case LINUX_GUESTS:
		break;
	}
	/* Addresses that are the same in every guest. */
	words_add(words, "--append=nokaslr norandmaps %s", watchdog);
	words_add_all(words, (char *const[]){ "stat", "-e", "dummy", "-o", "/dev/null", "--", "sh",
					      NULL });
}

/* --quick: two of the guests; the others take their time to boot. */
static bool is_booted(const struct bench *bench, enum linux_guest guest)
{
	if (bench->parts->no_linux || guest >= LINUX_GUESTS)
		return false;
	return !bench->options->quick || guest == LINUX_PLAIN || guest == LINUX_COUNT;
}

static const char *await_done(struct process *process, struct taker *taker)
{
	const char *line;

	while ((line = process_line(process, LINUX_SECONDS))) {
		if (!strcmp(line, "done"))
			return NULL;
		if (!strcmp(line, "failed"))
			break;
		if (taker)
			take_turn(line, taker->figures, taker->rounds);
	}
	return stopped_or(process, "a Linux guest has ended, or its program has");
}

static const char *boot(struct bench *bench, enum linux_guest guest)
{
	struct words words = { NULL, 0 };
	const char *error;

	linux_words(bench, guest, &words);
	error = process_start(&bench->guests[guest], words.v);
	words_free(&words);
	if (!error) {
		process_say(&bench->guests[guest], "echo done\n");
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

/* It waits; what it says meanwhile is nothing. */
static void let_rest(struct process *guest, double seconds)
{
	process_line(guest, seconds);
}

static const char *linux_round(struct bench *bench, const struct guest_state *state)
{
	struct process *guest = &bench->guests[state->guest];
	struct taker taker = { .figures = bench->figures->linux[state - guest_states] };
	const char *error;

	if (state->fresh)
		let_rest(guest, FRESH_SECONDS);
	process_say(guest, "%s'%s' %u", state->perf, bench->program, bench->turns);
	for (int i = 0; i < PROGRAMS; i++)
		process_say(guest, " %s", guest_programs[i]);
	process_say(guest, " || echo failed\necho done\n");
	error = await_done(guest, &taker);
	close_round(taker.figures, taker.rounds);
	return error;
}

/* This machine. */

static const char *native_round(struct bench *bench, enum native native)
{
	struct process process = { .pid = 0 };
	struct taker taker = { .figures = bench->figures->native[native] };
	struct words words = { NULL, 0 };
	const char *error, *line;

	if (native != NATIVE_PLAIN)
		words_add(&words, "valgrind");
	for (int i = 0; i < 3 && natives[native][i]; i++)
		words_add(&words, "%s", natives[native][i]);
	words_add(&words, "%s", bench->program);
	words_add(&words, "%u", bench->turns);
	for (int i = 0; i < PROGRAMS; i++)
		words_add(&words, "%s", guest_programs[i]);
	error = process_start(&process, words.v);
	while (!error && (line = process_line(&process, LINUX_SECONDS)))
		take_turn(line, taker.figures, taker.rounds);
	if (!error && (process_end(&process) || run_stopped()))
		error = stopped_or(&process, words.v[0]);
	close_round(taker.figures, taker.rounds);
	process_free(&process);
	words_free(&words);
	step(bench);
	return error;
}

static bool has_valgrind(void)
{
	char *path = alloc_text(getenv("PATH") ? getenv("PATH") : "");
	bool found = false;

	for (char *folder = strtok(path, ":"); folder && !found; folder = strtok(NULL, ":")) {
		char *file = alloc_format("%s/valgrind", folder);

		found = access(file, X_OK) == 0;
		free(file);
	}
	free(path);
	return found;
}

/* All of it. */

/* Each state once, starting with another one each time. */
static const char *bare_rounds(struct bench *bench, unsigned int number)
{
	const char *error = NULL;

	for (unsigned int i = 0; i < STATES && !error; i++) {
		const struct guest_state *state = &guest_states[(number + i) % STATES];

		if (state->bare)
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

		if (is_booted(bench, state->guest) && !(bench->options->quick && state->slow))
			error = linux_round(bench, state);
		step(bench);
	}
	for (enum linux_guest guest = 0; guest < LINUX_GUESTS; guest++)
		process_free(&bench->guests[guest]);
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

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static const char *measure(struct bench *bench)
{
	unsigned int rounds = bench->options->quick ? 1 : 5;
	double end = now() + bench->options->seconds;
	const char *error;

	if (bench->options->repeat)
		rounds = bench->options->repeat;
	bench->steps = rounds * (1 + LINUX_GUESTS + (BARE_TIMES + 1) * STATES + NATIVES) + 1;
	error = bench->parts->no_linux ? NULL : write_wrapper(bench);
	for (unsigned int i = 0; (i < rounds || now() < end) && !error; i++)
		error = round_of(bench, i);
	return error;
}

const char *bench_guest(const struct bench_options *options, struct report *report)
{
	struct bench bench = { .options = options,
			       .parts = options->guest,
			       .turns = options->quick ? 3 : 30 };
	const char *error = NULL;

	bench.figures = alloc_resize(NULL, 1, sizeof(*bench.figures));
	*bench.figures = (struct guest_figures){ .valgrind = has_valgrind(),
						 .no_linux = options->guest->no_linux,
						 .quick = options->quick };
	bench.program = alloc_format("%s/tests/programs/bench_guest", bench.parts->build);
	if (access(bench.program, X_OK))
		error = alloc_format("%s: %s", bench.program, strerror(errno));
	run_begin();
	if (!error)
		error = measure(&bench);
	remove_wrapper(&bench);
	run_end();
	if (!error)
		guest_tables(bench.figures, report);
	guest_figures_free(bench.figures);
	free(bench.figures);
	free(bench.program);
	return error;
}
