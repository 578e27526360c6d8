/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See vmpmi.h. A guest for each number of events, and one that only exits as often, one after the
 * other. The tables are tables.c's.
 */
#define _GNU_SOURCE
#include "vmpmi.h"

#include "bench/vmexit/found.h"
#include "tables.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS       480
#define QUICK_ROUNDS 48
#define MOVES        1000
#define QUICK_MOVES  48

struct bench {
	const struct bench_options *options;
	struct kvm_cpuid2 *cpuid;
	struct pmu pmu;
	int kvm;
	unsigned int done; /* of the guests */
	struct vmpmi_figures figures;
};

/* One of the machine's is left for counting the host. */
static unsigned int counters_of(const struct pmu *pmu)
{
	unsigned int counters = (unsigned int)__builtin_popcountll(pmu->enabled);

	return counters > 1 ? counters - 1 : counters;
}

/* The handler is one of this PMU's. */
static const char *check_pmu(const struct pmu *pmu)
{
	if (pmu->none)
		return pmu->none;
	return pmu->vendor == VPMU_AMD && pmu->control
		       ? NULL
		       : g_strdup_printf(
				 "the guests of this KVM have %s, and only those with AMD's "
				 "PerfMonV2 can be measured",
				 pmu->name);
}

static const char *open_kvm(struct bench *bench)
{
	const char *error;

	bench->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (bench->kvm < 0)
		return g_strdup_printf("cannot use /dev/kvm: %s", strerror(errno));
	error = vm_supported_cpuid(bench->kvm, &bench->cpuid);
	if (error)
		return error;
	bench->pmu = pmu_of(bench->kvm, bench->cpuid);
	return check_pmu(&bench->pmu);
}

static const char *measure_guest(struct bench *bench, unsigned int events, bool floor,
				 struct subject_figures *figures)
{
	const struct bench_options *options = bench->options;
	unsigned int rounds = options->quick ? QUICK_ROUNDS : ROUNDS;
	unsigned int counters = MIN(events, counters_of(&bench->pmu));
	const struct subject_plan plan = { .kvm = bench->kvm,
					   .cpuid = bench->cpuid,
					   .pmu = &bench->pmu,
					   .events = floor ? counters : events,
					   .counters = counters,
					   .floor = floor,
					   .rounds = options->repeat ? options->repeat : rounds,
					   .moves = floor || events > 1 ? 0
						    : options->quick    ? QUICK_MOVES
									: MOVES };
	const char *error = subject_measure(&plan, figures);

	bench->done++;
	if (options->progress)
		options->progress((double)bench->done / (2 * VMPMI_GUESTS + 1));
	return error ? g_strdup_printf("%u events: %s", events, error) : NULL;
}

static const char *measure(struct bench *bench)
{
	const char *error = NULL;

	bench->figures.counters = counters_of(&bench->pmu);
	for (int i = 0; i < VMPMI_GUESTS && !error; i++) {
		error = measure_guest(bench, vmpmi_events[i], false, &bench->figures.of[i]);
		if (!error)
			error = measure_guest(bench, vmpmi_events[i], true,
					      &bench->figures.floor[i]);
	}
	return error;
}

const char *bench_vmpmi(const struct bench_options *options, struct report *report)
{
	struct bench bench = { .options = options, .kvm = -1 };
	const char *error = open_kvm(&bench);

	if (!error)
		error = measure(&bench);
	if (!error) {
		vmpmi_tables(&bench.figures, report);
		found_table(&bench.pmu, report);
	}
	vmpmi_figures_free(&bench.figures);
	g_free(bench.cpuid);
	if (bench.kvm >= 0)
		close(bench.kvm);
	return error;
}
