/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vmexit.h. One instruction after the other; for each of them a guest with its PMU in each
 * state, which are measured in turn, in rounds. The tables are tables.c's.
 */
#define _GNU_SOURCE
#include "vmexit.h"

#include "bench/lib/machine.h"
#include "found.h"
#include "subject.h"
#include "tables.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS       100
#define QUICK_ROUNDS 4

struct bench {
	const struct bench_options *options;
	int kvm;
	struct kvm_cpuid2 *cpuid;
	struct pmu pmu;
	unsigned int exits, states; /* sets of those that are wanted */
	unsigned int rounds;
	unsigned int done, all; /* for the progress */
	struct vmexit_figures figures;
};

static bool has(unsigned int set, int member)
{
	return set >> member & 1;
}

static const char *exit_name(int exit)
{
	return guest_exits[exit].name;
}

static const char *state_name(int state)
{
	return pmu_state_names[state];
}

static char *all_names(const char *(*name)(int), int count)
{
	GString *names = g_string_new(NULL);

	for (int i = 0; i < count; i++)
		g_string_append_printf(names, "%s%s",
				       !i               ? ""
				       : i == count - 1 ? " and "
							: ", ",
				       name(i));
	return g_string_free(names, FALSE);
}

/* Names, separated by commas; without a list all. */
static const char *parse_list(const char *option, const char *list, const char *(*name)(int),
			      int count, unsigned int *set)
{
	char **words = g_strsplit(list ? list : "", ",", -1);
	const char *error = NULL;

	*set = list ? 0 : (1U << count) - 1;
	for (char **word = words; *word && list && !error; word++) {
		int i = 0;

		while (i < count && strcmp(*word, name(i)) != 0)
			i++;
		if (i < count)
			*set |= 1U << i;
		else
			error = g_strdup_printf("%s: there is no `%s'; there are %s", option, *word,
						all_names(name, count));
	}
	g_strfreev(words);
	return error || *set
		       ? error
		       : g_strdup_printf("%s takes names, of %s", option, all_names(name, count));
}

static const char *parse(struct bench *bench)
{
	const struct bench_vmexit *wanted = bench->options->vmexit;
	const char *error =
		parse_list("--exits", wanted->exits, exit_name, GUEST_EXITS, &bench->exits);

	if (error)
		return error;
	return parse_list("--states", wanted->states, state_name, PMU_STATES, &bench->states);
}

/* NULL, or why such a guest cannot be. */
static const char *why_not(const struct bench *bench, int exit, int state)
{
	if (state != PMU_OFF && bench->pmu.none)
		return bench->pmu.none;
	if (state == PMU_OFF && guest_exits[exit].needs_pmu)
		return "without a PMU it is #GP";
	return NULL;
}

static struct subject *make_subject(struct bench *bench, int exit, int state)
{
	struct subject *subject = g_new0(struct subject, 1);

	pmu_writes(&bench->pmu, (enum pmu_state)state, subject->writes);
	subject->plan = (struct vm_plan){ .kvm = bench->kvm,
					  .cpuid = bench->cpuid,
					  .code = guest_exits[exit].code,
					  .end = guest_exits[exit].end,
					  .writes = subject->writes,
					  .no_irqchip = guest_exits[exit].no_irqchip,
					  .pmu_off = state == PMU_OFF,
					  .leaf = bench->options->vmexit->leaf };
	subject->counter =
		state == PMU_CYCLES || state == PMU_INSTRUCTIONS ? bench->pmu.counter : 0;
	subject->wanted = bench->options->vmexit;
	subject->figures = &bench->figures.of[exit][state];
	return subject;
}

static void make_subjects(struct bench *bench, int exit, struct subject *subjects[PMU_STATES])
{
	for (int state = 0; state < PMU_STATES; state++) {
		const char *reason = why_not(bench, exit, state);
		bool wanted = has(bench->states, state);

		bench->figures.why_not[exit][state] = reason;
		subjects[state] = wanted && !reason ? make_subject(bench, exit, state) : NULL;
	}
}

/* All of them do it, starting with another one each time. */
static const char *all_do(struct subject *subjects[PMU_STATES], int exit, enum subject_work work,
			  unsigned int first)
{
	const char *error = NULL;

	for (unsigned int i = 0; i < PMU_STATES; i++) {
		struct subject *subject = subjects[(first + i) % PMU_STATES];
		const char *wrong = NULL;

		if (subject && (!error || work == SUBJECT_END))
			wrong = subject_do(subject, work);
		if (wrong && !error)
			error = g_strdup_printf("%s, PMU %s: %s", guest_exits[exit].name,
						pmu_state_names[(first + i) % PMU_STATES], wrong);
	}
	return error;
}

static const char *run_round(struct bench *bench, struct subject *subjects[PMU_STATES], int exit,
			     unsigned int round)
{
	const char *error = all_do(subjects, exit, SUBJECT_TIME, round);

	if (!error)
		error = all_do(subjects, exit, SUBJECT_COUNT, round);
	bench->done++;
	if (bench->options->progress && bench->done < bench->all)
		bench->options->progress((double)bench->done / bench->all);
	return error;
}

static const char *measure_exit(struct bench *bench, int exit)
{
	struct subject *subjects[PMU_STATES];
	double end = measure_now() + bench->options->seconds / __builtin_popcount(bench->exits);
	const char *error, *wrong;

	make_subjects(bench, exit, subjects);
	error = all_do(subjects, exit, SUBJECT_START, 0);
	for (unsigned int i = 0; (i < bench->rounds || measure_now() < end) && !error; i++)
		error = run_round(bench, subjects, exit, i);
	wrong = all_do(subjects, exit, SUBJECT_END, 0);
	for (int state = 0; state < PMU_STATES; state++)
		g_free(subjects[state]);
	return error ? error : wrong;
}

static const char *measure(struct bench *bench)
{
	const struct bench_options *options = bench->options;
	const char *error = NULL;

	bench->rounds = options->repeat ? options->repeat : options->quick ? QUICK_ROUNDS : ROUNDS;
	bench->all = bench->rounds * (unsigned int)__builtin_popcount(bench->exits) + 1;
	for (int exit = 0; exit < GUEST_EXITS && !error; exit++)
		if (has(bench->exits, exit))
			error = measure_exit(bench, exit);
	return error;
}

static const char *open_kvm(struct bench *bench)
{
	bench->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (bench->kvm < 0)
		return g_strdup_printf("cannot use /dev/kvm: %s", strerror(errno));
	return vm_supported_cpuid(bench->kvm, &bench->cpuid);
}

const char *bench_vmexit(const struct bench_options *options, struct report *report)
{
	struct bench bench = { .options = options, .kvm = -1 };
	const char *error = parse(&bench);

	if (!error)
		error = open_kvm(&bench);
	if (!error) {
		bench.pmu = pmu_of(bench.kvm, bench.cpuid);
		error = measure(&bench);
	}
	if (!error) {
		bench.figures.exits = bench.exits;
		bench.figures.states = bench.states;
		bench.figures.no_cycles = !machine_has_cycles();
		vmexit_tables(&bench.figures, report);
		found_table(&bench.pmu, report);
	}
	vmexit_figures_free(&bench.figures);
	g_free(bench.cpuid);
	if (bench.kvm >= 0)
		close(bench.kvm);
	return error;
}
